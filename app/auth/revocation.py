"""Which sessions are over, looked at on every request without a trip to the database.

The ``revocations`` table is the feed. Each process reads it every 500 ms, by time and with overlap (a row may
become visible after its own time), and holds what is younger than an access token can be. When the last good read
is over a second old, or our clock is wrong, the database is asked; when it cannot be asked, nobody is let in (503).
``app.auth.signals`` brings word from other processes sooner; the feed stays the truth.

A session that a merge moved is in the feed too, with its new user: its access tokens that name the old one have
expired (4011), and a refresh gives one that names the new.
"""

import asyncio
from collections.abc import Callable

from core.clock import Clock
from core.errors import AppError, Code
from core.observe.logs import frames_of, get_logger
from core.tasks import end_task
from models import sessions
from models.db import Database
from models.sessions import Revocation

PERIOD_S = 0.5
FRESH_S = 1.0
REPLACED = "replaced"  # by another sign-in in the same browser
OVERLAP_MS = 60_000


class Revocations:
    """``await check(session_id, user_id)`` raises 4015 for an ended session, 4011 for one that moved to another user;
    ``start`` and ``stop`` run the reading.
    """

    def __init__(self, database: Database, clock: Clock, *, keep_s: int) -> None:
        self._database = database
        self._clock = clock
        self._keep_ms = keep_s * 1000
        self._revoked: dict[str, Revocation] = {}
        self._read_at = 0
        self._fresh_until = 0.0
        self._task: asyncio.Task[None] | None = None
        self.is_clock_wrong: Callable[[], bool] = lambda: False
        self.on_end: Callable[[str, str], None] = lambda _session_id, _reason: None
        self.announce: Callable[[list[str], str], None] = lambda _ids, _reason: None

    async def start(self) -> None:
        """Reads the feed once and then keeps reading; raises 5001 if the first read fails."""
        await self._read(self._clock.now_ms() - self._keep_ms)
        self._task = asyncio.create_task(self._keep_reading())

    async def stop(self) -> None:
        """Ends the reading."""
        await end_task(self._task)

    def add(self, session_ids: list[str], reason: str = "") -> None:
        """Sessions this process has ended (and committed): known here at once, and announced to the others."""
        if session_ids:
            self.hear(session_ids, reason)
            self.announce(session_ids, reason)

    def hear(self, session_ids: list[str], reason: str) -> None:
        """Known here at once, before the feed brings it."""
        now = self._clock.now_ms()
        for session_id in session_ids:
            self._note(session_id, Revocation(now, None, reason))

    async def check(self, session_id: str, user_id: str) -> None:
        """Raises 4015 if the session was revoked, 4011 if it is another user's by now, 5001 if nobody can tell."""
        moved_to = await self.check_ended(session_id)
        if moved_to and moved_to != user_id:
            raise AppError(Code.TOKEN_EXPIRED, cause="the user was merged into another")

    async def check_ended(self, session_id: str) -> str | None:
        """Raises 4015 if the session was revoked, 5001 if nobody can tell; the user it moved to, if it moved."""
        found = self._revoked.get(session_id)
        if not self.is_fresh and (found is None or found.moved_to):
            found = await sessions.find_revocation(self._database, session_id)
        if found is None:
            return None
        if found.moved_to is None:
            raise AppError(Code.SESSION_REVOKED, cause=found.reason)
        return found.moved_to

    def age_s(self) -> float:
        """Seconds since the feed was last read."""
        return max(0.0, self._clock.monotonic() - self._fresh_until + FRESH_S)

    @property
    def is_fresh(self) -> bool:
        """Whether the feed was read within the last second, and by a clock that tells what is new in it."""
        is_read = self._clock.monotonic() <= self._fresh_until  # not the wall clock, which may step back
        return is_read and not self.is_clock_wrong()

    def _note(self, session_id: str, found: Revocation) -> None:
        """A session that moved to another user may end later; one that ended stays so."""
        known = self._revoked.get(session_id)
        self._revoked[session_id] = found
        if found.moved_to is None and (known is None or known.moved_to is not None):
            self.on_end(session_id, found.reason)

    async def _keep_reading(self) -> None:
        while True:
            await asyncio.sleep(PERIOD_S)
            try:
                await self._read(self._read_at - OVERLAP_MS)
            except AppError:
                continue  # the age of the last good read tells
            except Exception as error:  # whatever it is, the reading must go on
                get_logger().error("revocations", exception=type(error).__name__, frames=frames_of(error))

    async def _read(self, since: int) -> None:
        now, asked_at = self._clock.now_ms(), self._clock.monotonic()
        for session_id, found in (await sessions.find_revoked(self._database, since)).items():
            self._note(session_id, found)
        self._read_at, self._fresh_until = now, asked_at + FRESH_S
        oldest = now - self._keep_ms
        if self._revoked and min(found.at for found in self._revoked.values()) < oldest:
            self._revoked = {one: found for one, found in self._revoked.items() if found.at >= oldest}
