"""A lane for each webhook, begun and ended as operators add and remove them."""

import asyncio
import contextlib

from app.crypto.sealing import Sealer
from app.events.addresses import Allowed
from app.events.delivery import Courier
from app.events.lane import Lane
from app.events.pace import Pace, Policy
from core.clock import Clock
from core.errors import AppError
from core.observe.logs import frames_of, get_logger
from core.tasks import end_task
from models import webhooks
from models.db import Database
from models.webhooks import Webhook

LOOK_S = 1.0


class Dispatcher:
    """``run`` keeps the lanes while this process relays; ``wake`` tells them of events."""

    def __init__(
        self, database: Database, clock: Clock, sealer: Sealer, allowed: Allowed, policy: Policy | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._allowed = allowed
        self._policy = policy or Policy()
        self._lanes: dict[str, Lane] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self, holder: str) -> None:
        """Until it is cancelled."""
        try:
            while True:
                with contextlib.suppress(AppError):
                    await self._look(holder)
                await asyncio.sleep(LOOK_S)
        finally:
            for task in self._tasks.values():
                await end_task(task)
            self._lanes.clear()
            self._tasks.clear()

    def wake(self) -> None:
        """Events were published."""
        for lane in self._lanes.values():
            lane.wake()

    def paused(self) -> dict[tuple[str, ...], float]:
        """Webhook → 1 while it takes nothing, for the metrics."""
        return {(lane.name,): float(lane.is_suspect) for lane in self._lanes.values()}

    @property
    def under_way(self) -> list[str]:
        """The ids of the webhooks with a lane."""
        return list(self._lanes)

    async def _look(self, holder: str) -> None:
        """Lanes for new webhooks; one whose webhook is gone has ended by itself."""
        found = await webhooks.find_webhooks(self._database)
        self._forget({one.id for one in found})
        for webhook in found:
            task = self._tasks.get(webhook.id)
            if task is None or task.done():
                _tell_of_bug(task)
                self._begin(holder, webhook)

    def _forget(self, known: set[str]) -> None:
        for webhook_id in self._tasks.keys() - known:
            if self._tasks[webhook_id].done():
                del self._tasks[webhook_id], self._lanes[webhook_id]

    def _begin(self, holder: str, webhook: Webhook) -> None:
        courier = Courier(self._allowed)
        pace = Pace(self._policy, self._clock)
        lane = Lane(self._database, self._clock, self._sealer, courier, pace, webhook)
        task = asyncio.create_task(lane.run(holder))
        task.add_done_callback(lambda _: courier.close())
        self._lanes[webhook.id] = lane
        self._tasks[webhook.id] = task


def _tell_of_bug(task: "asyncio.Task[None] | None") -> None:
    error = task.exception() if task and not task.cancelled() else None
    if error:
        get_logger().error("bug", exception=type(error).__name__, frames=frames_of(error))
