"""The channels through WeChat: mini-program codes, and QR codes of an official account with its push."""

import asyncio
from typing import Any

from backend import APPID, Backend, StartBackend, Store
from scan_client import Page, act, hear, open_page, watching
from simulator.scanning import scan

OFFICIAL = "wx00000000000000a1"
PNG = b"\x89PNG\r\n\x1a\n"


async def image(backend: Backend, page: Page, form: str = "png") -> tuple[str, bytes]:
    response = await backend.http.fetch(f"{backend.url}/api/scan/{page.id}/qr.{form}")
    return response.headers["Content-Type"], response.body


async def with_phone(start_backend: StartBackend, store: Store, **settings: Any) -> Backend:
    """An instance that the simulator pushes to."""
    backend = await start_backend(store, **settings)
    backend.simulator.backend_url = backend.url
    return backend


async def test_a_mini_program_code_leads_to_the_scan_and_is_fetched_once(
    start_backend: StartBackend, store: Store
) -> None:
    backend = await with_phone(start_backend, store)
    page = await open_page(backend, channel="miniprogram")
    assert [await image(backend, page) for _ in range(3)] == [await image(backend, page)] * 3
    media_type, picture = await image(backend, page)
    assert (media_type, picture[:8]) == ("image/png", PNG)
    assert backend.count_calls("getwxacodeunlimit") == 1
    opened = await scan(backend.simulator, {"appid": APPID, "user": "alice", "scene": page.id})
    assert opened["page"] == "pages/scan/scan"
    assert opened["query"]["scene"] == page.id


async def test_who_scans_the_code_of_an_official_account_confirms_by_the_link_of_the_reply(
    start_backend: StartBackend, store: Store
) -> None:
    backend = await with_phone(start_backend, store)
    page = await open_page(backend, channel="official")
    assert page.data["qrContent"].startswith("http://weixin.qq.com/q/")
    assert (await image(backend, page))[1][:8] == PNG
    assert (await image(backend, page, "svg"))[0] == "image/svg+xml"
    async with watching(backend, page) as browser:
        await hear(browser)
        done = await scan(backend.simulator, {"user": "alice", "content": page.data["qrContent"]})
        assert done["event"] == "subscribe"
        assert done["opens"] == f"http://kaimen.test/s/{page.id}"
        told = await hear(browser)
        assert (told["type"], told.get("user")) == ("SCANNED", None)
    phone = await backend.login("bob")
    assert (await act(backend, page, "scan", phone["accessToken"])).body["code"] == 4030
    await asyncio.sleep(0)
