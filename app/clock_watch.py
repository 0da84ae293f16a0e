"""Whether our clock agrees with those of the database and Redis.

The times of tokens and of the revocation feed are ours: 30 s are tolerated, and more would let in who is logged out.
A process is wrong when it is apart from both of them; where only one is, that one's clock is wrong.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from core.clock import Clock
from core.errors import AppError
from core.observe.logs import frames_of, get_logger
from core.tasks import end_task

EVERY_S = 2.0
APART_S = 5.0
SLOW_MS = 1000  # an answer that took longer says nothing about clocks

AskTime = Callable[[], Awaitable[int]]


class ClockWatch:
    """``start`` and ``stop`` run the looking; ``sources`` tell their milliseconds since 1970, or raise ``AppError``."""

    def __init__(self, clock: Clock, sources: Sequence[AskTime]) -> None:
        self._clock = clock
        self._sources = sources
        self._task: asyncio.Task[None] | None = None
        self.skew_s = 0.0  # by how much we are ahead of the one that is nearest to us

    @property
    def is_apart(self) -> bool:
        """Whether nobody's clock agrees with ours."""
        return abs(self.skew_s) > APART_S

    async def start(self) -> None:
        """Looks once, and then every two seconds."""
        await self.look()
        self._task = asyncio.create_task(self._keep_looking())

    async def stop(self) -> None:
        """Ends the looking."""
        await end_task(self._task)

    async def look(self) -> None:
        """Asks all; who does not answer is left out, and without any answer nothing changes."""
        found = [skew for ask in self._sources if (skew := await self._ask(ask)) is not None]
        if found:
            self._note(min(found, key=abs))

    async def _ask(self, ask: AskTime) -> float | None:
        before = self._clock.now_ms()
        try:
            theirs = await ask()
        except AppError:
            return None
        after = self._clock.now_ms()
        return ((before + after) / 2 - theirs) / 1000 if 0 <= after - before < SLOW_MS else None

    def _note(self, skew_s: float) -> None:
        was_apart, self.skew_s = self.is_apart, skew_s
        if self.is_apart != was_apart:
            log = get_logger().error if self.is_apart else get_logger().warning
            log("clock apart" if self.is_apart else "clock agrees again", skew_s=round(skew_s, 1))

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.look()
            except Exception as error:  # whatever it is, the looking must go on
                get_logger().error("clock", exception=type(error).__name__, frames=frames_of(error))
