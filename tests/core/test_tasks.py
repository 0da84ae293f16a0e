"""Background tasks end when they are told to, even one that misses the first cancellation."""

import asyncio
import contextlib

from core.tasks import end_task


async def test_a_task_that_swallows_a_cancellation_is_ended_all_the_same() -> None:
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            with contextlib.suppress(asyncio.CancelledError if swallowed == 0 else ValueError):
                await asyncio.sleep(60)
            swallowed += 1

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await asyncio.wait_for(end_task(task), 5)
    assert (swallowed, task.cancelled()) == (1, True)


async def test_a_task_that_failed_or_never_began_needs_no_ending() -> None:
    async def failing() -> None:
        raise ValueError

    task = asyncio.create_task(failing())
    await asyncio.sleep(0)
    await end_task(task)
    await end_task(None)
    assert task.done()
