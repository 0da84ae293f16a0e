"""The phone's page of a scan in Chromium, as WeChat's own browser shows it."""

import re

import pytest
from playwright.async_api import expect

from backend import Backend
from browsing import WECHAT, OpenContext, Site, Window
from scan_client import CHROME, Page, act

HOSTILE = "<img src=x onerror=window.pwned=1>"


async def open_page(backend: Backend) -> Page:
    headers = {"Origin": backend.url, "User_Agent": CHROME}
    return Page((await backend.call("POST", "/api/scan", {"channel": "page"}, **headers)).data)


@pytest.fixture
async def phone(site: Site, open_context: OpenContext) -> Window:
    """Alice's."""
    return await site.wechat(await open_context(user_agent=WECHAT, viewport={"width": 390, "height": 844}))


async def choose(phone: Window, page: Page, *, right: bool) -> None:
    buttons = phone.page.locator(".numbers button")
    await expect(buttons).to_have_count(3)
    number = str(page.data["matchCode"])
    wanted = buttons.filter(has_text=number) if right else buttons.filter(has_not_text=number).first
    await wanted.click()


async def is_harmless(window: Window) -> bool:
    return (await window.page.evaluate("window.pwned"), await window.refused(), window.errors) == (None, [], [])


async def test_it_shows_who_asks_and_does_nothing_until_a_number_is_chosen(site: Site, phone: Window) -> None:
    page = await open_page(site.backend)
    await phone.open(f"/s/{page.id}")
    await expect(phone.page.locator(".site")).to_have_text(site.backend.url.removeprefix("http://"))
    facts = phone.page.locator(".facts")
    for fact in ("Chrome 142", "Windows", "127.0.0.1", "刚刚"):
        await expect(facts).to_contain_text(fact)
    await expect(phone.page.get_by_role("button", name="确认登录")).to_be_disabled()
    await choose(phone, page, right=True)
    await phone.page.get_by_role("button", name="确认登录").click()
    await expect(phone.page.locator(".card h1")).to_have_text("已确认")
    assert (await page.look(site.backend))["state"] == "confirmed"
    await phone.page.reload()
    await expect(phone.page.locator(".card h1")).to_have_text("已确认")
    assert await is_harmless(phone)


async def test_to_decline_is_as_large_a_button_and_cancels(site: Site, phone: Window) -> None:
    page = await open_page(site.backend)
    await phone.open(f"/s/{page.id}")
    no, yes = phone.page.get_by_role("button", name="不是我"), phone.page.get_by_role("button", name="确认登录")
    sizes = [await button.bounding_box() for button in (no, yes)]
    assert sizes[0]
    assert sizes[1]
    assert (sizes[0]["width"], sizes[0]["height"]) == (sizes[1]["width"], sizes[1]["height"])
    await no.click()
    await expect(phone.page.locator(".card h1")).to_have_text("已取消")
    assert (await page.look(site.backend))["state"] == "cancelled"


async def test_a_wrong_number_is_told_and_the_third_cancels(site: Site, phone: Window) -> None:
    page = await open_page(site.backend)
    await phone.open(f"/s/{page.id}")
    for left in (2, 1):
        await choose(phone, page, right=False)
        await phone.page.get_by_role("button", name="确认登录").click()
        await expect(phone.page.locator(".note")).to_contain_text(str(left))
    await phone.page.get_by_role("button", name="确认登录").click()
    await expect(phone.page.locator(".card h1")).to_have_text("已取消")
    assert (await page.look(site.backend))["state"] == "cancelled"


async def test_what_somebody_else_has_scanned_is_said_so(site: Site, phone: Window) -> None:
    page = await open_page(site.backend)
    bob = await site.backend.login("bob")
    await act(site.backend, page, "scan", bob["accessToken"])
    await phone.open(f"/s/{page.id}")
    await expect(phone.page.locator(".card h1")).to_have_text("已被其他人扫码")


async def test_a_scan_that_ends_while_it_is_open_is_said_so(site: Site, phone: Window) -> None:
    page = await open_page(site.backend)
    await phone.open(f"/s/{page.id}")
    await choose(phone, page, right=True)
    site.backend.clock.advance(121)
    await phone.page.get_by_role("button", name="确认登录").click()
    await expect(phone.page.locator(".card h1")).to_have_text("二维码已失效")


async def test_a_hostile_nickname_and_browser_are_text(site: Site, phone: Window) -> None:
    await (await site.phone()).call_oneself(HOSTILE)
    hostile = {"Origin": site.backend.url, "User_Agent": f"{HOSTILE} Chrome/142.0 (Linux; Android 14; {HOSTILE})"}
    page = Page((await site.backend.call("POST", "/api/scan", {"channel": "page"}, **hostile)).data)
    await phone.open(f"/s/{page.id}")
    await expect(phone.page.get_by_text(re.compile("的身份登录"))).to_have_text(f"将以「{HOSTILE}」的身份登录")
    await expect(phone.page.locator("img")).to_have_count(0)
    assert await is_harmless(phone)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 768])
async def test_nothing_sticks_out_in_either_theme(
    site: Site, open_context: OpenContext, scheme: str, width: int
) -> None:
    options = {"user_agent": WECHAT, "viewport": {"width": width, "height": 700}, "color_scheme": scheme}
    phone = await site.wechat(await open_context(locale="en-US", **options))
    page = await open_page(site.backend)
    await phone.open(f"/s/{page.id}")
    await expect(phone.page.locator(".numbers button")).to_have_count(3)
    assert await phone.page.evaluate("document.documentElement.scrollWidth") == width
    await expect(phone.page.get_by_role("button", name="Not me")).to_be_visible()
