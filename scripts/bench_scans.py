"""What QR login costs: sockets that wait, messages pushed to them, and how long a confirmation takes to arrive.

Used by bench.py, which starts the server.
"""

import asyncio
import contextlib
import itertools
import json
import statistics
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import redis.asyncio as aioredis
from page_socket import Browser

CHANNEL = "kaimen:scans"
PATIENT_S = 20.0
AT_ONCE = 32
PATIENCE_S = 1.0  # after a 503: a machine that is busy with others lets Redis miss its 200 ms
PUSHED_SOCKETS = 2000
CONFIRM_SOCKETS = 1000
CONFIRMS_S = 200
LOGINS = 1280
LOGINS_AT_ONCE = 64
PHONES = 200
IDLE_SOCKETS = 10_000
IDLE_S = 10.0


@dataclass
class Http:
    """Kept-alive HTTP connections, each for one request at a time."""

    host: str
    port: int

    def __post_init__(self) -> None:
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    @property
    def origin(self) -> str:
        """As a page of the server has it."""
        return f"http://{self.host}:{self.port}"

    async def post(self, path: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
        """The data of the reply, which must be a success; tried again while the server is not available."""
        for _ in range(10):
            reply = await self._send(path, body, token)
            if reply["code"] == 200:
                data: dict[str, Any] = reply["data"]
                return data
            if reply["code"] < 5000:
                break
            await asyncio.sleep(PATIENCE_S)
        raise RuntimeError(f"{path}: {reply}")

    async def get(self, path: str) -> None:
        """Asks for a picture."""
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self.host, self.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        await reader.readexactly(int(answer.lower().partition("content-length: ")[2].partition("\r\n")[0]))
        self._idle.append((reader, writer))

    async def _send(self, path: str, body: dict[str, Any], token: str) -> dict[str, Any]:
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self.host, self.port)
        sent = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nOrigin: {self.origin}\r\nContent-Type: application/json\r\n"
        head += f"Authorization: Bearer {token}\r\n" if token else ""
        writer.write(f"{head}Content-Length: {len(sent)}\r\n\r\n".encode() + sent)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(answer.lower().partition("content-length: ")[2].partition("\r\n")[0])
        reply: dict[str, Any] = json.loads(await reader.readexactly(length))
        self._idle.append((reader, writer))
        return reply

    def close(self) -> None:
        """All of them."""
        for _, writer in self._idle:
            writer.close()


@contextlib.asynccontextmanager
async def browsers(http: Http, count: int, told: Callable[[Browser, bytes], None]) -> AsyncIterator[list[Browser]]:
    """As many pages with a code of their own, each told how it stands."""
    opened: list[Browser] = []

    async def one() -> None:
        scan = await http.post("/api/scan", {"channel": "page"})
        loop = asyncio.get_running_loop()
        _, browser = await loop.create_connection(lambda: Browser(scan, http.origin, told), http.host, http.port)
        await browser.ready
        opened.append(browser)

    while len(opened) < count:
        await asyncio.gather(*(one() for _ in range(min(AT_ONCE, count - len(opened)))))
    try:
        yield opened
    finally:
        for browser in opened:
            browser.transport.abort()


async def measure_idle(http: Http, memory_kib: Callable[[], float], cpu_us: Callable[[], float]) -> dict[str, float]:
    """Memory and CPU of sockets that wait."""
    before = memory_kib()
    async with browsers(http, IDLE_SOCKETS, lambda _browser, _frame: None):
        await asyncio.sleep(1)
        used, started = cpu_us(), time.monotonic()
        await asyncio.sleep(IDLE_S)
        share = (cpu_us() - used) / ((time.monotonic() - started) * 1e6)
        return {"sockets": IDLE_SOCKETS, "kib_each": (memory_kib() - before) / IDLE_SOCKETS, "cpu_percent": share * 100}


async def measure_push(http: Http, redis_url: str, seconds: float, cpu_us: Callable[[], float]) -> dict[str, float]:
    """Steps published in Redis as other instances do, each for another scan, until their browsers are told."""
    told, all_told = 0, asyncio.Event()

    def count(_browser: Browser, _frame: bytes) -> None:
        nonlocal told
        told += 1
        if told % PUSHED_SOCKETS == 0:
            all_told.set()

    redis = aioredis.Redis.from_url(redis_url)
    async with browsers(http, PUSHED_SOCKETS, count) as opened:
        used, started, version = cpu_us(), time.monotonic(), 1
        while time.monotonic() - started < seconds:
            version += 1
            pipeline = redis.pipeline(transaction=False)
            for browser in opened:
                pipeline.publish(CHANNEL, word_of(browser.scan["scanId"], version))
            all_told.clear()
            await pipeline.execute()
            await asyncio.wait_for(all_told.wait(), 30)
        elapsed, cpu = time.monotonic() - started, cpu_us() - used
    await redis.aclose()
    return {"pushes_s": told / elapsed, "cpu_us_each": cpu / told}


def word_of(scan_id: str, version: int) -> str:
    """A step as the script publishes it; see models/scans.py."""
    now = int(time.time() * 1000)
    user = '{"nickname":"爱丽丝","avatarUrl":"https://example.com/avatars/alice.png"}'
    frame = f'{{"version":{version},"type":"SCANNED","state":"scanned","expiresIn":117,"user":{user}}}'
    return f"{scan_id} {version} scanned {now} {now + 117_000} {frame}"


async def measure_confirm(http: Http, token: str, cpu_us: Callable[[], float]) -> dict[str, float]:
    """From the phone's request to the browser's message, at a steady rate, among sockets that wait."""
    sent_at: dict[str, float] = {}
    taken_ms: list[float] = []
    all_told = asyncio.Event()

    def note(browser: Browser, frame: bytes) -> None:
        if b'"LOGIN_SUCCESS"' in frame:
            taken_ms.append((time.perf_counter() - sent_at[browser.scan["scanId"]]) * 1000)
        if len(taken_ms) == CONFIRM_SOCKETS:
            all_told.set()

    async def confirm(scan_id: str) -> None:
        sent_at[scan_id] = time.perf_counter()
        await http.post(f"/api/scan/{scan_id}/confirm", {}, token)

    async with browsers(http, CONFIRM_SOCKETS, note) as opened:
        ids = [browser.scan["scanId"] for browser in opened]
        for start in range(0, len(ids), AT_ONCE):
            part = ids[start : start + AT_ONCE]
            await asyncio.gather(*(http.post(f"/api/scan/{one}/scan", {}, token) for one in part))
        used, started, tasks = cpu_us(), time.perf_counter(), []
        for number, scan_id in enumerate(ids):
            await asyncio.sleep(max(0.0, started + number / CONFIRMS_S - time.perf_counter()))
            tasks.append(asyncio.create_task(confirm(scan_id)))
        await asyncio.gather(*tasks)
        await asyncio.wait_for(all_told.wait(), 10)
        share = (cpu_us() - used) / ((time.perf_counter() - started) * 1e6)
    return {
        "sockets": CONFIRM_SOCKETS,
        "confirms_s": CONFIRMS_S,
        "p50_ms": statistics.median(taken_ms),
        "p99_ms": sorted(taken_ms)[int(len(taken_ms) * 0.99)],
        "cpu_percent": share * 100,
    }


async def measure_login(http: Http, phones: list[str], cpu_us: Callable[[], list[float]]) -> dict[str, float]:
    """Whole QR logins: create, picture, socket, scan, confirm, redeem; CPU of the server and both stores."""
    tickets: dict[str, asyncio.Future[str]] = {}
    tokens = itertools.cycle(phones)  # a user has 20 sessions at most, the oldest gives way

    def note(browser: Browser, frame: bytes) -> None:
        if b'"LOGIN_SUCCESS"' in frame:
            tickets[browser.scan["scanId"]].set_result(json.loads(frame)["ticket"])

    async def log_in() -> None:
        async with browsers(http, 1, note) as (browser,):
            scan_id, token = browser.scan["scanId"], next(tokens)
            ticket = tickets[scan_id] = asyncio.get_running_loop().create_future()
            await http.get(f"/api/scan/{scan_id}/qr.svg")
            await http.post(f"/api/scan/{scan_id}/scan", {}, token)
            await http.post(f"/api/scan/{scan_id}/confirm", {}, token)
            body = {"pollSecret": browser.scan["pollSecret"], "ticket": await asyncio.wait_for(ticket, PATIENT_S)}
            await http.post(f"/api/scan/{scan_id}/redeem", body)

    async def some(count: int) -> None:
        for _ in range(count):
            await log_in()

    await asyncio.gather(*(some(2) for _ in range(LOGINS_AT_ONCE)))
    before = cpu_us()
    await asyncio.gather(*(some(LOGINS // LOGINS_AT_ONCE) for _ in range(LOGINS_AT_ONCE)))
    used = [(now - then) / LOGINS for now, then in zip(cpu_us(), before, strict=True)]
    names = ("server_us", "mariadb_us", "redis_us")
    return {"logins": LOGINS, "all_us": sum(used), **dict(zip(names, used, strict=True))}
