"""Killed between commit and publication: nothing is lost, and what is told again has the ids it had."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tornado.curl_httpclient import CurlAsyncHTTPClient, CurlError
from tornado.httpclient import HTTPRequest

from backend import APPID, Store
from core.clock import Clock
from core.failpoints import OF_EVENTS
from core.settings import SettingsInvalid, load_settings
from models.event_stream import STREAM
from models.kv import open_kv
from operators import KAIMEN, environment, kaimen
from rows import fetch
from servers import free_port
from simulator import Simulator

AFTER_RESTART_S = 5.0


class Server:
    """``kaimen serve`` in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url
        self._http = CurlAsyncHTTPClient(force_instance=True)

    async def ready(self) -> None:
        async with asyncio.timeout(20):
            while (await self._fetch("/healthz")) != 200:
                await asyncio.sleep(0.05)

    async def login(self, code: str) -> int:
        body = f'{{"action":"login","appid":"{APPID}","code":"{code}"}}'
        return await self._fetch("/api/auth", body)

    async def _fetch(self, path: str, body: str | None = None) -> int:
        headers = {"Content-Type": "application/json"} if body else {}
        request = HTTPRequest(self.url + path, "POST" if body else "GET", headers, body, request_timeout=5)
        try:
            return (await self._http.fetch(request, raise_error=False)).code
        except CurlError:  # not up yet, or dead
            return 0

    def close(self) -> None:
        self._http.close()


@asynccontextmanager
async def serving(store: Store, simulator: Simulator, folder: Path, failpoint: str = "") -> AsyncIterator[Server]:
    port = free_port()
    given = {
        "KAIMEN_PORT": str(port),
        "KAIMEN_WECHAT_API_URL": simulator.url,
        "KAIMEN_WEBHOOK_NETWORKS": "127.0.0.1",
        "KAIMEN_FAILPOINT": failpoint,
        "KAIMEN_LOG_LEVEL": "error",
    }
    process = await asyncio.create_subprocess_exec(KAIMEN, "serve", cwd=folder, env=environment(store, **given))
    server = Server(process, f"http://127.0.0.1:{port}")
    try:
        yield server
    finally:
        server.close()
        if process.returncode is None:
            process.kill()
        await process.wait()


async def stream_ids(store: Store) -> list[str]:
    kv = open_kv(store.redis_url, Clock())
    entries = await kv.run("XRANGE", STREAM, "-", "+")
    await kv.close()
    return [entry["id"] for _, entry in entries]


async def outbox_ids(store: Store) -> list[str]:
    return [row[0] for row in await fetch(store, "SELECT id FROM outbox ORDER BY user_id, seq")]


@pytest.mark.parametrize("place", OF_EVENTS)
async def test_killed_at_each_step_loses_no_event_and_keeps_their_ids(
    server_store: Store, simulator: Simulator, tmp_path: Path, place: str
) -> None:
    added = await kaimen(server_store, "webhooks", "add", "one", f"{simulator.url}/sink/one", **LOOPBACK)
    assert added.status == 0, added.err
    simulator.sinks.set_up("one", secret=added.out.strip())
    async with serving(server_store, simulator, tmp_path, place) as doomed:
        await doomed.ready()
        async with asyncio.timeout(15):
            while doomed.process.returncode is None:
                await doomed.login(simulator.wechat.login(APPID, "alice"))
        assert doomed.process.returncode == -9
    before = await outbox_ids(server_store)
    assert before
    async with serving(server_store, simulator, tmp_path) as again:
        await again.ready()
        started = time.monotonic()
        async with asyncio.timeout(AFTER_RESTART_S):
            while not set(before) <= set(await stream_ids(server_store)) & taken(simulator):
                await asyncio.sleep(0.05)
        assert time.monotonic() - started < AFTER_RESTART_S
    assert await outbox_ids(server_store) == before
    told = await stream_ids(server_store)
    assert list(dict.fromkeys(told)) == before
    assert len(told) <= 2 * len(before)


LOOPBACK = {"KAIMEN_WEBHOOK_NETWORKS": "127.0.0.1"}


def taken(simulator: Simulator) -> set[str]:
    return {one.id for one in simulator.sinks.get("one").received if one.status == 204 and one.verified}


def test_production_has_no_failpoints() -> None:
    with pytest.raises(SettingsInvalid, match="KAIMEN_FAILPOINT: is for development only"):
        load_settings(env="production", failpoint="relay.taken")


def test_a_failpoint_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SettingsInvalid, match="KAIMEN_FAILPOINT"):
        load_settings(env="development", failpoint="relay.nowhere")
