"""Work that arrives together is done together: the group commit of the design, and read batching.

A caller awaits its own result; underneath, whatever waits is handed to one call of ``run``. While that is
under way the next batch gathers, so batches grow with the load and a lone caller waits for nobody.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from core.errors import AppError, Code
from core.observe import metrics, traces

Item = TypeVar("Item")
Result = TypeVar("Result")
Waiting = tuple[Item, asyncio.Future[Result], traces.Span | None]  # the span it is part of
AWAY = {Code.DATABASE_UNAVAILABLE, Code.CACHE_UNAVAILABLE}
Run = Callable[[list[Item]], Awaitable[Sequence[Result | Exception]]]


class Described(NamedTuple):
    """What a span says of a batch."""

    name: str
    kind: traces.Kind
    attributes: traces.Attributes


class Batcher(Generic[Item, Result]):
    """``run(items)`` returns one result or exception for each item, in order; if it raises, all items fail, and
    with 5001 or 5002 also those that wait behind them.

    ``lanes`` batches may be under way at once, each of at most ``max_items``. After a batch of more than one item
    a lane rests for ``linger_s``, so that under load the next one is worth its fixed cost. ``name`` is for metrics and
    for spans, unless ``describe`` says more of these.
    """

    def __init__(
        self,
        run: Run[Item, Result],
        *,
        name: str = metrics.OTHER,
        max_items: int = 64,
        lanes: int = 1,
        linger_s: float = 0.0,
        describe: Callable[[Sequence[Item]], Described] | None = None,
    ) -> None:
        self._name = name
        self._run = run
        self._max_items = max_items
        self._lanes = lanes
        self._linger_s = linger_s
        self._describe = describe or self._as_internal
        self._waiting: deque[Waiting[Item, Result]] = deque()
        self._busy = 0  # lanes under way
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, item: Item) -> "asyncio.Future[Result]":
        """A future of the item's own result; starts a batch if a lane is free."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future, traces.current()))
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

    async def _work_off(self, batch: list[Waiting[Item, Result]]) -> None:
        results: Sequence[Result | Exception]
        metrics.BATCH.observe(len(batch), self._name)
        try:
            results = await self._run_traced(batch) if traces.is_on() else await self._run([one[0] for one in batch])
        except Exception as error:
            batch += self._give_up_waiting(error)
            results = [error] * len(batch)
        for (_, future, _), result in zip(batch, results, strict=True):
            _settle(future, result)

    async def _run_traced(self, batch: list[Waiting[Item, Result]]) -> Sequence[Result | Exception]:
        items = [one[0] for one in batch]
        name, kind, about = self._describe(items)
        about = {**about, "kaimen.batch.items": len(items)}
        with traces.together(name, kind, about, [span for _, _, span in batch]):
            return await self._run(items)

    def _as_internal(self, _items: Sequence[Item]) -> Described:
        return Described(f"batch {self._name}", "internal", {})

    def _give_up_waiting(self, error: Exception) -> list[Waiting[Item, Result]]:
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
