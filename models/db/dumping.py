"""A whole database as one compressed file, and back: by the programs of MySQL or MariaDB, or by SQLite itself."""

import contextlib
import gzip
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from core.clock import Clock
from core.errors import AppError
from models.db.mysql import parse_url
from models.db.opening import open_database, sqlite_path
from models.db.sqlite import copy_database

DUMP = ("mariadb-dump", "mysqldump")
LOAD = ("mariadb", "mysql")
# One moment of all tables without holding anybody up; nothing for which our account would need more privileges.
DUMP_OPTIONS = ("--single-transaction", "--skip-lock-tables", "--skip-add-locks", "--no-tablespaces", "--hex-blob")


class DumpFailed(Exception):
    """The message says why, without the password."""


def dump(url: str, target: Path) -> None:
    """Writes ``target`` (gzip), whole or not at all; raises ``DumpFailed``."""
    part = target.with_suffix(".part")
    try:
        if url.startswith("sqlite:"):
            _dump_sqlite(sqlite_path(url), part)
        else:
            _dump_mysql(url, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def load(url: str, source: Path) -> None:
    """Puts the tables of the file in place of those there are; raises ``DumpFailed``."""
    _check(source)
    if url.startswith("sqlite:"):
        _load_sqlite(sqlite_path(url), source)
    else:
        _load_mysql(url, source)


def _dump_sqlite(path: Path, target: Path) -> None:
    copy = target.with_suffix(".copy")
    copy.unlink(missing_ok=True)
    try:
        copy_database(path, copy)
        with copy.open("rb") as plain, _created(target) as packed:
            shutil.copyfileobj(plain, packed)
    finally:
        copy.unlink(missing_ok=True)


def _dump_mysql(url: str, target: Path) -> None:
    with _options(url) as options, _created(target) as packed:
        command = [_program(DUMP), f"--defaults-extra-file={options}", *DUMP_OPTIONS, str(parse_url(url)["db"])]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: S603 - no shell
        if process.stdout:
            shutil.copyfileobj(process.stdout, packed)
        _, said = process.communicate()
    if process.returncode:
        raise DumpFailed(f"{command[0]} fails: {said.decode(errors='replace').strip()[-300:]}")


def _load_sqlite(path: Path, source: Path) -> None:
    made = path.with_suffix(".restored")
    with gzip.open(source) as packed, made.open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    for ending in ("-wal", "-shm"):
        Path(f"{path}{ending}").unlink(missing_ok=True)
    made.replace(path)


def _load_mysql(url: str, source: Path) -> None:
    with _options(url) as options, tempfile.TemporaryFile() as plain:
        with gzip.open(source) as packed:
            shutil.copyfileobj(packed, plain)
        plain.seek(0)
        command = [_program(LOAD), f"--defaults-extra-file={options}", str(parse_url(url)["db"])]
        done = subprocess.run(command, stdin=plain, capture_output=True, check=False)  # noqa: S603 - no shell
    if done.returncode:
        raise DumpFailed(f"{command[0]} fails: {done.stderr.decode(errors='replace').strip()[-300:]}")


def _check(source: Path) -> None:
    """The whole file, before anything is changed."""
    try:
        with gzip.open(source) as packed:
            while packed.read(1 << 20):
                continue
    except (OSError, EOFError) as error:
        raise DumpFailed(f"{source} is no whole backup: {error}") from None


@contextlib.contextmanager
def _created(path: Path) -> Iterator[gzip.GzipFile]:
    path.touch(mode=0o600)
    with path.open("wb") as file, gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6) as packed:
        yield packed


@contextlib.contextmanager
def _options(url: str) -> Iterator[Path]:
    """A file with what the program needs to connect: a command line is read by everybody."""
    found = parse_url(url)
    lines = ["[client]", *(f"{name}={found[name]}" for name in ("host", "port", "user"))]
    lines.append('password="' + found["password"].replace("\\", "\\\\").replace('"', '\\"') + '"')
    if found["unix_socket"]:
        lines.append(f"socket={found['unix_socket']}")
    if "ssl" in found:
        lines.append("ssl=1")
    with tempfile.NamedTemporaryFile("w", suffix=".cnf") as file:  # 0600
        file.write("\n".join(lines) + "\n")
        file.flush()
        yield Path(file.name)


def _program(names: tuple[str, ...]) -> str:
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        raise DumpFailed(f"neither {' nor '.join(names)} is installed (Debian and Ubuntu: mariadb-client)")
    return found


async def is_empty(url: str) -> bool:
    """Whether there is nothing a load would replace: no table, or no answer to that question."""
    if url.startswith("sqlite:"):
        return not sqlite_path(url).exists()
    database = open_database(url, Clock())
    try:
        await database.fetch("SELECT 1 FROM users LIMIT 1")
    except AppError:
        return True
    finally:
        await database.close()
    return False
