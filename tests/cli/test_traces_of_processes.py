"""Traces of real processes: what they cost while they are off, and what becomes of them when the process ends."""

import re
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from backend import PASSWORD
from commands import Running, kaimen, post
from otlp_receiver import Collector
from servers import free_port

STOPS_WITHIN_S = 15.0  # six for the last export; the rest is for a busy machine


def serve(folder: Path, running: list[Running], **settings: str) -> str:
    """The URL of a process over SQLite and the in-process Redis; what it imports is in its output."""
    port = str(free_port())
    given = {"KAIMEN_ENV": "development", "KAIMEN_PORT": port, "KAIMEN_ADMIN_PORT": "0", **settings}
    assert kaimen(folder, "migrate", **given).returncode == 0
    running.append(Running(folder, "serve", PYTHONVERBOSE="1", **given))
    running[0].wait_for(f"http://127.0.0.1:{port}/healthz")
    return f"http://127.0.0.1:{port}"


def register(url: str) -> Any:
    return post(f"{url}/api/auth", {"action": "register", "username": "alice", "password": PASSWORD})


def imported(process: Running) -> list[str]:
    """Modules that were loaded, not those that were asked for in vain."""
    return re.findall(r"^import '([\w.]+)' #", process.output.read_text(), re.MULTILINE)


def test_a_process_without_a_collector_does_not_even_load_opentelemetry(tmp_path: Path, running: list[Running]) -> None:
    assert register(serve(tmp_path, running))["code"] == 200
    loaded = imported(running[0])
    assert "redis.asyncio.client" in loaded
    assert [name for name in loaded if name.split(".")[0] in {"opentelemetry", "google", "requests"}] == []


def test_a_process_that_is_stopped_sends_what_has_gathered(tmp_path: Path, running: list[Running]) -> None:
    with Collector() as collector:
        url = serve(tmp_path, running, KAIMEN_OTLP_URL=collector.url, OTEL_BSP_SCHEDULE_DELAY="3600000")
        assert register(url)["code"] == 200
        assert collector.spans == []
        assert running[0].stop() == 0
        assert [one.attributes["http.response.status_code"] for one in collector.named("POST /api/auth")] == [200]
    assert "opentelemetry.sdk.trace" in imported(running[0])


def test_a_process_is_not_kept_from_ending_by_a_collector_that_hangs(tmp_path: Path, running: list[Running]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = serve(tmp_path, running, KAIMEN_OTLP_URL=f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert register(url)["code"] == 200
        running[0].process.terminate()
        started = time.monotonic()
        assert running[0].process.wait(STOPS_WITHIN_S * 2) == 0
        assert time.monotonic() - started < STOPS_WITHIN_S


@pytest.mark.parametrize("value", ["127.0.0.1:4318", "ftp://127.0.0.1", "http://"])
def test_what_is_no_url_of_a_collector_stops_the_start(tmp_path: Path, value: str) -> None:
    done = kaimen(tmp_path, "serve", KAIMEN_ENV="development", KAIMEN_OTLP_URL=value)
    assert done.returncode == 78
    assert "KAIMEN_OTLP_URL" in done.stderr
