"""Who in this process waits for which scan, and how they hear of it: one Redis subscription for all of them.

Pub/sub is at most once, so: subscribe, then read; after each new subscription read everything again that somebody
waits for; drop what is older than what is known. Between its messages a scan that is watched is known here: a poll
costs no trip to Redis.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from app.scan.transitions import CONFIRMED, EXPIRED, OPEN, make_frame
from core.clock import Clock
from core.errors import AppError, Code
from core.observe import metrics
from core.observe.logs import frames_of, get_logger
from core.tasks import end_task
from models import scans
from models.kv import Kv
from models.scans import Scan, Word

PER_NETWORK = 20  # sockets and long polls of one address
PER_SCAN = 5
SWEEP_S = 0.5
PAUSE_S = 0.2
KNOWN_S = 30.0  # a scan that nobody asks for is forgotten after that
READ_AT_ONCE = 256
GOING_AWAY = 1001  # RFC 6455 §7.4.1


class Listener(Protocol):
    """A socket or a long poll, as the hub sees it."""

    def tell(self, version: int, state: str, frame: bytes) -> None:
        """A state of the scan, newer than those before; ``frame`` is the JSON text for browsers."""
        ...

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """The process stops, or nothing more will come."""
        ...


@dataclass(slots=True)
class Watch:
    """A scan that is watched here; ``scan`` is None while what is known is older than ``version``."""

    version: int = 0
    ends_at: int = 0
    scan: Scan | None = None
    used_at: float = 0.0
    polled_at: float = 0.0
    listeners: set[Listener] = field(default_factory=set)


class Hub:
    """``read`` a scan, ``join`` it to be told, ``wait`` for its next version."""

    def __init__(self, kv: Kv, clock: Clock, *, limited: bool = True) -> None:
        self._kv = kv
        self._clock = clock
        self._limited = limited
        self._watches: dict[str, Watch] = {}
        self._of_network: Counter[str] = Counter()
        self._all: set[Listener] = set()
        self._is_live = False
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self.expire: Callable[[str], Awaitable[object]] = lambda _scan_id: asyncio.sleep(0)

    def size(self) -> int:
        """Open sockets and long polls."""
        return len(self._all)

    def start(self) -> None:
        """Listens until stopped, and again whenever Redis comes back."""
        self._tasks = [asyncio.create_task(self._keep_listening()), asyncio.create_task(self._keep_sweeping())]

    async def stop(self) -> None:
        """Ends the listening."""
        for task in self._tasks:
            await end_task(task)

    def close(self) -> None:
        """The process stops: sockets are closed with 1001, long polls are answered."""
        self._stopping = True
        for listener in list(self._all):
            listener.close(GOING_AWAY, "going away")

    async def read(self, scan_id: str) -> Scan | None:
        """The scan as it is, and from now on watched; raises 5002. Its time may be over without its state saying so."""
        while True:
            watch = self._watches.setdefault(scan_id, Watch())
            watch.used_at = self._clock.monotonic()
            if watch.scan and self._is_live:
                return watch.scan
            scan = await scans.find_scan(self._kv, scan_id)
            if scan is None:
                self._forget(scan_id)
                return None
            is_watched = self._watches.get(scan_id) is watch
            if is_watched and scan.version >= watch.version:  # else steps may have been missed, or it changed meanwhile
                watch.version, watch.ends_at, watch.scan = scan.version, scan.ends_at, scan
                return scan

    def check_pace(self, scan_id: str, interval_s: float) -> None:
        """Raises 4293 when the scan was polled here less than that ago."""
        watch, now = self._watches[scan_id], self._clock.monotonic()
        if self._limited and now - watch.polled_at < interval_s:
            raise AppError(Code.SLOW_DOWN)
        watch.polled_at = now

    def check_room(self, network: str) -> None:
        """Raises 4290 when the address has that many sockets and long polls already."""
        if self._limited and self._of_network[network] >= PER_NETWORK:
            raise AppError(Code.RATE_LIMITED, cause="too many sockets of one address")

    def enter(self, listener: Listener, network: str) -> None:
        """A socket was opened, and has not said which scan is its own."""
        self._all.add(listener)
        self._of_network[network] += 1

    def leave(self, listener: Listener, network: str) -> None:
        """It is gone."""
        self._all.discard(listener)
        self._of_network[network] -= 1
        if self._of_network[network] <= 0:
            del self._of_network[network]

    def join(self, scan_id: str, listener: Listener) -> None:
        """Told of each step from now on; call it right after ``read``. Raises 4290 for too many of one scan."""
        watch = self._watches[scan_id]
        if self._limited and len(watch.listeners) >= PER_SCAN:
            raise AppError(Code.RATE_LIMITED, cause="too many sockets of one scan")
        watch.listeners.add(listener)

    def part(self, scan_id: str, listener: Listener) -> None:
        """Told no more; to say so twice does no harm."""
        watch = self._watches.get(scan_id)
        if watch:
            watch.listeners.discard(listener)
            watch.used_at = self._clock.monotonic()

    async def wait(self, scan_id: str, network: str, waiter: "Waiter", timeout_s: float) -> None:
        """Returns after the next step, or when the time is up, the process stops or the waiter is closed.

        Call it right after ``read``; raises 4290.
        """
        self.check_room(network)
        self.join(scan_id, waiter)
        self.enter(waiter, network)
        try:
            if not self._stopping:
                await asyncio.wait([waiter.future], timeout=timeout_s)
        finally:
            self.part(scan_id, waiter)
            self.leave(waiter, network)

    def hear(self, word: Word) -> None:
        """A step of a scan, made here or elsewhere; what is older than what is known is dropped."""
        watch = self._watches.get(word.scan_id)
        if watch is None or word.version <= watch.version:
            return
        watch.version, watch.ends_at, watch.scan = word.version, word.ends_at, None
        if word.state == CONFIRMED and watch.listeners:
            metrics.SCAN_TOLD_S.observe(max(0, self._clock.now_ms() - word.at) / 1000)
        frame = word.frame.encode()
        for listener in tuple(watch.listeners):
            listener.tell(word.version, word.state, frame)

    def _forget(self, scan_id: str) -> None:
        """The scan is not in Redis. Who waits for it hears that it is over: nobody can confirm it any more."""
        watch = self._watches.pop(scan_id, None)
        if watch and watch.listeners:
            self._end(watch)

    def _end(self, watch: Watch) -> None:
        watch.version, watch.scan = watch.version + 1, None
        frame = scans.dump_frame({"version": watch.version, **make_frame(EXPIRED, 0, None, "")}).encode()
        for listener in tuple(watch.listeners):
            listener.tell(watch.version, EXPIRED, frame)

    async def _keep_listening(self) -> None:
        while True:
            try:
                await self._listen()
            except AppError:
                pass
            except Exception as error:  # whatever it is, the listening must go on
                get_logger().error("scans", exception=type(error).__name__, frames=frames_of(error))
            finally:
                self._is_live = False
            await asyncio.sleep(PAUSE_S)

    async def _listen(self) -> None:
        reading: asyncio.Task[None] | None = None
        try:
            async for word in scans.listen(self._kv):
                if word is None:  # the subscription stands: what came before it may have been missed
                    reading = asyncio.create_task(self._read_again())
                else:
                    self.hear(word)
        finally:
            await end_task(reading)

    async def _read_again(self) -> None:
        for scan_id, watch in list(self._watches.items()):
            watch.scan = None
            if not watch.listeners:
                del self._watches[scan_id]
        self._is_live = True
        waited_for = list(self._watches)
        while waited_for:
            some, waited_for = waited_for[:READ_AT_ONCE], waited_for[READ_AT_ONCE:]
            read = await asyncio.gather(*(self._try_read(one) for one in some))
            failed = [one for one, was_read in zip(some, read, strict=True) if not was_read]
            if failed:  # commands may be shut for a moment after the subscription stands; a new one ends this
                waited_for += failed
                await asyncio.sleep(PAUSE_S)

    async def _try_read(self, scan_id: str) -> bool:
        try:
            await self._read_one(scan_id)
        except AppError:
            return False
        return True

    async def _read_one(self, scan_id: str) -> None:
        watch = self._watches.get(scan_id)
        known = watch.version if watch else 0
        scan = await self.read(scan_id)
        if scan and watch and scan.version > known:
            now = self._clock.now_ms()
            frame = make_frame(scan.state, scan.ends_at - now, scan.user, scan.ticket)
            text = scans.dump_frame({"version": scan.version, **frame}).encode()
            for listener in tuple(watch.listeners):
                listener.tell(scan.version, scan.state, text)

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await self._sweep()
            except Exception as error:  # whatever it is, the sweeping must go on
                get_logger().error("scans", exception=type(error).__name__, frames=frames_of(error))

    async def _sweep(self) -> None:
        now, unused = self._clock.now_ms(), self._clock.monotonic() - KNOWN_S
        due = []
        for scan_id, watch in list(self._watches.items()):
            if watch.listeners and watch.ends_at and watch.ends_at <= now:
                due.append(scan_id)
            elif not watch.listeners and watch.used_at < unused:
                del self._watches[scan_id]
        await asyncio.gather(*(self._expire(scan_id) for scan_id in due))

    async def _expire(self, scan_id: str) -> None:
        """Its time is over: Redis says so to all, and without Redis this process says it to its own."""
        watch = self._watches.get(scan_id)
        if watch is None or (watch.scan and watch.scan.state not in OPEN):
            return
        try:
            await self.expire(scan_id)
            if not self._is_live:
                await self._read_one(scan_id)
        except AppError:
            self._forget(scan_id)


class Waiter:
    """A long poll; closed when its client is gone."""

    def __init__(self) -> None:
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell(self, version: int, state: str, frame: bytes) -> None:
        """See ``Listener``."""
        self._wake()

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """See ``Listener``."""
        self._wake()

    def _wake(self) -> None:
        if not self.future.done():
            self.future.set_result(None)
