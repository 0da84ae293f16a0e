"""SQLite through aiosqlite, for development and single-process servers: WAL, one writer, one reader."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import aiosqlite

from core.clock import Clock
from core.errors import AppError, Code
from models.db.base import Conflict, Database, Dialect, DuplicateKey, Row, Tx, spell_new, statement

PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 1500",
    "PRAGMA secure_delete = ON",  # a deleted user is gone from the file, too
)


class SQLiteDialect:
    """SQLite 3.35 or newer."""

    name = "sqlite"
    for_update = ""  # BEGIN IMMEDIATE has locked the whole database already

    def upsert(self, key: str, assignments: str) -> str:
        """See ``Dialect``."""
        return f" ON CONFLICT ({key}) DO UPDATE SET " + spell_new(assignments, r"excluded.\1")


class SQLiteTx:
    """Statements on one connection."""

    dialect: Dialect = SQLiteDialect()

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self.has_events = False

    async def fetch(self, sql: str, args: Sequence[Any] = ()) -> list[Row]:
        """See ``Tx``."""
        with statement(self.dialect.name, sql), _mapped_errors():
            return list(await self._connection.execute_fetchall(_placeholders(sql), args))  # type: ignore[arg-type]

    async def execute(self, sql: str, args: Sequence[Any] = ()) -> int:
        """See ``Tx``."""
        with statement(self.dialect.name, sql), _mapped_errors():
            async with self._connection.execute(_placeholders(sql), args) as cursor:
                return cursor.rowcount


class SQLite(Database):
    """Writes one at a time; reads beside them see the last committed state (WAL)."""

    dialect: Dialect = SQLiteDialect()
    pool_size = 2

    def __init__(self, path: Path, clock: Clock) -> None:
        super().__init__(clock)
        self._path = path
        self._writing = asyncio.Lock()
        self._opening = asyncio.Lock()
        self._closing: set[asyncio.Future[None]] = set()
        self._connections: dict[str, aiosqlite.Connection] = {}
        self._closed = False

    async def close(self) -> None:
        """See ``Database``."""
        self._closed = True  # who comes later opens nothing that nobody would close
        while self._connections:
            _, connection = self._connections.popitem()
            await connection.close()
        await asyncio.gather(*self._closing, return_exceptions=True)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Tx]:
        async with self._writing:
            connection = await self._connection("writer")
            tx = SQLiteTx(connection)
            try:
                await tx.execute("BEGIN IMMEDIATE")
                yield tx
                await tx.execute("COMMIT")
            except asyncio.CancelledError:
                self._discard_writer()
                raise
            except BaseException:
                if connection.in_transaction:
                    await tx.execute("ROLLBACK")
                raise

    def _discard_writer(self) -> None:
        """Its thread may still be waiting for the lock and get it later: closing it then rolls back."""
        closing = asyncio.ensure_future(self._connections.pop("writer").close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[Tx]:
        yield SQLiteTx(await self._connection("reader"))

    async def _connection(self, role: str) -> aiosqlite.Connection:
        async with self._opening:
            if self._closed:
                raise AppError(Code.DATABASE_UNAVAILABLE, cause="closed")
            if role not in self._connections:
                self._connections[role] = await self._connect()
            return self._connections[role]

    async def _connect(self) -> aiosqlite.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with _mapped_errors():
            connection = aiosqlite.connect(self._path, isolation_level=None)
            connection._thread.daemon = True  # the end of the process waits for no connection
            await connection
            try:
                for pragma in PRAGMAS:
                    await connection.execute(pragma)
            except BaseException:
                connection.stop()
                raise
            return connection


def copy_database(path: Path, target: Path) -> None:
    """One moment of the whole database, while others go on writing."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


@lru_cache(maxsize=512)
def _placeholders(sql: str) -> str:
    return sql.replace("%s", "?")


@contextmanager
def _mapped_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorname not in {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"}:
            raise
        raise DuplicateKey(str(error).rsplit(": ", 1)[-1]) from None
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname in {"SQLITE_BUSY", "SQLITE_LOCKED"}:
            raise Conflict("the database file is locked", "lock_wait") from None
        if error.sqlite_errorname == "SQLITE_ERROR":  # bad SQL is a bug, not an outage
            raise
        raise AppError(Code.DATABASE_UNAVAILABLE, cause=str(error)) from None
