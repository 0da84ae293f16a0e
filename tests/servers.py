"""Private MariaDB and Redis servers for tests, each with a folder, a port and a password of its own.

They start in about a second, keep their data over `restart()`, and die with the process that started them,
however that ends. `close()` (or leaving the `with` block) removes everything.
"""

import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import pymysql
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

READY_WITHIN = 30.0
ATTEMPTS = 3  # another process may take a free port before the server does

# A child's PDEATHSIG is tied to the *thread* that forked it. This one lives as long as the process.
_spawner = ThreadPoolExecutor(1, thread_name_prefix="servers")


class ServerError(RuntimeError):
    """A server is not installed or does not start; the text holds the end of its log."""


def find_binary(name: str, package: str) -> str:
    """Where a server's program is; Debian keeps daemons outside an ordinary user's PATH."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise ServerError(f"{name} is not installed (Debian and Ubuntu: apt-get install {package})")
    return found


def free_port() -> int:
    """A free port below the ephemeral ones: a client retrying a dead server must not connect to itself."""
    while True:
        port = random.randint(15_000, 31_999)
        if port_is_free(port):
            return port


def port_is_free(port: int) -> bool:
    """Whether a server could listen there; connections in TIME_WAIT do not matter to it."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Server:
    """A child process on 127.0.0.1; subclasses say how it is prepared, started and asked."""

    def __init__(self) -> None:
        self.password = secrets.token_hex(8)
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="kaimen-server-"))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._prepare()
            self._start_on_some_port()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The server's process, None while it is down."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it on its port and return when it answers."""
        with self._log.open("wb") as log:
            self._process = _spawner.submit(self._spawn, log.fileno()).result()
        deadline = time.monotonic() + READY_WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise ServerError(f"{type(self).__name__} does not start:\n{self._log_tail()}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Let it end in order, as a restart for maintenance does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start it again on the same port and data; it may be up, stopped or killed."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Kill it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _prepare(self) -> None:
        """Make the data folder."""

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-30:])

    def _start_on_some_port(self) -> None:
        for _ in range(ATTEMPTS - 1):
            try:
                return self.start()
            except ServerError:
                if port_is_free(self.port):
                    raise
                self.port = free_port()
        return self.start()

    def _spawn(self, log: int) -> subprocess.Popen[bytes]:
        """Run the command with PR_SET_PDEATHSIG, away from the terminal's Ctrl-C: tests still need it then."""
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *self._command()],
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip

    def _end(self, with_signal: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(with_signal)
        try:
            self._process.wait(READY_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


class MariaDB(Server):
    """A MariaDB with one account that may do everything, and an empty database `kaimen`."""

    user = "kaimen"

    @property
    def url(self) -> str:
        """The URL of the database `kaimen`."""
        return self.url_of("kaimen")

    def url_of(self, database: str) -> str:
        """The URL of one of its databases."""
        return f"mysql://{self.user}:{self.password}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Create an empty database (an old one of that name is dropped) and return its URL."""
        self.execute(f"DROP DATABASE IF EXISTS `{name}`")
        self.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists."""
        self.execute(f"DROP DATABASE IF EXISTS `{name}`")

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement outside any database; the rows of a SELECT."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def connect(self) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        """A connection outside any database; each statement is a transaction."""
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            password=self.password,
            connect_timeout=5,
            autocommit=True,
        )

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except pymysql.MySQLError:
            return False
        return True

    def _prepare(self) -> None:
        self._write_account()
        find_binary("my_print_defaults", "mariadb-client-core")  # which the next one calls
        install = find_binary("mariadb-install-db", "mariadb-server-core")
        options = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        done = subprocess.run([install, *self._options(), *options], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServerError(f"mariadb-install-db fails:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    def _write_account(self) -> None:
        account = f"{self.user}@'127.0.0.1'"
        (self.folder / "init.sql").write_text(
            f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL ON *.* TO {account} WITH GRANT OPTION;\n"
            "CREATE DATABASE IF NOT EXISTS kaimen CHARACTER SET utf8mb4;\n"
        )

    def _options(self) -> list[str]:
        # Its own tmpdir: a MariaDB that starts deletes the temporary tables it finds there, whosesoever.
        folders = [f"--datadir={self.folder / 'data'}", f"--tmpdir={self.folder}"]
        as_root = ["--user=root"] if os.getuid() == 0 else []
        return ["--no-defaults", *folders, "--innodb-log-file-size=8M", *as_root]

    def _command(self) -> list[str]:
        return [
            find_binary("mariadbd", "mariadb-server-core"), *self._options(),
            f"--port={self.port}", "--bind-address=127.0.0.1", "--skip-name-resolve",
            "--socket=socket",  # relative to the data folder: a full path may be too long for a socket
            f"--pid-file={self.folder / 'pid'}", f"--init-file={self.folder / 'init.sql'}",
            "--innodb-buffer-pool-size=32M", "--skip-log-bin",
            "--innodb-flush-log-at-trx-commit=2",  # survives kill(), which is all that tests ask
        ]  # fmt: skip


class Redis(Server):
    """A Redis that keeps what it was told over `restart()`; `flush()` before it plays one that does not."""

    @property
    def url(self) -> str:
        """The URL of its database 0."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def patient_url(self) -> str:
        """The same with limits that a busy machine does not reach; for tests of anything but these limits."""
        return f"{self.url}?socket_timeout=5&socket_connect_timeout=5"

    def flush(self) -> None:
        """Forget everything."""
        with self._client() as client:
            client.flushall()

    def _client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0), socket_timeout=5)

    def _answers(self) -> bool:
        try:
            with self._client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def _command(self) -> list[str]:
        return [
            find_binary("redis-server", "redis-server"), "--port", str(self.port), "--bind", "127.0.0.1",
            "--requirepass", self.password, "--dir", str(self.folder), "--daemonize", "no",
            "--save", "", "--appendonly", "yes", "--appendfsync", "no", "--auto-aof-rewrite-percentage", "0",
        ]  # fmt: skip
