"""People with phones: they open the mini-program, look, change something, scan a page's code, and leave.

Each has an address of its own, as a proxy in front of the server would say, so that limits on addresses stay on.
"""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from load_figures import Second, is_error
from load_wire import NO_ANSWER, Reply, Wire, request
from page_socket import Browser

PATIENCE_S = 10.0  # then a client gives up
POLL_S = 25
TRIES = 3
LATER = {429, 502, 503, 504}
REFUSED = re.compile(r"^HTTP/1.1 503|_unavailable$|overloaded$")  # a handshake, or the reason of a close
HESITATION = 0.5  # a client that is told to come back comes up to that much later
THINK_MAX = 5  # times the mean; what is longer is another visit
LOOKS = (3, 10)  # in a visit
FORGETFUL = 0.15  # of the openings: the phone has lost its token, or the mini-program always logs in
CHANGES, SCANS = 0.08, 0.03  # of what people do; the rest is looking
TOLD_BY_SOCKET = 0.5  # of the pages; the others poll
READING_S = 1.5  # the confirm screen


@dataclass
class World:
    """What all people share: where the server is, how hurried everybody is, and where it is written down."""

    host: str
    port: int
    rng: Random
    second: Callable[[], Second]
    run_id: str
    think_s: float = 0.0
    codes: int = 0
    open: int = 0  # mini-programs
    problems: dict[str, int] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """As a page of the server has it."""
        return f"http://{self.host}:{self.port}"

    def next_code(self, number: int) -> str:
        """What `wx.login` gives; the stand-in knows whose it is."""
        self.codes += 1
        return f"c-{number}-{self.codes}-{self.run_id}"

    def note_problem(self, problem: str) -> None:
        """Counted, for whoever looks for its cause."""
        self.problems[problem] = self.problems.get(problem, 0) + 1

    async def think(self, mean_s: float) -> None:
        """Most people are quick, some are slow."""
        await asyncio.sleep(min(self.rng.expovariate(1 / mean_s), THINK_MAX * mean_s) if mean_s else 0)


def error_of(reply: Reply) -> str:
    """The name of the error in the envelope, or why there was no answer."""
    name = re.search(rb'"error":"(\w+)"', reply.body)
    return (name[1] if name else reply.body[:160]).decode(errors="replace")


class Line:
    """Somebody's connection to the server: opened when needed, tried again when told to come back."""

    def __init__(self, world: World, headers: str) -> None:
        self._world = world
        self._headers = headers
        self._wire: Wire | None = None

    async def call(
        self, kind: str, method: str, path: str, body: dict[str, Any] | None = None, headers: str = ""
    ) -> Reply:
        """The last answer; each one is written down, with the time it took."""
        sent = request(method, path, self._headers + headers, body)
        for _ in range(TRIES):
            reply = await self._measure(kind, sent)
            if reply.status not in LATER:
                break
            await self._come_back(reply.retry_after_s)
        return reply

    async def _come_back(self, after_s: int | None) -> None:
        if after_s is None:
            self._world.second().hopeless += 1
        await asyncio.sleep((after_s or 1) * (1 + HESITATION * self._world.rng.random()))

    async def _measure(self, kind: str, sent: bytes) -> Reply:
        started = time.perf_counter()  # the event loop's own clock stands still within a turn
        reply = await self.send(sent, PATIENCE_S)
        self._world.second().note(kind, reply.status, time.perf_counter() - started)
        if is_error(reply.status):
            self._world.note_problem(f"{kind}: {reply.status} {error_of(reply)}")
        return reply

    async def send(self, sent: bytes, patience_s: float) -> Reply:
        """The answer, ``NO_ANSWER`` after that time or when the connection breaks."""
        try:
            async with asyncio.timeout(patience_s):
                return await (await self._connected()).send(sent)
        except (OSError, TimeoutError) as error:
            self.close()
            return Reply(NO_ANSWER, repr(error).encode())

    async def _connected(self) -> Wire:
        if self._wire is None or not self._wire.is_open:
            loop = asyncio.get_running_loop()
            _, self._wire = await loop.create_connection(Wire, self._world.host, self._world.port)
        return self._wire

    def close(self) -> None:
        """Hangs up."""
        if self._wire:
            self._wire.close()


class Person:
    """Somebody with a phone; what the phone keeps between two visits is the refresh token."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._number = number
        self._address = f"X-Forwarded-For: 10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}\r\n"
        self._line = Line(world, self._address)
        self._refresh_token = ""
        self._bearer = ""

    async def register(self) -> None:
        """The first visit, of which the phone keeps a refresh token."""
        await self._log_in()
        self._line.close()

    async def visit(self) -> None:
        """From opening the mini-program to closing it."""
        self._world.open += 1
        try:
            if await self._open():
                await self._look_around()
        finally:
            self._world.open -= 1
            self._line.close()

    async def _open(self) -> bool:
        is_known = self._refresh_token and self._world.rng.random() >= FORGETFUL
        return await (self._refresh() if is_known else self._log_in())

    async def _refresh(self) -> bool:
        return await self._sign_in("autoLogin", {"refreshToken": self._refresh_token})

    async def _log_in(self) -> bool:
        return await self._sign_in("login", {"code": self._world.next_code(self._number)})

    async def _sign_in(self, action: str, proof: dict[str, Any]) -> bool:
        reply = await self._line.call(action, "POST", "/api/auth", {"action": action, **proof})
        if reply.status != 200:
            self._refresh_token = self._refresh_token if reply.status in LATER else ""
            return False
        self._refresh_token = reply.data["refreshToken"]
        self._bearer = f"Authorization: Bearer {reply.data['accessToken']}\r\n"
        return True

    async def _look_around(self) -> None:
        for _ in range(self._world.rng.randint(*LOOKS)):
            await self._world.think(self._world.think_s)
            chance = self._world.rng.random()
            if chance < SCANS:
                await self._scan()
            elif chance < SCANS + CHANGES:
                await self._change()
            else:
                await self._line.call("profile", "GET", "/api/user/info", headers=self._bearer)

    async def _change(self) -> None:
        body = {"nickname": f"小明{self._world.rng.randrange(1000)}"}
        await self._line.call("change", "PATCH", "/api/user/info", body, self._bearer)

    async def _scan(self) -> None:
        page = QrPage(self._world, f"X-Forwarded-For: 172.16.{self._number >> 8 & 255}.{self._number & 255}\r\n")
        try:
            scan_id = await page.show()
            if scan_id and await self._act(scan_id, "scan"):
                await self._world.think(READING_S)
                page.confirmed_at = time.perf_counter()
                if await self._act(scan_id, "confirm"):
                    await page.redeem()
        finally:
            page.close()

    async def _act(self, scan_id: str, what: str) -> bool:
        reply = await self._line.call("scan", "POST", f"/api/scan/{scan_id}/{what}", {}, self._bearer)
        return reply.status == 200


class QrPage:
    """A page on a computer that shows a code, waits by WebSocket or long poll, and signs in."""

    def __init__(self, world: World, address: str) -> None:
        self._world = world
        self._address = address
        self._line, self._poll_line = Line(world, address), Line(world, address)
        self._scan: dict[str, Any] = {}
        self._ticket: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._socket: Browser | None = None
        self._polling: asyncio.Task[None] | None = None
        self.confirmed_at = 0.0

    async def show(self) -> str:
        """The id of the scan; empty if there is none to be had."""
        origin = f"Origin: {self._world.origin}\r\n"
        reply = await self._line.call("scan", "POST", "/api/scan", {"channel": "page"}, origin)
        if reply.status != 201:
            return ""
        self._scan = reply.data
        scan_id = str(self._scan["scanId"])
        await self._line.call("scan", "GET", f"/api/scan/{scan_id}/qr.svg")
        if self._world.rng.random() < TOLD_BY_SOCKET:
            return scan_id if await self._open_socket() else ""
        self._polling = asyncio.create_task(self._poll(scan_id))
        return scan_id

    async def redeem(self) -> None:
        """Signs in, once the ticket is there."""
        with contextlib.suppress(TimeoutError):
            ticket = await asyncio.wait_for(asyncio.shield(self._ticket), PATIENCE_S)
            taken_s = time.perf_counter() - self.confirmed_at
            self._world.second().time("told", taken_s)
            body = {"pollSecret": self._scan["pollSecret"], "ticket": ticket}
            await self._line.call("scan", "POST", f"/api/scan/{self._scan['scanId']}/redeem", body)
            return
        self._world.note_problem("told: not in time")

    def close(self) -> None:
        """The tab."""
        if self._polling:
            self._polling.cancel()
        if self._socket and self._socket.transport:
            self._socket.transport.abort()
        self._ticket.cancel()
        self._line.close()
        self._poll_line.close()

    async def _open_socket(self) -> bool:
        loop, world = asyncio.get_running_loop(), self._world
        self._socket = Browser(self._scan, world.origin, self._hear, self._address)
        socket = self._socket
        try:
            async with asyncio.timeout(PATIENCE_S):
                await loop.create_connection(lambda: socket, world.host, world.port)
                await socket.ready
        except (OSError, RuntimeError, TimeoutError) as error:
            world.second().note("socket", 503 if REFUSED.search(str(error)) else NO_ANSWER, None)
            world.note_problem(f"socket: {error!r}"[:160])
            return False
        return True

    def _hear(self, _: Browser, frame: bytes) -> None:
        if b'"LOGIN_SUCCESS"' in frame:
            self._have(json.loads(frame)["ticket"])

    async def _poll(self, scan_id: str) -> None:
        version, secret = 0, f"X-Poll-Secret: {self._scan['pollSecret']}\r\n{self._address}"
        while not self._ticket.done():
            path = f"/api/scan/{scan_id}?wait={POLL_S}&version={version}"
            reply = await self._poll_line.send(request("GET", path, secret), POLL_S + PATIENCE_S)
            self._world.second().note("poll", reply.status, None)
            if is_error(reply.status):
                self._world.note_problem(f"poll: {reply.status} {error_of(reply)}")
            if reply.status != 200:
                await asyncio.sleep(reply.retry_after_s or 1)
                continue
            version = reply.data["version"]
            if reply.data["state"] == "confirmed":
                self._have(reply.data["ticket"])

    def _have(self, ticket: str) -> None:
        if not self._ticket.done():
            self._ticket.set_result(ticket)
