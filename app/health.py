"""Whether this process can serve (what ``/readyz`` says), and what it is busy with."""

import asyncio
from typing import Any

from app.clock_watch import ClockWatch
from core.errors import AppError
from models.db import Database
from models.kv import Kv


class Health:
    """Asks the database and Redis; the database is needed, Redis is missed."""

    def __init__(self, database: Database, kv: Kv, clock_watch: ClockWatch) -> None:
        self._clock_watch = clock_watch
        self._database = database
        self._kv = kv
        self.stopping = False
        self._under_way: set[object] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def begin(self, request: object) -> None:
        """A request is under way."""
        self._under_way.add(request)
        self._idle.clear()

    def end(self, request: object) -> None:
        """It is no longer; to say so twice does no harm."""
        self._under_way.discard(request)
        if not self._under_way:
            self._idle.set()

    def under_way(self) -> int:
        """Requests that have not been answered yet."""
        return len(self._under_way)

    async def wait_idle(self, timeout_s: float) -> bool:
        """Waits until nothing is under way; False if the time was too short."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def check(self) -> dict[str, Any]:
        """``{status: "ok" | "degraded" | "unavailable", unusable: [name, …]}``."""
        unusable = [name for name, service in self._services() if not await _answers(service)]
        if self._clock_watch.is_apart:
            unusable.append("clock")
        if self.stopping:
            unusable.append("stopping")
        needed = {"database", "clock", "stopping"} & set(unusable)
        status = "unavailable" if needed else "degraded" if unusable else "ok"
        return {"status": status, "unusable": unusable}

    def _services(self) -> list[tuple[str, Database | Kv]]:
        return [("database", self._database), ("redis", self._kv)]


async def _answers(service: Database | Kv) -> bool:
    try:
        await service.ping()
    except AppError:
        return False
    return True
