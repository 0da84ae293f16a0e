"""``kaimen serve`` under a supervisor: ready, alive, reloading, stopping; SIGHUP takes over apps."""

import json
import os
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend import APPID, OTHER_APPID, StartBackend, Store
from commands import KEY, Running, kaimen
from core.settings import App
from servers import free_port
from simulator import DEFAULT_APPS

SECRET = "0123456789abcdef0123456789abcdef"
FIRST, SECOND = "wx1234567890abcdef", "wxfedcba0987654321"


class Told:
    """The socket of a supervisor, and what came."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(0.05)

    def wait_for(self, line: str, count: int = 1) -> None:
        deadline = time.monotonic() + 15
        while self.lines.count(line) < count:
            assert time.monotonic() < deadline, self.lines
            try:
                self.lines += self._socket.recv(4096).decode().splitlines()
            except TimeoutError:
                continue

    def drain(self) -> None:
        """Forgets what came until it is quiet."""
        while self.hears_within(0.3):
            continue

    def hears_within(self, seconds: float) -> bool:
        self._socket.settimeout(seconds)
        try:
            return bool(self._socket.recv(4096))
        except TimeoutError:
            return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    made = Told(tmp_path / "notify")
    yield made
    made.close()


Serve = Callable[..., tuple[Running, int]]


@pytest.fixture
def serve(tmp_path: Path, told: Told) -> Iterator[Serve]:
    """Starts ``kaimen serve`` over SQLite under the supervisor ``told``; gives it and its port."""
    started: list[Running] = []
    os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"] = str(told.path), "200000"

    def start(**given: str) -> tuple[Running, int]:
        port = free_port()
        settings = {"KAIMEN_ENV": "development", "KAIMEN_PORT": str(port), "KAIMEN_MASTER_KEYS": KEY, **given}
        settings.setdefault("KAIMEN_ADMIN_PORT", str(free_port()))
        assert kaimen(tmp_path, "migrate", **settings).returncode == 0
        started.append(Running(tmp_path, "serve", **settings))
        told.wait_for("READY=1")
        return started[-1], port

    yield start
    del os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"]
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def test_a_supervisor_is_told_of_the_start_the_end_and_a_sign_of_life_in_between(serve: Serve, told: Told) -> None:
    process, port = serve()
    urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz").close()
    told.wait_for("WATCHDOG=1", 4)
    assert process.stop() == 0
    told.wait_for("STOPPING=1")
    assert told.lines.index("READY=1") < told.lines.index("WATCHDOG=1") < told.lines.index("STOPPING=1")


def test_a_loop_that_stands_still_gives_no_sign_of_life(serve: Serve, told: Told) -> None:
    process, _ = serve()
    told.wait_for("WATCHDOG=1", 2)
    process.process.send_signal(signal.SIGSTOP)
    told.drain()
    assert not told.hears_within(0.6)
    process.process.send_signal(signal.SIGCONT)
    assert told.hears_within(5)


def write_apps(path: Path, *apps: dict[str, Any]) -> None:
    path.write_text(json.dumps(apps))


def login(port: int, appid: str) -> str:
    """The name of the error that a login by that app ends with."""
    body = json.dumps({"action": "login", "code": "any", "appid": appid}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/auth", body, {"Content-Type": "application/json"})
    with pytest.raises(urllib.error.HTTPError) as failed:
        urllib.request.urlopen(request, timeout=5)
    with failed.value as reply:
        return str(json.load(reply)["error"])


def test_sighup_takes_over_apps_that_were_added_and_disabled(serve: Serve, told: Told, tmp_path: Path) -> None:
    apps = tmp_path / "apps.json"
    write_apps(apps, {"appid": FIRST, "secret": SECRET})
    nowhere = f"http://127.0.0.1:{free_port()}"
    process, port = serve(KAIMEN_APPS_FILE=str(apps), KAIMEN_WECHAT_API_URL=nowhere)
    assert (login(port, FIRST), login(port, SECOND)) == ("wx_unavailable", "unknown_app")
    write_apps(apps, {"appid": FIRST, "secret": SECRET, "disabled": True}, {"appid": SECOND, "secret": SECRET})
    process.process.send_signal(signal.SIGHUP)
    told.wait_for("RELOADING=1")
    told.wait_for("READY=1", 2)
    assert (login(port, FIRST), login(port, SECOND)) == ("unknown_app", "wx_unavailable")
    assert process.stop() == 0


def test_sighup_with_wrong_settings_changes_nothing_and_says_why(serve: Serve, told: Told, tmp_path: Path) -> None:
    apps = tmp_path / "apps.json"
    write_apps(apps, {"appid": FIRST, "secret": SECRET})
    nowhere = f"http://127.0.0.1:{free_port()}"
    process, port = serve(KAIMEN_APPS_FILE=str(apps), KAIMEN_WECHAT_API_URL=nowhere)
    for number, wrong in enumerate(("{", '[{"appid": "wx1", "secret": "swordfish"}]')):
        apps.write_text(wrong)
        process.process.send_signal(signal.SIGHUP)
        told.wait_for("READY=1", 2 + number)
        assert login(port, FIRST) == "wx_unavailable"
    assert process.stop() == 0
    logged = process.output.read_text()
    assert logged.count('"not reloaded"') == 2
    assert "swordfish" not in logged


async def test_a_secret_that_was_changed_is_used_from_then_on(
    start_backend: StartBackend, embedded_store: Store
) -> None:
    backend = await start_backend(embedded_store)
    backend.kaimen.apps.replace((App(appid=APPID, secret="f" * 32),))
    assert (await backend.auth("login", code=backend.wx_login())).error == "wx_bad_reply"
    backend.kaimen.apps.replace(tuple(App(**app) for app in DEFAULT_APPS))
    assert (await backend.login())["isNewUser"] is True


async def test_the_way_to_another_deployment_is_taken_over_too(
    start_backend: StartBackend, embedded_store: Store
) -> None:
    url = f"http://staging:Secret-1@127.0.0.1:{free_port()}/api/wechat/{OTHER_APPID}/access-token"
    backend = await start_backend(embedded_store)
    login = await backend.login(appid=OTHER_APPID)
    phone = backend.simulator.wechat.phone_code(OTHER_APPID, "alice")
    borrowing = [{**app, "accessTokenUrl": url} if app["appid"] == OTHER_APPID else app for app in DEFAULT_APPS]
    backend.kaimen.apps.replace(tuple(App(**app) for app in borrowing))
    reply = await backend.call("POST", "/api/user/phone", {"code": phone}, login["accessToken"])
    assert reply.error == "wx_unavailable"
    backend.kaimen.apps.replace(tuple(App(**app) for app in DEFAULT_APPS))
    reply = await backend.call("POST", "/api/user/phone", {"code": phone}, login["accessToken"])
    assert reply.status == 200
