"""Work that arrives together is done together: the group commit of the design, and read batching.

A caller awaits its own result; underneath, whatever waits is handed to one call of ``run``. While that is
under way the next batch gathers, so batches grow with the load and a lone caller waits for nobody.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from core.errors import AppError, Code
from core.observe import metrics

Item = TypeVar("Item")
Result = TypeVar("Result")
AWAY = {Code.DATABASE_UNAVAILABLE, Code.CACHE_UNAVAILABLE}
Run = Callable[[list[Item]], Awaitable[Sequence[Result | Exception]]]


class Batcher(Generic[Item, Result]):
    """``run(items)`` returns one result or exception for each item, in order; if it raises, all items fail, and
    with 5001 or 5002 also those that wait behind them.

    ``lanes`` batches may be under way at once, each of at most ``max_items``. After a batch of more than one item
    a lane rests for ``linger_s``, so that under load the next one is worth its fixed cost. ``name`` is for metrics.
    """

    def __init__(
        self,
        run: Run[Item, Result],
        *,
        name: str = metrics.OTHER,
        max_items: int = 64,
        lanes: int = 1,
        linger_s: float = 0.0,
    ) -> None:
        self._name = name
        self._run = run
        self._max_items = max_items
        self._lanes = lanes
        self._linger_s = linger_s
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._busy = 0  # lanes under way
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, item: Item) -> "asyncio.Future[Result]":
        """A future of the item's own result; starts a batch if a lane is free."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._busy < self._lanes:
            self._start()
        return future

    async def close(self) -> None:
        """Waits until everything submitted is done."""
        while self._tasks:
            under_way = list(self._tasks)
            await asyncio.gather(*under_way, return_exceptions=True)
            self._tasks.difference_update(under_way)  # since 3.13 gather may return before their callbacks ran

    def load(self) -> dict[tuple[str, ...], float]:
        """Batches under way, and items that wait for the next."""
        return {("busy",): self._busy, ("waiting",): len(self._waiting), ("size",): self._lanes}

    def _start(self) -> None:
        self._busy += 1
        task = asyncio.get_running_loop().create_task(self._drain())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self) -> None:
        try:
            while self._waiting:
                size = min(len(self._waiting), self._max_items)
                batch = [self._waiting.popleft() for _ in range(size)]
                await self._work_off(batch)
                if self._linger_s and size > 1:
                    await asyncio.sleep(self._linger_s)
        finally:
            self._busy -= 1  # in the same turn as the look at an empty queue: an item that comes now starts a lane

    async def _work_off(self, batch: list[tuple[Item, "asyncio.Future[Result]"]]) -> None:
        results: Sequence[Result | Exception]
        metrics.BATCH.observe(len(batch), self._name)
        try:
            results = await self._run([item for item, _ in batch])
        except Exception as error:
            batch += self._give_up_waiting(error)
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            _settle(future, result)

    def _give_up_waiting(self, error: Exception) -> list[tuple[Item, "asyncio.Future[Result]"]]:
        """When the store is away, who waits has waited long enough: nobody's wait is the sum of others' timeouts."""
        if not (isinstance(error, AppError) and error.code in AWAY):
            return []
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting


def _settle(future: "asyncio.Future[Result]", result: Result | Exception) -> None:
    if future.done():  # its caller gave up
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
