"""What callbacks bring in is written to the inbox, answered, and then worked on.

The process that accepted a delivery works on it at once, in the order in which the deliveries about one subject came.
What failed is tried again, by whichever process sees first that it is due; so is what a process died with. A work
that failed too often is kept for an operator and logged as an error.
"""

import asyncio
import contextlib
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from app.crypto.sealing import CannotUnseal, Sealer
from core import failpoints
from core.clock import Clock
from core.errors import AppError
from core.observe import metrics
from core.observe.logs import frames_of, get_logger
from core.tasks import end_task
from models import inbox
from models.db import Database
from models.inbox import AlreadyFinished, Delivery, Inbox

LANES = 64  # deliveries about different subjects do not wait for each other, and share transactions
QUEUE_MAX = 64  # what does not fit is left to the sweep
CLAIM_MS = 15_000
WORK_S = 8.0
DRAIN_S = 3.0
SWEEP_S = (0.8, 1.2)
SWEEP_MAX = 500
BACK_OFF_S = (1, 3, 10, 30, 120, 600, 1800, 3600, 10800)

# True: it finished the delivery itself, in the transaction of its effect
Work = Callable[[Delivery, str], Awaitable[bool | None]]


@dataclass(frozen=True, slots=True)
class Incoming:
    """A genuine delivery; see ``models.inbox.Delivery``. Those with the same ``subject`` are worked on in order."""

    source: str
    dedup_key: str
    digest: str
    kind: str
    body: str = field(repr=False)
    subject: str = field(default="", repr=False)
    answer: str = ""
    nonce_key: str | None = None


def body_context(delivery_id: str) -> str:
    """What the sealing of a body is tied to."""
    return f"inbox:{delivery_id}"


class Intake:
    """``accept`` keeps a delivery; ``start`` and ``stop`` run the work.

    ``works``: the part of the source before the colon → what to do with (delivery, body). It may run more than once,
    so its effect is one that may, or shares a transaction with ``inbox.finish``.
    """

    def __init__(self, database: Database, clock: Clock, sealer: Sealer, works: dict[str, Work]) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._works = works
        self._inbox = Inbox(database)
        self._lanes: list[asyncio.Queue[Delivery]] = [asyncio.Queue(QUEUE_MAX) for _ in range(LANES)]
        self._tasks: list[asyncio.Task[Any]] = []

    async def accept(self, incoming: Incoming) -> Delivery | None:
        """None when it is new, and from now on durable; else the earlier delivery that it repeats. Raises 5001."""
        delivery_id, now = self._clock.new_id(), self._clock.now_ms()
        delivery = Delivery(
            id=delivery_id,
            source=incoming.source,
            dedup_key=incoming.dedup_key,
            digest=incoming.digest,
            kind=incoming.kind,
            body=self._sealer.seal(incoming.body, body_context(delivery_id)),
            answer=incoming.answer,
            attempts=1,
            due_at=now + CLAIM_MS,
            received_at=now,
            nonce_key=incoming.nonce_key,
        )
        repeated = await self._inbox.put(delivery)
        metrics.CALLBACKS.inc(_kind(delivery), "repeated" if repeated else "kept")
        if repeated is None:
            failpoints.reach("inbox.kept")
            self._queue(delivery, incoming.subject)
        return repeated

    def start(self) -> None:
        """Works until stopped."""
        self._tasks = [asyncio.create_task(self._work_lane(lane)) for lane in self._lanes]
        self._tasks.append(asyncio.create_task(self._keep_sweeping()))

    async def stop(self) -> None:
        """Ends once what was taken is done, or after a while; what is left is due again when its claim ends."""
        await self._inbox.close()
        if self._tasks:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.settle(), DRAIN_S)
        for task in self._tasks:
            await end_task(task)

    async def settle(self) -> None:
        """Waits until what this process took is done or put off."""
        await asyncio.gather(*(lane.join() for lane in self._lanes))

    def _queue(self, delivery: Delivery, subject: str) -> None:
        lane = self._lanes[zlib.crc32((subject or delivery.id).encode()) % LANES]
        if not lane.full():
            lane.put_nowait(delivery)

    async def _keep_sweeping(self) -> NoReturn:
        while True:
            try:
                await self.sweep()
            except AppError as error:
                get_logger().warning("inbox", cause=error.cause)
            await asyncio.sleep(self._clock.jitter(*SWEEP_S))

    async def sweep(self) -> None:
        """Takes what is due, whoever accepted it."""
        now = self._clock.now_ms()
        for delivery in await inbox.claim_due(self._database, now, now + CLAIM_MS, SWEEP_MAX):
            self._queue(delivery, "")

    async def _work_lane(self, lane: "asyncio.Queue[Delivery]") -> NoReturn:
        while True:
            delivery = await lane.get()
            try:
                if self._clock.now_ms() + WORK_S * 1000 < delivery.due_at:  # else another may take it meanwhile
                    await self._try(delivery)
            except AppError as error:  # the database is away: the claim will end
                get_logger().warning("inbox", delivery=delivery.id, kind=delivery.kind, cause=error.cause)
            finally:
                lane.task_done()

    async def _try(self, delivery: Delivery) -> None:
        try:
            async with asyncio.timeout(WORK_S):
                await self._work(delivery)
        except AppError as error:
            await self._put_off(delivery, f"{error.code.error}: {error.cause}")
        except TimeoutError:
            await self._put_off(delivery, f"not done within {WORK_S} s")
        except Exception as error:
            get_logger().error("bug", delivery=delivery.id, exception=type(error).__name__, frames=frames_of(error))
            await self._put_off(delivery, type(error).__name__)

    async def _work(self, delivery: Delivery) -> None:
        work = self._works[_kind(delivery)]
        try:
            body = self._sealer.unseal(delivery.body or "", body_context(delivery.id))
        except CannotUnseal as error:
            raise RuntimeError("the body does not open") from error
        try:
            is_finished = await work(delivery, body)
            failpoints.reach("inbox.worked")
            if not is_finished:
                await inbox.finish_later(self._database, delivery.id, self._clock.now_ms())
        except AlreadyFinished:
            return
        metrics.CALLBACKS.inc(_kind(delivery), "done")
        metrics.CALLBACK_S.observe((self._clock.now_ms() - delivery.received_at) / 1000, _kind(delivery))

    async def _put_off(self, delivery: Delivery, cause: str) -> None:
        now, is_dead = self._clock.now_ms(), delivery.attempts > len(BACK_OFF_S)
        metrics.CALLBACKS.inc(_kind(delivery), "dead" if is_dead else "put_off")
        if is_dead:
            get_logger().error("a callback was given up", delivery=delivery.id, kind=delivery.kind, cause=cause)
            await inbox.bury(self._database, delivery.id, now, cause)
        else:
            due_at = now + BACK_OFF_S[delivery.attempts - 1] * 1000
            await inbox.postpone(self._database, delivery.id, due_at, cause)


def _kind(delivery: Delivery) -> str:
    """``wechat``, ``wechatpay`` or ``partner``."""
    return delivery.source.partition(":")[0]
