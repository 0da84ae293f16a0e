"""What the scripts that measure have in common: the servers they start, and what the kernel says of them."""

import base64
import json
import os
import platform
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from servers import MariaDB, Redis, Server, ServerError

APP = {"appid": "wx0000000000000001", "kind": "miniprogram", "secret": "0123456789abcdef0123456789abcdef"}


# --- where things run ---


@dataclass(frozen=True)
class Cores:
    """One core for the server, another for the rest; None where nothing is pinned."""

    server: int | None = None
    rest: int | None = None

    @property
    def prefix(self) -> list[str]:
        """What starts a command on the server's core."""
        return [] if self.server is None else ["taskset", "-c", str(self.server)]

    def __str__(self) -> str:
        if self.server is None:
            return "nothing pinned to a core (it takes taskset and two cores): figures vary more"
        return f"server on core {self.server}, all else on core {self.rest}"


def pin() -> Cores:
    """Move to the core of all else, where what is started from here stays too unless it says otherwise."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2 or not shutil.which("taskset"):
        return Cores()
    os.sched_setaffinity(0, {cores[1]})
    return Cores(*cores[:2])


# --- what is started ---


class Own(Server):
    """A server of the checkout; ready when its port takes connections, or ``probe`` where several share it."""

    def __init__(self, *command: str, port: int | None = None, probe: int | None = None) -> None:
        self._words = command
        self._given = port
        self._probe = probe
        super().__init__()

    @property
    def url(self) -> str:
        """Its URL, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def _prepare(self) -> None:
        self.port = self._given or self.port

    def _command(self) -> list[str]:
        return [word.replace("{port}", str(self.port)) for word in self._words]

    def _answers(self) -> bool:
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self._probe or self.port)) == 0


def own(file: str, *options: str, prefix: tuple[str, ...] = ()) -> Own:
    """A file beside this one as a server of its own."""
    return Own(*prefix, sys.executable, str(Path(__file__).with_name(file).resolve()), *options, "{port}")


def settings_of(database: MariaDB, redis: Redis, wechat_url: str, **others: Any) -> dict[str, str]:
    """Settings of the server under test, without the prefix; ``{port}`` is its port."""
    settings = {
        "ENV": "development",
        "PORT": "{port}",
        "PUBLIC_URL": "http://127.0.0.1:{port}",
        "DATABASE_URL": database.url,
        "REDIS_URL": redis.url,
        "WECHAT_API_URL": wechat_url,
        "APPS": [APP],
        "MASTER_KEYS": "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        **others,
    }
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}


def migrate(settings: Mapping[str, str], folder: Path) -> None:
    """Makes the tables."""
    command = ["env", *words(settings), program(), "migrate"]
    run("kaimen migrate", [word.replace("{port}", "8000") for word in command], folder)


def words(settings: Mapping[str, str]) -> list[str]:
    """What `env` takes before a command."""
    return [f"KAIMEN_{name}={value}" for name, value in settings.items()]


def run(name: str, command: list[str], folder: Path) -> str:
    """The output of a command, which must succeed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)  # noqa: S603  # all words are ours
    if done.returncode:
        raise ServerError(f"{name} fails:\n{done.stdout}{done.stderr}")
    return done.stdout


def program() -> str:
    """The command of the environment this runs in."""
    return str(Path(sys.executable).with_name("kaimen"))


def begin() -> None:
    """Signals end the script in order, and no setting of the caller's reaches the servers."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    for name in [name for name in os.environ if name.startswith("KAIMEN_")]:
        del os.environ[name]


# --- what is read from the kernel ---


def tree(pid: int) -> Iterator[int]:
    """A process and its descendants."""
    yield pid
    with suppress(OSError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                yield from tree(int(child))


def cpu_us(server: Server) -> float:
    """CPU time that it has used so far: user and system, all threads and children."""
    ticks = 0
    for pid in tree(server.pid or 0):
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks * 1e6 / os.sysconf("SC_CLK_TCK")


def memory_mib(server: Server, name: str) -> float:
    """VmRSS, what is resident now, or VmHWM, the most since it was last forgotten."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(re.findall(rf"{name}:\s+(\d+) kB", status)[0]) / 1024


def machine() -> str:
    """When and on what."""
    models = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    versions = f"Python {platform.python_version()}, {platform.system()} {platform.release()}"
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} × {models[0] if models else 'CPU'}, {versions}"


def say(line: str) -> None:
    """What is under way, on standard error."""
    click.echo(line, err=True)
