"""Retention: what is older than the settings allow is deleted, in small steps, by one process at a time."""

import asyncio
from collections.abc import Callable

from app.auth.tokens import LEEWAY_S
from app.avatars.service import sweep
from app.avatars.storage import AvatarStorage
from core.clock import Clock
from core.errors import AppError
from core.observe.logs import get_logger
from core.settings import Settings
from core.tasks import end_task
from models import avatars, leases, notes, pruning, statistics
from models.db import Database
from models.merges import UNDO_MS
from models.notes import BCRYPT_NOTE

DAY_MS = 86_400_000
PERIOD_S = 3600.0
FIRST_AFTER_S = (60.0, 300.0)
CHUNK = 500
PAUSE_S = 0.05  # between two chunks, so that requests never wait for more than one of them
LEASE = "prune"
LEASE_MS = 300_000


class Pruner:
    """``run_once`` deletes all that is due; ``start`` and ``stop`` do so every hour in the background."""

    def __init__(
        self, database: Database, clock: Clock, settings: Settings, storage: AvatarStorage | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._days = settings.retention
        self._revocations_ms = (settings.access_ttl_s + 2 * LEEWAY_S) * 1000 + DAY_MS
        self._storage = storage
        self._holder = clock.new_id()
        self._task: asyncio.Task[None] | None = None

    def limits(self) -> dict[str, int]:
        """Table → the moment (ms) before which its rows are due."""
        now = self._clock.now_ms()
        return {
            **{table: now - days * DAY_MS for table, days in self._days.items()},
            "deliveries": now - self._days["outbox"] * DAY_MS,
            "merges": now - UNDO_MS,
            "revocations": now - self._revocations_ms,
            "avatars": now,
        }

    async def count(self) -> dict[str, int]:
        """Table → how many rows are due."""
        limits = self.limits()
        rows = {
            table: await pruning.count_due(self._database, what, limits[table])
            for table, what in pruning.PRUNABLE.items()
        }
        if self._storage:
            rows["avatars"] = await avatars.count_due(self._database, limits["avatars"])
        return rows

    async def run_once(self, told: Callable[[str, int], None] = lambda _table, _count: None) -> dict[str, int] | None:
        """Table → rows deleted; None if another process is at it. ``told`` hears of each chunk."""
        if not await self._hold():
            return None
        try:
            await self._forget_bcrypt()
            limits = self.limits()
            rows = {table: await self._prune(table, limits[table], told) for table in pruning.PRUNABLE}
            return {**rows, **await self._sweep()}
        finally:
            await leases.release_lease(self._database, LEASE, self._holder)

    async def start(self) -> None:
        """Begins the hourly runs, the first within minutes and not at the same moment in all processes."""
        self._task = asyncio.create_task(self._keep_pruning())

    async def stop(self) -> None:
        """Ends them."""
        await end_task(self._task)

    async def _prune(self, table: str, before: int, told: Callable[[str, int], None]) -> int:
        deleted = 0
        at: int | None = 0
        while at is not None and await self._hold():
            count, at = await pruning.delete_due(self._database, pruning.PRUNABLE[table], before, at, CHUNK)
            deleted += count
            told(table, count)
            if at is not None:
                await asyncio.sleep(PAUSE_S)
        return deleted

    async def _sweep(self) -> dict[str, int]:
        """Files, not rows alone, so it needs to know where they are."""
        return {"avatars": await sweep(self._database, self._clock, self._storage)} if self._storage else {}

    async def _forget_bcrypt(self) -> None:
        """When the last imported hash was replaced, unknown users need not cost bcrypt's work any more."""
        noted = await notes.find_note(self._database, BCRYPT_NOTE)
        if noted and not await statistics.count_bcrypt(self._database):
            await notes.delete_note(self._database, BCRYPT_NOTE)

    async def _hold(self) -> bool:
        return await leases.hold_lease(self._database, LEASE, self._holder, self._clock.now_ms(), LEASE_MS)

    async def _keep_pruning(self) -> None:
        await asyncio.sleep(self._clock.jitter(*FIRST_AFTER_S))
        while True:
            try:
                deleted = await self.run_once()
                if deleted is not None:
                    get_logger().info("pruned", deleted=deleted)
            except AppError as error:
                get_logger().warning("pruning failed; it will be tried again", cause=error.cause)
            await asyncio.sleep(PERIOD_S)
