"""A Chromium for each worker, and a site to visit."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, async_playwright

from backend import StartBackend, Store
from browsing import EARS, FLAGS, URL, OpenContext, Site
from simulator import Simulator


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the Chromium of this worker listens. Contexts share nothing, and end with the connection that made them."""
    program = shutil.which("chromium")
    assert program, "chromium is missing: scripts/test installs it"
    config = tmp_path_factory.mktemp("chromium") / "launch.json"
    config.write_text(json.dumps({"executablePath": program, "args": FLAGS, "host": "127.0.0.1"}))
    command = [sys.executable, "-m", "playwright", "launch-server", "--browser", "chromium", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as server:
        assert server.stdout
        yield server.stdout.readline().strip()
        os.killpg(server.pid, signal.SIGTERM)


@pytest.fixture
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """This test's connection to Chromium."""
    async with async_playwright() as playwright:
        connected = await playwright.chromium.connect(chromium)
        yield connected
        await connected.close()


@pytest.fixture
async def open_context(browser: Browser) -> OpenContext:
    """Another browser, as it were: cookies and storage of its own."""

    async def open_one(**options: Any) -> BrowserContext:
        context = await browser.new_context(
            **{"locale": "zh-CN", "viewport": {"width": 1440, "height": 900}, **options}
        )
        context.set_default_timeout(15_000)
        await context.add_init_script(EARS)
        return context

    return open_one


@pytest.fixture
async def site(
    start_backend: StartBackend, embedded_store: Store, simulator: Simulator, open_context: OpenContext
) -> Site:
    """A site over SQLite and the in-process Redis."""
    backend = await start_backend(embedded_store, public_url=URL)
    simulator.backend_url = backend.url
    return Site(backend, await open_context())
