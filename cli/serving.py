"""Sockets, the single-process lock, start and orderly stop."""

import asyncio
import contextlib
import errno
import fcntl
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click
import uvloop
from tornado.netutil import bind_sockets, bind_unix_socket

from app.auth.keyring import KeyringUnusable
from app.kaimen import Kaimen
from cli.compose import open_kaimen
from core.clock import Clock
from core.errors import AppError
from core.settings import Settings, SettingsInvalid
from handlers.routes import make_application, make_server
from models import migrations
from models.db import Database, open_database
from models.db.opening import sqlite_path

EX_CONFIG = 78  # sysexits.h: something is wrong with the configuration
DRAIN_S = 20.0


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
            return [bind_unix_socket(str(unix_socket), mode=0o660)]
        return bind_sockets(port, host, reuse_port=share)
    except (OSError, ValueError) as error:
        taken = getattr(error, "errno", 0) == errno.EADDRINUSE
        reason = "is already in use" if taken else getattr(error, "strerror", None) or str(error)
        raise Refused(f"cannot listen on {unix_socket or f'{host}:{port}'}: {reason}") from None


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
            yield kaimen
        finally:
            kaimen.health.stopping = True
            server.stop()
            kaimen.session_hub.close()
            await kaimen.health.wait_idle(DRAIN_S)
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
