"""Sockets, the single-process lock, start and orderly stop."""

import asyncio
import contextlib
import errno
import fcntl
import gc
import select
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click
import uvloop
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets, bind_unix_socket

from app.auth.keyring import KeyringUnusable
from app.kaimen import Kaimen
from app.operations.ledger import DatabaseIsOlder, Ledger
from cli.compose import open_kaimen
from core.clock import Clock
from core.errors import AppError
from core.observe.logs import get_logger
from core.observe.loop_lag import LoopLag
from core.settings import Settings, SettingsInvalid
from core.tasks import end_task
from handlers.admin import make_admin_server
from handlers.routes import make_application, make_server
from models import migrations
from models.db import Database, open_database
from models.db.opening import sqlite_path

EX_CONFIG = 78  # sysexits.h: something is wrong with the configuration
DRAIN_S = 20.0
LINGER_S = 2.0
TAKE_S = 1.0
ADMIN_PORTS = 64
BACKLOG = 4096  # connections that wait to be accepted; one too many is tried again by the client, a second later


class Refused(Exception):
    """The start is refused; each line of the message is one fault."""


class Failed(Exception):
    """The command could not do what was asked; each line of the message says why."""


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a command to its end; what is wrong with the configuration ends it with 78 and one line each."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    except (SettingsInvalid, KeyringUnusable, Refused) as error:
        fail(str(error).splitlines(), EX_CONFIG)
    except (AppError, migrations.MigrationFailed) as error:
        fail([str(error)], 1)
    except Failed as error:
        fail(str(error).splitlines(), 1)


def fail(lines: list[str], status: int) -> NoReturn:
    """Says why on standard error, and ends."""
    for line in lines:
        click.echo(f"kaimen: {line}", err=True)
    raise SystemExit(status)


def bind(host: str, port: int, unix_socket: Path | None = None, *, share: bool = False) -> list[socket.socket]:
    """Listening sockets; raises ``Refused`` with one clear line when the port is taken or not ours to take.

    ``share`` lets several processes of one deployment accept from the same port (``SO_REUSEPORT``).
    """
    try:
        if unix_socket:
            return [bind_unix_socket(str(unix_socket), mode=0o660, backlog=BACKLOG)]
        return bind_sockets(port, host, backlog=BACKLOG, reuse_port=share)
    except (OSError, ValueError) as error:
        taken = getattr(error, "errno", 0) == errno.EADDRINUSE
        reason = "is already in use" if taken else getattr(error, "strerror", None) or str(error)
        raise Refused(f"cannot listen on {unix_socket or f'{host}:{port}'}: {reason}") from None


def bind_admin(host: str, first: int) -> list[socket.socket]:
    """The first port that no other process of ours has; raises ``Refused``. None for 0."""
    for port in range(first, min(first + ADMIN_PORTS, 65536)) if first else ():
        try:
            sockets = bind_sockets(port, host)
        except OSError:
            continue
        get_logger().info("admin port", port=port)
        return sockets
    if not first:
        return []
    raise Refused(f"cannot listen on {host}:{first} nor on the {ADMIN_PORTS - 1} ports after it")


@contextmanager
def single_process(settings: Settings) -> Iterator[None]:
    """SQLite and ``memory://`` belong to one process: an exclusive lock, released when it ends however it ends."""
    with contextlib.ExitStack() as stack:
        for path in _lock_paths(settings):
            stack.enter_context(_locked(path))
        yield


def _lock_paths(settings: Settings) -> list[Path]:
    paths = []
    if settings.redis_url.get_secret_value() == "memory://":
        paths.append(settings.data_dir / "memory.lock")
    url = settings.database_url.get_secret_value()
    if url.startswith("sqlite:"):
        paths.append(sqlite_path(url).with_suffix(".lock"))
    return paths


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                f"another process holds {path}: SQLite and memory:// are for one process; use MySQL and Redis for more"
            ) from None
        yield


@asynccontextmanager
async def opened_database(settings: Settings) -> AsyncIterator[Database]:
    """The database alone, for what happens before the services start."""
    database = open_database(settings.database_url.get_secret_value(), Clock())
    try:
        yield database
    finally:
        await database.close()


async def check_migrated(settings: Settings) -> None:
    """Raises ``Refused`` while migrations are pending."""
    async with opened_database(settings) as database:
        waiting = await migrations.pending(database)
    if waiting:
        raise Refused(f"{len(waiting)} migrations are pending; run: kaimen migrate")


@asynccontextmanager
async def serving(settings: Settings, sockets: list[socket.socket]) -> AsyncIterator[Kaimen]:
    """Serves within the block; on the way out lets requests under way finish."""
    async with open_kaimen(settings, Clock()) as kaimen:
        server = make_server(make_application(kaimen))
        server.add_sockets(sockets)
        calm_gc()
        try:
            async with observed(kaimen):
                yield kaimen
        finally:
            kaimen.health.stopping = True  # from here on every reply closes its connection
            await take_waiting(sockets)
            server.stop()
            kaimen.session_hub.close()
            kaimen.scan_hub.close()
            await kaimen.health.wait_idle(DRAIN_S)
            await let_go(server)
            await server.close_all_connections()


async def take_waiting(sockets: list[socket.socket]) -> None:
    """Accepts who is connected already: closing a listening socket resets those."""
    with select.epoll() as waiting, contextlib.suppress(TimeoutError):
        for listener in sockets:
            waiting.register(listener, select.EPOLLIN)
        async with asyncio.timeout(TAKE_S):
            while waiting.poll(0):  # noqa: ASYNC110 - nothing tells when the kernel's queue is empty
                await asyncio.sleep(0)


async def let_go(server: HTTPServer) -> None:
    """A proxy may send a request on an idle connection at the very moment we close it: it lets go by itself first.

    See ``keepalive_timeout`` in deploy/nginx/.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            while server._connections:  # noqa: ASYNC110 - Tornado does not tell when they are gone
                await asyncio.sleep(0.05)


@asynccontextmanager
async def kept_ledger(settings: Settings, stopped: asyncio.Event) -> AsyncIterator[None]:
    """In production: raises ``Refused`` for a database that is an older copy, at the start and while serving."""
    if settings.env != "production":
        yield
        return
    older = asyncio.Event()
    async with opened_database(settings) as database:
        ledger = open_ledger(settings, database)
        try:
            await ledger.check()
            await ledger.start(older)
            stopping = asyncio.create_task(_stop_when(older, stopped))
            try:
                yield
            finally:
                await end_task(stopping)
                await ledger.stop()
            if older.is_set():
                await ledger.check()
        except DatabaseIsOlder as error:
            raise Refused(str(error)) from None


def open_ledger(settings: Settings, database: Database) -> Ledger:
    """Raises ``Refused`` where its files cannot be."""
    try:
        return Ledger(database, Clock(), settings.data_dir)
    except OSError as error:
        raise Refused(f"KAIMEN_DATA_DIR: the ledger cannot be kept there ({error.strerror})") from None


async def _stop_when(older: asyncio.Event, stopped: asyncio.Event) -> None:
    await older.wait()
    stopped.set()


@asynccontextmanager
async def observed(kaimen: Kaimen) -> AsyncIterator[None]:
    """The admin port and the look at the event loop."""
    lag, server = LoopLag(), make_admin_server(kaimen)
    server.add_sockets(bind_admin(kaimen.settings.admin_host, kaimen.settings.admin_port))
    lag.start()
    try:
        yield
    finally:
        lag.stop()
        server.stop()
        await server.close_all_connections()


def calm_gc() -> None:
    """What is loaded now stays: collecting it again and again cost 5 % of a login's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def stop_event() -> asyncio.Event:
    """Set by SIGTERM or SIGINT; made first, so that a signal during the start is not lost."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    return stopped
