"""Background tasks, ended for sure."""

import asyncio
import contextlib
from typing import Any


async def end_task(task: "asyncio.Task[Any]") -> None:
    """Cancels until it has ended: a driver that is just connecting may swallow one cancellation (aiomysql does)."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.5)
    with contextlib.suppress(asyncio.CancelledError):
        task.result()
