"""Real processes behind a real nginx: replaced one after the other, killed, out of descriptors, told to stop."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from history import Load, check
from processes import Outside, Processes
from tornado.httpclient import HTTPClientError
from tornado.websocket import websocket_connect

from backend import Store
from nginx_server import Nginx
from simulator import Simulator

SITE = Path(__file__).parents[2] / "deploy/nginx/kaimen.conf"


@pytest.fixture
async def client(processes: Processes, simulator: Simulator) -> AsyncIterator[Outside]:
    """Through nginx, as deploy/ configures it, but without TLS and limits on requests."""
    text = SITE.read_text().replace("127.0.0.1:8000", f"127.0.0.1:{processes.port}")
    upstream, location = text[: text.index("# A guard")], text[text.rindex("    location / {") :]
    with Nginx(f"{upstream}\nserver {{ listen 127.0.0.1:{{port}};\n{location}") as nginx:
        made = Outside(simulator, nginx.url)
        yield made
        await made.close()


async def end(process: "subprocess.Popen[bytes]", number: int = signal.SIGTERM) -> int:
    process.send_signal(number)
    return await asyncio.to_thread(process.wait, 30)


async def test_processes_replaced_one_after_the_other_under_load_fail_no_request(
    processes: Processes, client: Outside, server_store: Store
) -> None:
    old = [await processes.start(), await processes.start()]
    async with Load(client) as load:
        await load.until(200)
        for process in old:
            replaced = await processes.start()
            assert await end(process) == 0
            assert replaced.poll() is None
        await load.until(200)
    assert load.history.failed == 0, load.history.statuses
    await check(load.history, server_store.database_url, client)


async def test_a_process_killed_behind_nginx_costs_what_was_under_way_and_repeats_nothing(
    processes: Processes, client: Outside, server_store: Store
) -> None:
    workers = 8
    doomed, other = await processes.start(), await processes.start()
    async with Load(client, workers=workers) as load:
        await load.until(200)
        failed = load.history.failed
        assert await end(doomed, signal.SIGKILL) == -signal.SIGKILL
        await load.until(200)
    assert other.poll() is None
    assert load.history.failed - failed <= workers
    await check(load.history, server_store.database_url, client)


async def test_sigterm_closes_many_sockets_and_finishes_what_is_under_way(
    processes: Processes, simulator: Simulator, server_store: Store
) -> None:
    process = await processes.start()
    client = Outside(simulator, processes.url)
    token = (await client.login())["accessToken"]
    url = f"ws://127.0.0.1:{processes.port}/api/session/ws"
    sockets = [await websocket_connect(url) for _ in range(20)]
    for one in sockets[:5]:
        await one.write_message(json.dumps({"type": "AUTH", "token": token}))
        await one.read_message()
    simulator.faults.add({"api": "jscode2session", "delayS": 1, "times": 1})
    slow = asyncio.create_task(client.login("bob"))
    await asyncio.sleep(0.3)
    ending = asyncio.create_task(end(process))
    assert [await one.read_message() for one in sockets] == [None] * 20
    assert {one.close_code for one in sockets} == {1001}
    for one in sockets:
        one.close()
    assert (await slow)["isNewUser"] is True
    assert await ending == 0
    with pytest.raises((OSError, HTTPClientError)):
        await client.get("/healthz")
    await client.close()


async def test_a_process_without_descriptors_neither_spins_nor_dies_and_recovers(
    processes: Processes, simulator: Simulator
) -> None:
    process = await processes.start(descriptors=96)
    client = Outside(simulator, processes.url)
    await client.login()
    held = [await asyncio.open_connection("127.0.0.1", processes.port) for _ in range(120)]
    before = cpu_s(process.pid)
    await asyncio.sleep(2)
    assert cpu_s(process.pid) - before < 1.0
    for _, writer in held:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(OSError, HTTPClientError):
                if (await client.get("/healthz")).status == 200:
                    break
            await asyncio.sleep(0.1)
    assert (await client.login())["isNewUser"] is False
    assert process.poll() is None
    await client.close()


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
