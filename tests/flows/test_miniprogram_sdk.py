"""The mini-program SDK in a stand-in of ``wx``, against a live backend over each pair of stores."""

import asyncio
import html
import json
import re
import shutil
from pathlib import Path

import pytest

from backend import Backend, StartBackend, Store
from handlers.routes import ROUTES
from miniprogram_bench import controlled, run_node, run_tests, urls

NAMES = ["session", "failures", "user", "sample", "frameworks", "readme"]
if "/api/scan" in dict(ROUTES):  # where QR login is built
    NAMES.append("scan")


@pytest.mark.parametrize("name", NAMES)
async def test_the_sdk_passes_its_tests_against_this_backend(backend: Backend, name: str) -> None:
    await run_tests(backend, f"{name}.test.mjs")


async def test_every_page_of_the_sample_fits_a_phone_and_can_be_read_and_tapped(
    start_backend: StartBackend, embedded_store: Store, tmp_path: Path
) -> None:
    backend = await start_backend(embedded_store)
    page = tmp_path / "pages.html"
    async with controlled(backend) as control:
        status, output = await run_node("draw.mjs", str(page), **urls(backend, control))
    assert status == 0, output
    reports = await look_at(page, tmp_path / "browser")
    assert len(reports) == 40
    assert {name: faults for name, faults in reports.items() if faults} == {}


async def look_at(page: Path, profile: Path) -> dict[str, list[str]]:
    """What a browser finds wrong with each page that was drawn."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "chromium is missing; Debian: apt-get install chromium"
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--dump-dom"]
    process = await asyncio.create_subprocess_exec(
        chromium, *options, page.as_uri(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    report = re.search(r'<pre id="report">(.*?)</pre><script>onload', output.decode(), re.DOTALL)
    assert report, output.decode()[-2000:]
    faults: dict[str, list[str]] = json.loads(html.unescape(report[1]))
    return faults
