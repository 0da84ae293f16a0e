"""The relay: from the outbox to the stream and, behind it, to webhooks. One process at a time does it.

A lease in the database says which; it is renewed twice in its time, and whoever waits for it looks again when it
runs out. A process that lost it without noticing cannot mark anything: each mark is made under the lock of the
lease. Between appending to the stream and marking, a crash tells the same events again, with the same ids.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from app.events.dispatch import Dispatcher
from app.users.views import rfc3339
from core import failpoints
from core.clock import Clock
from core.errors import AppError
from core.observe import metrics, traces
from core.observe.logs import frames_of, get_logger
from core.tasks import end_task
from models import event_stream, leases, publishing
from models.db import Database
from models.kv import Kv
from models.publishing import LEASE, LeaseLost, Told

LEASE_MS = 3000
RENEW_S = 1.2
BATCH = 1000
CHUNK = 100  # appended to the stream by one command: a millisecond of Redis, which does nothing else meanwhile
POLL_S = 1.0  # for what no signal told of
GATHER_S = 0.02  # after a signal, so that events under load share the fixed cost of a round
TRACED: traces.Attributes = {"messaging.system": "redis", "messaging.destination.name": event_stream.STREAM}
PAUSES_S = (0.2, 0.5, 1.0, 2.0)  # after failures: database or Redis away


class Relay:
    """``start`` and ``stop`` run it in the background; ``wake`` says that there is something new."""

    def __init__(self, database: Database, kv: Kv, clock: Clock, dispatcher: Dispatcher, *, kept: int) -> None:
        self._database = database
        self._kv = kv
        self._clock = clock
        self._dispatcher = dispatcher
        self._kept = kept
        self._holder = clock.new_id()
        self._new = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._working: list[asyncio.Task[None]] = []
        self._held_until = 0.0
        self._stalled_at: float | None = None
        self._unwatch: list[Callable[[], None]] = []
        self.leads = False
        self.tell_leader: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Relays as soon as no other process does."""
        self._database.on_events = self.committed
        self._unwatch = [
            metrics.RELAY.watch(lambda: float(self.leads)),
            metrics.RELAY_STALLED_S.watch(self._stalled_s),
            metrics.WEBHOOK_PAUSED.watch(self._dispatcher.paused),
        ]
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends it, and lets another process begin at once."""
        await end_task(self._task)
        await self._end_work()
        while self._unwatch:
            self._unwatch.pop()()
        with contextlib.suppress(AppError):
            await leases.release_lease(self._database, LEASE, self._holder)

    @property
    def webhooks(self) -> list[str]:
        """The ids of those that are being delivered to."""
        return self._dispatcher.under_way

    def committed(self) -> None:
        """Events were written by this process: this relay is woken, or the one that leads is told."""
        failpoints.reach("events.committed")
        if self.leads:
            self.wake()
        else:
            self.tell_leader()

    def wake(self) -> None:
        """There is something new."""
        self._new.set()

    async def _run(self) -> None:
        while True:
            try:
                await self._wait_for_lease()
                await self._lead()
            except AppError as error:
                get_logger().warning("the relay waits", cause=error.cause)
                await asyncio.sleep(self._clock.jitter(0.5, 1.5))
            except ExceptionGroup as group:
                for bug in group.exceptions:
                    get_logger().error("bug", exception=type(bug).__name__, frames=frames_of(bug))
                await asyncio.sleep(PAUSES_S[-1])

    async def _wait_for_lease(self) -> None:
        while not await self._renew():
            left_ms = await leases.find_end(self._database, LEASE) - self._clock.now_ms()
            await asyncio.sleep(min(max(left_ms, 0), LEASE_MS) / 1000 + self._clock.jitter(0.01, 0.1))

    async def _lead(self) -> None:
        """Until the lease is lost."""
        self.leads = True
        get_logger().info("relaying events")
        work = (self._keep_lease(), self._keep_publishing(), self._dispatcher.run(self._holder))
        self._working = [asyncio.create_task(one) for one in work]
        try:
            ended, _ = await asyncio.wait(self._working, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.leads = False
            await self._end_work()
        errors = [error for task in ended if isinstance(error := task.exception(), Exception)]
        if any(isinstance(error, LeaseLost) for error in errors):
            get_logger().warning("another process relays now")
        bugs = [error for error in errors if not isinstance(error, LeaseLost)]
        if bugs:
            raise ExceptionGroup("relay", bugs)

    async def _end_work(self) -> None:
        """No task group: it cancels each task once, and a connection attempt may swallow that (see ``end_task``)."""
        for task in self._working:
            await end_task(task)

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                if not await self._renew():
                    raise LeaseLost
            except AppError:
                self._check_lease()

    async def _renew(self) -> bool:
        asked_at = self._clock.monotonic()
        held = await leases.hold_lease(self._database, LEASE, self._holder, self._clock.now_ms(), LEASE_MS)
        self._held_until = asked_at + LEASE_MS / 1000 if held else 0.0
        return held

    def _check_lease(self) -> None:
        """A process that stood still for a while does not tell what another has told of since."""
        if self._clock.monotonic() > self._held_until:
            raise LeaseLost

    async def _keep_publishing(self) -> None:
        failures = 0
        self._stalled_at = None
        while True:
            try:
                await self._publish_all()
                failures, self._stalled_at = 0, None
            except AppError as error:
                if not failures:
                    get_logger().warning("events wait", cause=error.cause)
                    self._stalled_at = self._clock.monotonic()
                await asyncio.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
                failures += 1
            else:
                await self._wait_for_news()

    def _stalled_s(self) -> float:
        return self._clock.monotonic() - self._stalled_at if self._stalled_at is not None else 0.0

    async def _wait_for_news(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self._new.wait()
                await asyncio.sleep(GATHER_S)
        self._new.clear()

    async def _publish_all(self) -> None:
        """Walks over the users with something new, from the first to the last."""
        from_user = ""
        while events := await publishing.find_unpublished(self._database, from_user, BATCH):
            with traces.trace("publish events", "producer", {**TRACED, "messaging.batch.message_count": len(events)}):
                await self._publish(events)
            if len(events) < BATCH:
                return
            from_user = events[-1].user_id

    async def _publish(self, events: Sequence[Told]) -> None:
        failpoints.reach("relay.taken")
        for start in range(0, len(events), CHUNK):
            self._check_lease()
            entries = [_entry(event) for event in events[start : start + CHUNK]]
            await event_stream.append_events(self._kv, entries, self._kept)
        failpoints.reach("relay.appended")
        now = self._clock.now_ms()
        await publishing.mark_published(self._database, self._holder, [event.id for event in events], now)
        metrics.EVENTS.inc(by=len(events))
        for event in events:
            metrics.EVENT_LAG_S.observe((now - event.occurred_at) / 1000)
        failpoints.reach("relay.marked")
        self._dispatcher.wake()


def _entry(event: Told) -> tuple[str, int, str, str, str, str]:
    return event.id, event.seq, event.type, rfc3339(event.occurred_at) or "", event.subject or "", event.data
