"""Ending what runs in the background."""

import asyncio
from typing import Any

AGAIN_S = 0.1


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
