"""MySQL and MariaDB through aiomysql: a small pool, and the driver's traps disarmed.

aiomysql turns multi-statements on, goes on in plaintext when TLS was asked for but not offered, and has no
read timeout; see ``_Connection`` and ``Database.BUDGET_S``.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from aiomysql.connection import Connection
from pymysql import err
from pymysql.constants import CLIENT, ER

from core.clock import Clock
from core.errors import AppError, Code
from core.settings import SettingsInvalid
from models.db.base import (
    AlreadyThere,
    Conflict,
    Database,
    Dialect,
    DuplicateKey,
    LostConnection,
    Row,
    Tx,
    spell_new,
    statement,
)

POOL_SIZE = 16
CONNECT_TIMEOUT_S = 1.0
CONFLICTS = {ER.LOCK_DEADLOCK: "deadlock", ER.LOCK_WAIT_TIMEOUT: "lock_wait"}
ALREADY_THERE = {1060, 1061, 1091}  # a column, an index; nothing to drop
LOST = {2003, 2006, 2013, 1927, 1053}  # cannot connect, gone away, lost, killed, shutting down
# A node without its cluster, a COMMIT that failed in the middle, a server that became read-only: behind a balancer
# another connection may lead to one that is well.
UNUSABLE = {ER.UNKNOWN_COM_ERROR, ER.ERROR_DURING_COMMIT, ER.OPTION_PREVENTS_STATEMENT, 1836}
INIT = "SET SESSION sql_mode = 'TRADITIONAL', innodb_lock_wait_timeout = 1, time_zone = '+00:00', sql_notes = 0"
ISOLATION = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
IN_CLUSTER = "SHOW SESSION VARIABLES WHERE Variable_name = 'wsrep_on' AND Value = 'ON'"
SEE_ALL = "SET SESSION wsrep_sync_wait = 1"  # a read sees what any node has acknowledged; only Galera knows it


find_special = re.compile(r"""[\0\n\r\x1a"'\\]""").search  # all that the driver escapes


class Unusable(AppError):
    """The server behind this connection refuses to work; the connection is not kept."""


class MySQLDialect:
    """MySQL 8 and MariaDB 10.11."""

    name = "mysql"
    for_update = " FOR UPDATE"

    def upsert(self, key: str, assignments: str) -> str:
        """See ``Dialect``; the key is implied."""
        return " ON DUPLICATE KEY UPDATE " + spell_new(assignments, r"VALUES(\1)")


class _Connection(Connection):  # type: ignore[misc]
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.client_flag &= ~CLIENT.MULTI_STATEMENTS

    def escape(self, obj: Any) -> Any:
        """The driver's own, but for what needs no escaping: nearly all values, at a tenth of the time."""
        if obj is None:
            return "NULL"
        if type(obj) is int:
            return str(obj)
        if type(obj) is str and find_special(obj) is None:
            return f"'{obj}'"
        return super().escape(obj)

    async def _request_authentication(self) -> None:
        if self._ssl_context and not self.server_capabilities & CLIENT.SSL:
            raise err.OperationalError(2026, "the server offers no TLS, which the settings ask for")
        await super()._request_authentication()


class MySQLTx:
    """Statements on one connection."""

    dialect: Dialect = MySQLDialect()

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.has_events = False

    async def fetch(self, sql: str, args: Sequence[Any] = ()) -> list[Row]:
        """See ``Tx``."""
        with statement(self.dialect.name, sql), _mapped_errors():
            async with self._connection.cursor() as cursor:
                await cursor.execute(sql, args or None)
                return list(await cursor.fetchall())

    async def execute(self, sql: str, args: Sequence[Any] = ()) -> int:
        """See ``Tx``; the count is of rows matched, not of rows changed (the driver sets FOUND_ROWS)."""
        with statement(self.dialect.name, sql), _mapped_errors():
            async with self._connection.cursor() as cursor:
                return int(await cursor.execute(sql, args or None))


class MySQL(Database):
    """A pool of connections, the one used last first."""

    dialect: Dialect = MySQLDialect()
    pool_size = POOL_SIZE

    def __init__(self, url: str, clock: Clock) -> None:
        super().__init__(clock)
        self._options = parse_url(url)
        self._idle: list[Connection] = []
        self._slots = asyncio.Semaphore(POOL_SIZE)

    async def close(self) -> None:
        """See ``Database``."""
        while self._idle:
            await self._idle.pop().ensure_closed()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Tx]:
        async with self._connection() as connection:
            tx = MySQLTx(connection)
            await tx.execute("BEGIN")
            try:
                yield tx
            except (DuplicateKey, Conflict, AppError):
                await tx.execute("ROLLBACK")
                raise
            await _commit(tx)

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[Tx]:
        async with self._connection() as connection:
            yield MySQLTx(connection)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        async with self._slots:
            connection = self._find_idle() or await self._connect()
            try:
                yield connection
            except Unusable:
                connection.close()
                raise
            except (DuplicateKey, Conflict, AppError):
                self._idle.append(connection)
                raise
            except LostConnection:
                self._close_idle()  # whoever closed this one closed the others too
                connection.close()
                raise
            except BaseException:
                connection.close()  # in an unknown state: never reused
                raise
            self._idle.append(connection)

    def _find_idle(self) -> Connection | None:
        """The connection used last, unless the server has closed it."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and not connection._reader.at_eof():
                return connection
            connection.close()
        return None

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    async def _connect(self) -> Connection:
        with _mapped_errors():
            connection = _Connection(**self._options)
            await connection._connect()
            await connection.query(ISOLATION)
            if await MySQLTx(connection).fetch(IN_CLUSTER):
                await connection.query(SEE_ALL)
            return connection

    @asynccontextmanager
    async def migration_lock(self) -> AsyncIterator[None]:
        """``GET_LOCK``, per database; raises 5001 when another run holds it for over a minute."""
        with _final_errors():
            connection = await self._connect()
        try:
            tx = MySQLTx(connection)
            name = "SELECT GET_LOCK(CONCAT('kaimen.migrate.', DATABASE()), 60)"
            if (await tx.fetch(name)) != [(1,)]:
                raise AppError(Code.DATABASE_UNAVAILABLE, cause="another migration has been running for a minute")
            yield
        finally:
            connection.close()  # which gives the lock back


def parse_url(url: str) -> dict[str, Any]:
    """Driver options of ``mysql://user:password@host:3306/name?ssl=…``.

    ``ssl=true`` verifies the server against the system's authorities, ``ssl=/path/ca.pem`` against that one;
    ``unix_socket=/path`` connects through a socket.
    """
    parts = urlsplit(url)
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    options = {
        "host": parts.hostname or "localhost",
        "port": parts.port or 3306,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "db": parts.path.lstrip("/"),
        "charset": "utf8mb4",
        "autocommit": True,
        "connect_timeout": CONNECT_TIMEOUT_S,
        "init_command": INIT,
        "unix_socket": query.get("unix_socket"),
    }
    if "ssl" in query:
        options["ssl"] = _tls(query["ssl"])
    if set(query) - {"ssl", "unix_socket"}:
        raise SettingsInvalid(["KAIMEN_DATABASE_URL: takes ssl= and unix_socket= after the ?, and nothing else"])
    return options


def _tls(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca == "true" else ca)
    except OSError:
        raise SettingsInvalid(["KAIMEN_DATABASE_URL: the file named by ssl= cannot be read as certificates"]) from None


async def _commit(tx: MySQLTx) -> None:
    try:
        await tx.execute("COMMIT")
    except LostConnection as error:  # done or not, nobody knows: not to be tried again blindly
        raise AppError(Code.DATABASE_UNAVAILABLE, cause="lost the connection during COMMIT") from error


@contextmanager
def _final_errors() -> Iterator[None]:
    try:
        yield
    except (Conflict, LostConnection) as error:
        raise AppError(Code.DATABASE_UNAVAILABLE, cause=str(error)) from error


@contextmanager
def _mapped_errors() -> Iterator[None]:
    try:
        yield
    except err.IntegrityError as error:
        if error.args[0] != ER.DUP_ENTRY:
            raise
        raise DuplicateKey(_key_name(error)) from None  # the driver's text holds the value
    except (err.OperationalError, err.InternalError, err.InterfaceError) as error:
        raise _translated(error) from None
    except err.DataError as error:
        raise TypeError(f"error {error.args[0] if error.args else ''}") from None  # the driver's text holds the value
    except (OSError, asyncio.IncompleteReadError, RuntimeError) as error:
        raise LostConnection(f"connection failed: {error!r}") from None


def _translated(error: err.MySQLError) -> Exception:
    number = error.args[0] if error.args else 0
    if number in CONFLICTS:
        return Conflict(f"error {number}", CONFLICTS[number])
    if number in LOST or isinstance(error, err.InterfaceError):
        return LostConnection(f"error {number}")
    failure = AlreadyThere if number in ALREADY_THERE else Unusable if number in UNUSABLE else AppError
    return failure(Code.DATABASE_UNAVAILABLE, cause=f"error {number}")  # the driver's text may hold values


def _key_name(error: err.IntegrityError) -> str:
    return str(error.args[1]).rsplit("key ", 1)[-1].strip("'").rsplit(".", 1)[-1]
