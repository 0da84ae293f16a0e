"""A Chromium for each test, and a site to visit."""

import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, async_playwright

from backend import StartBackend, Store
from browsing import EARS, FLAGS, URL, OpenContext, Site
from simulator import Simulator


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Chromium with an empty profile."""
    program = shutil.which("chromium")
    assert program, "chromium is missing: scripts/test installs it"
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield running
        await running.close()


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
