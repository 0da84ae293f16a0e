"""Which sessions are over, looked at on every request without a trip to the database.

The ``revocations`` table is the feed. Each process reads it every 500 ms, by time and with overlap (a row may
become visible after its own time), and holds what is younger than an access token can be. When the last good read
is over a second old the database is asked; when it cannot be asked, nobody is let in (503).
"""

import asyncio
import contextlib

from core.clock import Clock
from core.errors import AppError, Code
from core.tasks import end_task
from models import sessions
from models.db import Database

PERIOD_S = 0.5
FRESH_MS = 1000
OVERLAP_MS = 60_000


class Revocations:
    """``await check(session_id)`` raises 4015 for an ended session; ``start`` and ``stop`` run the reading."""

    def __init__(self, database: Database, clock: Clock, *, keep_s: int) -> None:
        self._database = database
        self._clock = clock
        self._keep_ms = keep_s * 1000
        self._revoked: dict[str, int] = {}
        self._read_at = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Reads the feed once and then keeps reading; raises 5001 if the first read fails."""
        await self._read(self._clock.now_ms() - self._keep_ms)
        self._task = asyncio.create_task(self._keep_reading())

    async def stop(self) -> None:
        """Ends the reading."""
        await end_task(self._task)

    def add(self, session_ids: list[str]) -> None:
        """Known here at once, before the feed brings it."""
        now = self._clock.now_ms()
        self._revoked.update(dict.fromkeys(session_ids, now))

    async def check(self, session_id: str) -> None:
        """Raises 4015 if the session was revoked, 5001 if nobody can tell."""
        if session_id in self._revoked or (not self.is_fresh and await self._ask(session_id)):
            raise AppError(Code.SESSION_REVOKED)

    @property
    def is_fresh(self) -> bool:
        """Whether the feed was read within the last second."""
        return self._clock.now_ms() - self._read_at <= FRESH_MS

    async def _ask(self, session_id: str) -> bool:
        return await sessions.is_revoked(self._database, session_id)

    async def _keep_reading(self) -> None:
        while True:
            await asyncio.sleep(PERIOD_S)
            with contextlib.suppress(AppError):  # the age of the last good read tells
                await self._read(self._read_at - OVERLAP_MS)

    async def _read(self, since: int) -> None:
        now = self._clock.now_ms()
        self._revoked.update(await sessions.find_revoked(self._database, since))
        self._read_at = now
        oldest = now - self._keep_ms
        if self._revoked and min(self._revoked.values()) < oldest:
            self._revoked = {one: at for one, at in self._revoked.items() if at >= oldest}
