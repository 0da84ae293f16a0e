"""Runs Node's tests of the mini-program SDK against a live backend: ``node --test`` with the URLs it needs."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from backend import Backend

FOLDER = Path(__file__).parent / "miniprogram"
WITHIN_S = 300


class AdvanceHandler(RequestHandler):
    """``POST /advance?seconds=``: moves the backend's clock."""

    def initialize(self, backend: Backend) -> None:
        self.backend = backend

    def post(self) -> None:
        self.backend.clock.advance(float(self.get_query_argument("seconds")))


@asynccontextmanager
async def controlled(backend: Backend) -> AsyncIterator[str]:
    """The URL under which Node's tests reach into the backend."""
    server, (listener, port) = (
        HTTPServer(Application([("/advance", AdvanceHandler, {"backend": backend})])),
        bind_unused_port(),
    )
    server.add_socket(listener)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()
        await server.close_all_connections()


def node() -> str:
    found = shutil.which("node")
    assert found, "node is missing; Debian and Ubuntu: apt-get install nodejs"
    return found


async def run_node(*args: str, **environment: str) -> tuple[int, str]:
    """Exit status and output."""
    process = await asyncio.create_subprocess_exec(
        node(),
        *args,
        cwd=FOLDER,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), WITHIN_S)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, output.decode(errors="replace")


def urls(backend: Backend, control: str) -> dict[str, str]:
    """What Node's tests find in their environment."""
    return {
        "KAIMEN_TEST_BACKEND": backend.url,
        "KAIMEN_TEST_SIMULATOR": backend.simulator.url,
        "KAIMEN_TEST_CONTROL": control,
    }


async def run_tests(backend: Backend, name: str) -> None:
    """Fails with Node's own report."""
    async with controlled(backend) as control:
        status, output = await run_node("--test", "--test-reporter=spec", name, **urls(backend, control))
    assert status == 0, output
