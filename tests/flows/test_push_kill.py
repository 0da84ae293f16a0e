"""The process dies while it has pushes in hand: nothing is lost, and nothing happens twice."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tornado.curl_httpclient import CurlAsyncHTTPClient, CurlError
from tornado.httpclient import HTTPRequest

from app.callbacks.intake import CLAIM_MS
from backend import OFFICIAL, Store
from core.failpoints import OF_CALLBACKS
from operators import KAIMEN, environment
from rows import fetch
from servers import free_port
from simulator import Simulator, push

WITHIN_S = CLAIM_MS / 1000 + 10


@asynccontextmanager
async def serving(store: Store, simulator: Simulator, folder: Path, failpoint: str = "") -> AsyncIterator[Any]:
    """``kaimen serve`` in a process of its own; the simulator pushes to it."""
    port = free_port()
    given = {"KAIMEN_PORT": str(port), "KAIMEN_WECHAT_API_URL": simulator.url, "KAIMEN_LOG_LEVEL": "error"}
    settings = environment(store, **given, KAIMEN_FAILPOINT=failpoint)
    process = await asyncio.create_subprocess_exec(KAIMEN, "serve", cwd=folder, env=settings)
    simulator.backend_url = f"http://127.0.0.1:{port}"
    try:
        await until_healthy(simulator.backend_url)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until_healthy(url: str) -> None:
    client = CurlAsyncHTTPClient(force_instance=True)
    async with asyncio.timeout(20):
        while True:
            try:
                await client.fetch(HTTPRequest(url + "/healthz"))
                break
            except CurlError:
                await asyncio.sleep(0.05)
    client.close()


def message(simulator: Simulator, number: int) -> dict[str, Any]:
    users = simulator.wechat.users
    return {
        "ToUserName": "gh_simulator",
        "FromUserName": users.openid(OFFICIAL, users.get("alice")),
        "CreateTime": int(time.time()),
        "MsgType": "text",
        "Content": f"message {number}",
        "MsgId": 1000 + number,
    }


async def deliver(simulator: Simulator, what: dict[str, Any]) -> list[int]:
    """As WeChat does it: up to three times."""
    app = simulator.wechat.apps.get(OFFICIAL)
    return [answer["status"] for answer in await push.push(simulator, app, what, attempts=3)]


async def told(store: Store) -> list[str]:
    rows = await fetch(store, "SELECT data FROM outbox WHERE type = 'wechat.push' ORDER BY id")
    return [json.loads(data)["message"]["Content"] for (data,) in rows]


async def until_told(store: Store, expected: set[str]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while set(await told(store)) != expected:
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("place", OF_CALLBACKS)
async def test_killed_with_a_push_in_hand_it_happens_once_after_the_restart(
    server_store: Store, simulator: Simulator, tmp_path: Path, place: str
) -> None:
    async with serving(server_store, simulator, tmp_path, place) as process:
        one = message(simulator, 1)
        answers = await deliver(simulator, one)
        async with asyncio.timeout(10):
            assert await process.wait() == -9
    async with serving(server_store, simulator, tmp_path):
        if answers[-1] != 200:
            assert await deliver(simulator, one) == [200]
        assert await deliver(simulator, message(simulator, 2)) == [200]
        await until_told(server_store, {"message 1", "message 2"})
        assert sorted(await told(server_store)) == ["message 1", "message 2"]
        assert set(await fetch(server_store, "SELECT state FROM inbox")) == {("done",)}


async def test_a_process_that_is_killed_leaves_its_pushes_to_another(
    server_store: Store, simulator: Simulator, tmp_path: Path
) -> None:
    async with serving(server_store, simulator, tmp_path) as other:
        async with serving(server_store, simulator, tmp_path) as first:
            statuses = await asyncio.gather(*(deliver(simulator, message(simulator, n)) for n in range(40)))
            first.kill()
            await first.wait()
        assert other.returncode is None
        assert all(one == [200] for one in statuses)
        await until_told(server_store, {f"message {n}" for n in range(40)})
        assert len(await told(server_store)) == 40


async def test_without_a_database_wechat_is_told_to_come_again_and_then_it_happens_once(
    server_store: Store, simulator: Simulator, tmp_path: Path, mariadb: Any
) -> None:
    async with serving(server_store, simulator, tmp_path):
        await deliver(simulator, message(simulator, 0))
        await until_told(server_store, {"message 0"})  # all that a start writes is written
        one = message(simulator, 1)
        mariadb.kill()
        try:
            answers = await deliver(simulator, one)
        finally:
            mariadb.restart()
        assert set(answers) == {503}
        async with asyncio.timeout(10):
            while (await deliver(simulator, one))[-1] != 200:
                await asyncio.sleep(0.1)
        await until_told(server_store, {"message 0", "message 1"})
        assert await told(server_store) == ["message 0", "message 1"]
