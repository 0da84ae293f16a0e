"""What both databases share: transactions that are retried whole, reads that survive a lost connection."""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeVar

from core.clock import Clock
from core.errors import AppError, Code
from core.observe import metrics, traces
from core.observe.logs import get_logger

Row = tuple[Any, ...]
T = TypeVar("T")

BUDGET_S = 1.8  # of one call here, pool wait and retries included: a client hears of an outage within 2 s
ATTEMPTS = 4


class DuplicateKey(Exception):
    """A unique key refused a row: read again, someone was faster."""

    reason = "duplicate_key"


class LostConnection(Exception):
    """The connection broke before COMMIT was sent, so nothing happened: try again on another."""

    reason = "lost_connection"


class Conflict(Exception):
    """Deadlock or lock wait timeout: the whole transaction was rolled back and may be tried again."""

    def __init__(self, text: str, reason: str = "deadlock") -> None:
        super().__init__(text)
        self.reason = reason


class AlreadyThere(AppError):
    """A column or index to be added exists, or one to be dropped does not."""


class Dialect(Protocol):
    """Where MySQL and SQLite differ, in words."""

    name: str
    for_update: str

    def upsert(self, key: str, assignments: str) -> str:
        """The tail of an INSERT that updates the row when ``key`` exists; ``NEW(x)`` in it is the value offered."""
        ...


class Tx(Protocol):
    """A transaction under way; every statement takes parameters, never text put together from input."""

    dialect: Dialect
    has_events: bool  # whether it wrote to the outbox

    async def fetch(self, sql: str, args: Sequence[Any] = ()) -> list[Row]:
        """All rows of a SELECT."""
        ...

    async def execute(self, sql: str, args: Sequence[Any] = ()) -> int:
        """Runs a write and returns the number of rows it touched."""
        ...


class Database(ABC):
    """``run`` for transactions, ``fetch`` for single reads; nothing else reaches the driver."""

    dialect: Dialect
    pool_size: int

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.on_events: Callable[[], None] = _nobody_asked  # called after each commit that wrote to the outbox
        self._under_way = 0

    async def run(self, work: Callable[[Tx], Awaitable[T]], budget_s: float = BUDGET_S) -> T:
        """The result of ``work`` in one transaction, retried whole after a deadlock, a lost connection or a
        duplicate key (``work`` reads before it writes, so its second run sees the row that was faster).

        Raises ``DuplicateKey`` when even that does not help, and 5001.
        """

        async def attempt() -> T:
            async with self._transaction() as tx:
                result = await work(tx)
            if tx.has_events:
                self.on_events()
            return result

        return await self._measured("transaction", attempt, budget_s)

    async def fetch(self, sql: str, args: Sequence[Any] = ()) -> list[Row]:
        """All rows of one SELECT outside a transaction; raises 5001."""

        async def attempt() -> list[Row]:
            async with self._reader() as tx:
                return await tx.fetch(sql, args)

        return await self._measured("read", attempt, BUDGET_S)

    async def ping(self) -> None:
        """Raises 5001 unless the database answers now."""
        await self.fetch("SELECT 1")

    def load(self) -> dict[tuple[str, ...], float]:
        """For ``metrics.DB_POOL``: calls that have a connection, and those that wait for one."""
        busy = min(self._under_way, self.pool_size)
        return {("busy",): busy, ("waiting",): self._under_way - busy, ("size",): self.pool_size}

    @abstractmethod
    async def close(self) -> None:
        """Closes all connections."""

    @abstractmethod
    def _transaction(self) -> AbstractAsyncContextManager[Tx]:
        """BEGIN … COMMIT, or ROLLBACK when the block raises."""

    @abstractmethod
    def _reader(self) -> AbstractAsyncContextManager[Tx]:
        """A connection for one read."""

    async def _measured(self, kind: str, attempt: Callable[[], Awaitable[T]], budget_s: float) -> T:
        started = self._clock.monotonic()
        self._under_way += 1
        try:
            return await self._retrying(attempt, budget_s)
        except AppError as error:
            if error.code is Code.DATABASE_UNAVAILABLE:
                metrics.DB_FAILURES.inc()
            raise
        finally:
            self._under_way -= 1
            took_s = self._clock.monotonic() - started
            metrics.DB_S.observe(took_s, kind)
            get_logger().debug("database", kind=kind, ms=round(took_s * 1000, 1))

    async def _retrying(self, attempt: Callable[[], Awaitable[T]], budget_s: float) -> T:
        try:
            async with asyncio.timeout(budget_s):
                return await self._attempts(attempt)
        except TimeoutError:
            raise AppError(Code.DATABASE_UNAVAILABLE, cause=f"no answer within {budget_s} s") from None

    async def _attempts(self, attempt: Callable[[], Awaitable[T]]) -> T:
        for count in range(1, ATTEMPTS):
            try:
                return await attempt()
            except (Conflict, DuplicateKey) as error:
                metrics.DB_RETRIES.inc(error.reason)
                await asyncio.sleep(self._clock.jitter(0.001, 0.02) * count)
            except LostConnection as error:
                metrics.DB_RETRIES.inc(error.reason)
        try:
            return await attempt()
        except (Conflict, LostConnection) as error:
            raise AppError(Code.DATABASE_UNAVAILABLE, cause=str(error)) from error

    @asynccontextmanager
    async def migration_lock(self) -> AsyncIterator[None]:
        """Held while migrations run, so that two runs at once do not both apply a file."""
        yield


def _nobody_asked() -> None:
    """No relay in this process."""


def statement(system: str, sql: str) -> traces.Span:
    """The span of a statement; its values are parameters, and no part of it."""
    if traces.current() is None:
        return traces.NO_SPAN
    name = sql.split(None, 1)[0]
    return traces.span(name, "client", {"db.system.name": system, "db.operation.name": name, "db.query.text": sql})


def marks(count: int) -> str:
    """``%s, %s, …`` for an IN list of that many values."""
    return ", ".join(["%s"] * count)


def rows_of(rows: Iterable[Sequence[Any]]) -> tuple[str, list[Any]]:
    """The VALUES lists of a multi-row INSERT, and its parameters in order."""
    rows = list(rows)
    one = f"({marks(len(rows[0]))})"
    return ", ".join([one] * len(rows)), [value for row in rows for value in row]


def text(value: Any) -> str | None:
    """A value of an exactly compared column: VARBINARY in MySQL, TEXT in SQLite, ASCII in both."""
    return value.decode("ascii") if isinstance(value, bytes) else value


def spell_new(assignments: str, form: str) -> str:
    """``NEW(x)`` in the dialect's own spelling, such as ``VALUES(x)``."""
    return re.sub(r"NEW\((\w+)\)", form, assignments)
