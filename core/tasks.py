"""Ending what runs in the background, or takes too long."""

import asyncio
from types import TracebackType
from typing import Any, Self

AGAIN_S = 0.1
TURNS = 10


class FairTimeout:
    """``asyncio.timeout`` for the answer of another process, which also gives our event loop some turns to take it.

    A loop that is late finds the timer due and the answer there at once, and would blame the other side for its own
    lateness.
    """

    def __init__(self, seconds: float) -> None:
        self._part_s = seconds / TURNS
        self._limit = asyncio.timeout(None)
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        self._wait(TURNS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._limit.__aexit__(kind, error, trace)

    def _wait(self, turns: int) -> None:
        if turns:
            self._timer = self._loop.call_later(self._part_s, self._wait, turns - 1)
        else:
            self._limit.reschedule(self._loop.time())


async def end_task(task: "asyncio.Task[Any] | None") -> None:
    """Cancels a task until it has ended; what it raised is of no interest any more.

    Once may not be enough: ``asyncio.wait_for`` of Python 3.11 swallows a cancellation that arrives together with
    the result it waits for (a connection just made), and an error in a ``finally`` may take its place.
    """
    while task and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=AGAIN_S)
    if task and not task.cancelled():
        task.exception()
