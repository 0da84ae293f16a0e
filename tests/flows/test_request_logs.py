"""The access log of real requests: who, what, how it ended; sampled, traced, and never in the way."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_metrics import rise

from backend import PASSWORD, StartBackend, Store
from core.observe import metrics
from core.observe.logs import flush_logs, set_up_logs
from servers import free_port

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Log:
    """What was logged, by event."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    @property
    def text(self) -> str:
        flush_logs()
        self._text += self._capsys.readouterr().out
        return self._text

    def lines(self, event: str = "request") -> list[dict[str, Any]]:
        return [line for line in map(json.loads, self.text.splitlines()) if line["event"] == event]


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Iterator[Log]:
    set_up_logs("info", "json")
    yield Log(capsys)
    set_up_logs("error", "json")


async def test_a_login_says_who_signed_in_and_a_call_to_wechat_whose_it_was(
    start_backend: StartBackend, embedded_store: Store, log: Log
) -> None:
    backend = await start_backend(embedded_store)
    login = await backend.login()
    backend.simulator.faults.add({"api": "jscode2session", "errcode": 40029, "times": 1})
    failed = await backend.auth("login", code=backend.wx_login())
    good, bad = log.lines()
    assert (good["user"], good["session"]) == (login["user"]["id"], login["sessionId"])
    assert (good["method"], good["path"], good["status"]) == ("POST", "/api/auth", 200)
    assert (bad["code"], bad["request_id"]) == (4004, failed.body["requestId"])
    (call,) = log.lines("wechat")
    assert (call["errcode"], call["request_id"]) == (40029, failed.body["requestId"])
    assert call["rid"]
    assert call["ms"] > 0


async def test_ids_of_the_client_are_on_its_lines(start_backend: StartBackend, embedded_store: Store, log: Log) -> None:
    backend = await start_backend(embedded_store)
    await backend.get("/healthz", X_Request_Id="mine-1", traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
    await backend.get("/healthz", X_Request_Id="not mine", traceparent=f"00-{TRACE.upper()}-b7ad6b7169203331-01")
    first, second = log.lines()
    assert (first["request_id"], first["trace_id"]) == ("mine-1", TRACE)
    assert second["request_id"] != "not mine"
    assert "trace_id" not in second


async def test_a_token_in_a_path_is_not_logged(start_backend: StartBackend, embedded_store: Store, log: Log) -> None:
    backend = await start_backend(embedded_store)
    token = (await backend.login())["accessToken"]
    await backend.get(f"/api/user/info/{token}")
    assert log.lines()[-1]["path"] == "/api/user/info/…"
    assert token not in log.text


async def test_of_what_succeeds_only_a_share_is_logged_and_of_what_fails_everything(
    start_backend: StartBackend, embedded_store: Store, log: Log
) -> None:
    backend = await start_backend(embedded_store, log_access_rate=0)
    for _ in range(5):
        await backend.get("/healthz")
        await backend.get("/api/user/info")
    assert [line["code"] for line in log.lines()] == [4010] * 5


@pytest.mark.parametrize(("trusted", "written"), [("127.0.0.1", 1), ("192.0.2.1", 0)])
async def test_only_a_trusted_proxy_may_ask_for_debug_lines(
    start_backend: StartBackend, embedded_store: Store, log: Log, trusted: str, written: int
) -> None:
    backend = await start_backend(embedded_store, trusted_proxies=trusted)
    body = {"action": "login", "code": backend.wx_login()}
    await backend.call("POST", "/api/auth", body, X_Kaimen_Debug="1")
    assert len(log.lines("wechat")) == written
    await backend.login()
    assert len(log.lines("wechat")) == written


async def test_a_share_of_the_requests_may_be_debugged_by_chance(
    start_backend: StartBackend, embedded_store: Store, log: Log
) -> None:
    backend = await start_backend(embedded_store, log_debug_rate=1)
    await backend.login()
    assert len(log.lines("wechat")) == 1
    assert {line["kind"] for line in log.lines("database")} >= {"transaction"}


async def test_lines_are_counted_by_level(start_backend: StartBackend, embedded_store: Store, log: Log) -> None:
    backend, lines = await start_backend(embedded_store), rise(metrics.LOG_LINES, "info")
    await backend.get("/healthz")
    assert lines() == 1


ServeOn = Callable[[int], tuple[int, int]]


@pytest.fixture
def serve_on(tmp_path: Path) -> Iterator[ServeOn]:
    """Starts ``kaimen serve`` with that descriptor as standard output; gives its port and its admin port."""
    port, admin = free_port(), free_port()
    given = {"ENV": "development", "PORT": str(port), "ADMIN_PORT": str(admin), "RATE_LIMITS": "off"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KAIMEN_")}
    environment |= {f"KAIMEN_{name}": value for name, value in given.items()}
    program = str(Path(sys.executable).parent / "kaimen")
    started: list[subprocess.Popen[bytes]] = []

    def start(out: int) -> tuple[int, int]:
        subprocess.run([program, "migrate"], cwd=tmp_path, env=environment, check=True, capture_output=True)
        started.append(subprocess.Popen([program, "serve"], cwd=tmp_path, env=environment, stdout=out))
        os.close(out)
        wait_for(port)
        return port, admin

    yield start
    for process in started:
        process.terminate()
        assert process.wait(10) == 0


def test_a_full_disk_under_the_log_fails_no_request(serve_on: ServeOn) -> None:
    port, admin = serve_on(os.open("/dev/full", os.O_WRONLY))
    for number in range(20):
        register(port, f"user{number}")
    assert dropped(admin) > 0


def test_a_log_that_nobody_reads_or_that_is_gone_fails_no_request(serve_on: ServeOn) -> None:
    read, out = os.pipe()
    port, _ = serve_on(out)
    for _ in range(800):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
    register(port, "first")
    os.close(read)
    register(port, "second")


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError("does not start")


def register(port: int, username: str) -> None:
    body = json.dumps({"action": "register", "username": username, "password": PASSWORD}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/auth", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as reply:
        assert json.load(reply)["code"] == 200


def dropped(admin: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=5) as reply:
        lines = reply.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("kaimen_log_lines_dropped_total"))
