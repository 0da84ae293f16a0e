"""Processes of `kaimen serve`, and clients of what they serve."""

import asyncio
import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tornado.curl_httpclient import CurlAsyncHTTPClient

from backend import Backend, Store
from servers import free_port
from simulator import DEFAULT_APPS, Simulator

PROGRAM = str(Path(sys.executable).parent / "kaimen")
FAKETIME = "/usr/$LIB/faketime/libfaketime.so.1"  # $LIB is for the loader (ld.so(8))
MASTER = "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


class Outside(Backend):
    """A client of what serves at a URL, whoever that is."""

    def __init__(self, simulator: Simulator, url: str) -> None:
        self.simulator = simulator
        self.url = url
        self.http = CurlAsyncHTTPClient(force_instance=True, max_clients=400)

    async def close(self) -> None:
        self.http.close()


class Processes:
    """Processes of ``kaimen serve`` that share one port, as the units of deploy/systemd do."""

    def __init__(self, folder: Path, store: Store, simulator: Simulator) -> None:
        self.port = free_port()
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        given = {
            "ENV": "development", "PORT": str(self.port), "ADMIN_PORT": "0", "RATE_LIMITS": "off",
            "PUBLIC_URL": "http://kaimen.test", "DATABASE_URL": store.database_url, "REDIS_URL": store.redis_url,
            "MASTER_KEYS": MASTER, "WECHAT_API_URL": simulator.url, "APPS": json.dumps(DEFAULT_APPS),
            "TRUSTED_PROXIES": "127.0.0.1", "LOG_LEVEL": "warning",
        }  # fmt: skip
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KAIMEN_")}
        self._environment = kept | {f"KAIMEN_{name}": value for name, value in given.items()}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, descriptors: int | None = None, ahead_s: int = 0) -> "subprocess.Popen[bytes]":
        """One more, ready when it is returned, under a clock that is so far ahead."""

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors or 0, descriptors or 0))

        path = self._folder / f"notify-{len(self._running)}"
        with listening(path) as notified:
            environment = {**self._environment, "NOTIFY_SOCKET": str(path)}
            if ahead_s:  # not by the command faketime, which would be killed instead of the process that it runs
                environment |= {"LD_PRELOAD": FAKETIME, "FAKETIME": f"{ahead_s:+d}s"}
            process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
                [PROGRAM, "serve"],
                cwd=self._folder,
                env=environment,
                preexec_fn=limit if descriptors else None,
            )
            self._running.append(process)
            await asyncio.to_thread(wait_ready, notified, process)
        return process

    def close(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
                process.wait()


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(path))
        made.settimeout(20)
        yield made
    path.unlink()


def wait_ready(notified: socket.socket, process: "subprocess.Popen[bytes]") -> None:
    while b"READY=1" not in notified.recv(4096):
        assert process.poll() is None
