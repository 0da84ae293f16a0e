"""Real processes behind a real nginx: replaced one after the other, killed, out of descriptors, told to stop."""

import asyncio
import contextlib
import gc
import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from history import Load, Seen, check
from processes import Outside, Processes
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from backend import Backend, StartBackend, Store
from nginx_server import Nginx
from scan_client import ORIGIN, Page, open_page
from simulator import Simulator

SITE = Path(__file__).parents[2] / "deploy/nginx/kaimen.conf"
POLLS = 400
FEW = 4  # descriptors and tasks that come and go by themselves


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


async def test_sigterm_under_load_closes_sockets_answers_polls_and_finishes_what_is_under_way(
    processes: Processes, simulator: Simulator, server_store: Store, full_size: bool, seen: Seen
) -> None:
    count, polling = (1000, 200) if full_size else (200, 40)
    process = await processes.start()
    client = Outside(simulator, processes.url)
    page = await open_page(client)
    sockets = await open_sockets(client, page, count)
    polls = [asyncio.create_task(page.poll(client, query="?wait=25&version=99")) for _ in range(polling)]
    async with Load(client, workers=4) as load:
        await load.until(50)
        simulator.faults.add({"api": "jscode2session", "delayS": 1, "times": 1})
        slow = asyncio.create_task(Outside(simulator, processes.url).login("bob"))
        await load.until(20)
        load.stop()
        started = time.monotonic()
        ending = asyncio.create_task(end(process))
        assert [await one.read_message() for one in sockets] == [None] * count
        assert {one.close_code for one in sockets} == {1001}
        with pytest.raises((OSError, HTTPClientError)):
            await Outside(simulator, processes.url).get("/readyz")  # it takes nobody any more
        for one in sockets:
            one.close()
        assert {(await poll).status for poll in polls} == {200}
        assert (await slow)["isNewUser"] is True
        assert await ending == 0
    seen(f"{count} sockets and {polling} polls: ended after {time.monotonic() - started:.1f} s")
    assert load.history.wrong == []
    await client.close()


async def open_sockets(client: Outside, page: Page, count: int) -> list[WebSocketClientConnection]:
    """A few of sessions, some of which have not said yet whose they are; the others watch a scan."""
    token = (await client.login())["accessToken"]
    own = [await open_socket(client, "session", {"token": token} if number < 5 else {}) for number in range(20)]
    proof = {"pollSecret": page.secret, "version": 0}
    return own + [await open_socket(client, f"scan/{page.id}", proof) for _ in range(count - 20)]


async def open_socket(client: Outside, of: str, proof: dict[str, Any]) -> WebSocketClientConnection:
    url = f"{client.url.replace('http:', 'ws:')}/api/{of}/ws"
    socket = await websocket_connect(HTTPRequest(url, headers={"Origin": ORIGIN}))
    if proof:
        await socket.write_message(json.dumps({"type": "AUTH", **proof}))
        assert await socket.read_message()
    return socket


async def test_long_polls_that_are_given_up_leave_nothing_behind(
    start_backend: StartBackend, server_store: Store, full_size: bool, seen: Seen
) -> None:
    backend = await start_backend(server_store, rate_limits="off")
    page = await open_page(backend)
    await give_up_polls(backend, page)  # a first time, so that everything is loaded
    before, slowest = usage(), 0.0
    for _ in range(25 if full_size else 5):
        slowest = max(slowest, await give_up_polls(backend, page))
    assert slowest < 1
    descriptors, tasks, memory = zip(before, usage(), strict=True)
    for start, after in (descriptors, tasks):
        assert abs(after - start) <= max(FEW, start / 20)
    grown = memory[1] / memory[0]
    assert grown < 1.05
    seen(f"each {POLLS} gone after {slowest:.2f} s at most, memory {grown:.3f} of what it was")


async def give_up_polls(backend: Backend, page: Page) -> float:
    """Seconds until the last of many polls that are cut off at once is waited for no more."""
    hub, port = backend.kaimen.scan_hub, int(backend.url.rpartition(":")[2])
    head = (
        f"GET /api/scan/{page.id}?wait=25&version=99 HTTP/1.1\r\nHost: kaimen\r\nX-Poll-Secret: {page.secret}\r\n\r\n"
    )
    writers = [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(POLLS)]
    for writer in writers:
        writer.write(head.encode())
    await reach(hub.size, POLLS)
    started = time.monotonic()
    for writer in writers:
        writer.transport.abort()
    await reach(hub.size, 0)
    await reach(backend.kaimen.health.under_way, 0)
    return time.monotonic() - started


async def reach(size: Callable[[], int], wanted: int) -> None:
    async with asyncio.timeout(20):
        while size() != wanted:
            await asyncio.sleep(0.01)


def usage() -> tuple[int, int, int]:
    """Descriptors, tasks, and pages of memory of this process."""
    gc.collect()
    memory = Path("/proc/self/statm").read_text().split()[1]
    return len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks()), int(memory)


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
