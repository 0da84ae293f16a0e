"""``kaimen keys`` and ``kaimen services`` beside a process that serves: it follows without a restart."""

import base64
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from servers import free_port

KAIMEN = str(Path(sys.executable).parent / "kaimen")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [KAIMEN, *arguments], cwd=folder, env=environment(), capture_output=True, text=True, timeout=20
    )


def environment(**settings: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("KAIMEN_")}
    return own | {"KAIMEN_ENV": "development"} | settings


def lines(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(folder, *arguments, "--json").stdout.splitlines()]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The URL of a development server whose data is in ``tmp_path``."""
    assert run(tmp_path, "migrate").returncode == 0
    port = str(free_port())
    process = subprocess.Popen(
        [KAIMEN, "serve"], cwd=tmp_path, env=environment(KAIMEN_PORT=port), stdout=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    wait_until(lambda: status_of(url + "/healthz") == 200)
    yield url
    process.terminate()
    assert process.wait(10) == 0


def wait_until(holds: Any) -> float:
    """Seconds until it held, at most 15."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < 15
        time.sleep(0.02)
    return time.monotonic() - began


def status_of(url: str, body: bytes | None = None, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=5) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def published(url: str) -> list[str]:
    with urllib.request.urlopen(url + "/.well-known/jwks.json", timeout=5) as reply:
        return [key["kid"] for key in json.loads(reply.read())["keys"]]


def test_a_service_is_added_listed_let_in_and_removed_within_a_second(tmp_path: Path, served: str) -> None:
    added = run(tmp_path, "services", "add", "shop", "--scope", "introspect", "--scope", "users:read")
    assert added.returncode == 0, added.stderr
    secret = added.stdout.strip()
    assert (added.stdout.count("\n"), len(secret)) == (1, 47)
    [listed] = lines(tmp_path, "services", "list")
    assert (listed["name"], listed["scopes"]) == ("shop", ["introspect", "users:read"])
    assert secret not in run(tmp_path, "services", "list").stdout

    def introspect() -> int:
        basic = "Basic " + base64.b64encode(f"shop:{secret}".encode()).decode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return status_of(served + "/api/token/introspect", b"token=x", Authorization=basic, **kind)

    assert introspect() == 200
    assert "there is a service shop" in run(tmp_path, "services", "add", "shop", "--scope", "introspect").stderr
    assert run(tmp_path, "services", "remove", "shop").stdout == "shop is removed\n"
    assert wait_until(lambda: introspect() == 401) < 1
    assert run(tmp_path, "services", "remove", "shop").returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [["shop"], ["shop", "--scope", "everything"], ["Shop", "--scope", "introspect"], ["", "--scope", "introspect"],
     ["a b", "--scope", "introspect"], ["s" * 33, "--scope", "introspect"]],
    ids=str,
)  # fmt: skip
def test_a_service_needs_a_plain_name_and_known_scopes(tmp_path: Path, arguments: list[str]) -> None:
    run(tmp_path, "migrate")
    done = run(tmp_path, "services", "add", *arguments)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_new_key_is_published_at_once_by_the_process_that_serves(tmp_path: Path, served: str) -> None:
    [old] = published(served)
    rotated = run(tmp_path, "keys", "rotate")
    assert rotated.returncode == 0, rotated.stderr
    new = rotated.stdout.split()[0]
    wait_until(lambda: published(served) == [new, old])
    states = {one["id"]: one["state"] for one in lines(tmp_path, "keys", "list")}
    assert (states[old], states[new]) == ("signs", "published")
    assert new in run(tmp_path, "keys", "list").stdout
    refused = run(tmp_path, "keys", "rotate")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert run(tmp_path, "keys", "retire", new).returncode == 0
    wait_until(lambda: published(served) == [old])


@pytest.mark.parametrize("arguments", [["rotate"], ["retire", "unknown"], ["rotate", "--purpose", "index"]], ids=str)
def test_what_cannot_be_done_with_keys_is_one_clear_line(tmp_path: Path, arguments: list[str]) -> None:
    run(tmp_path, "migrate")
    done = run(tmp_path, "keys", *arguments)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
