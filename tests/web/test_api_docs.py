"""The documentation of the API in Chromium."""

import pytest
from playwright.async_api import FilePayload, Locator

from browsing import OpenContext, Site, Window
from pictures import png

FILLED = "[...document.querySelectorAll('.call')].every(card => card.querySelector('.told'))"


@pytest.fixture
async def window(site: Site) -> Window:
    window = await (await site.window()).open("/docs")
    await window.page.wait_for_selector(".call")
    return window


async def test_every_call_is_there_and_nothing_comes_from_elsewhere(site: Site, window: Window) -> None:
    described = (await site.backend.get("/openapi.json")).body["paths"]
    assert await window.page.locator(".call").count() == sum(len(methods) for methods in described.values())
    assert {request.url.split("/")[2] for request in window.requests} == {site.backend.url.split("/")[2]}
    assert await window.refused() == []
    assert window.errors == []


async def test_every_call_can_be_opened(window: Window) -> None:
    await window.page.evaluate("document.querySelectorAll('.call').forEach(card => (card.open = true))")
    await window.page.wait_for_function(FILLED)
    assert window.errors == []
    assert await window.refused() == []


async def test_a_login_is_tried_and_its_token_opens_the_profile(site: Site, window: Window) -> None:
    login = await open_call(window, "postApiAuth")
    code = site.backend.wx_login("alice")
    await login.locator("textarea").fill(f'{{"action": "login", "code": "{code}"}}')
    assert code in await login.locator(".block code").first.inner_text()
    await login.locator("button[type=submit]").click()
    await login.locator(".result .good").wait_for()
    profile = await open_call(window, "getApiUserInfo")
    await profile.locator("button[type=submit]").click()
    await profile.locator(".result .good").wait_for()
    assert '"bindings"' in await profile.locator(".result").inner_text()


async def test_a_picture_is_sent_as_it_is(site: Site, window: Window) -> None:
    token = (await site.backend.login("alice"))["accessToken"]
    await window.page.click("nav .credentials summary")
    await window.page.fill("#credential-accessToken", token)
    upload = await open_call(window, "postApiUserAvatar")
    picture = FilePayload(name="face.png", mimeType="image/png", buffer=png())
    await upload.locator("input[type=file]").set_input_files(picture)
    assert "@face.png" in await upload.locator(".block code").first.inner_text()
    await upload.locator("button[type=submit]").click()
    await upload.locator(".result .good").wait_for()
    assert "/avatar/" in await upload.locator(".result").inner_text()


async def test_a_refusal_is_shown_with_its_code(window: Window) -> None:
    profile = await open_call(window, "getApiUserInfo")
    await profile.locator("button[type=submit]").click()
    await profile.locator(".result .bad").wait_for()
    assert '"code": 4010' in await profile.locator(".result").inner_text()


async def test_the_filter_leaves_what_it_names(window: Window) -> None:
    await window.page.fill("#filter", "logout")
    assert await window.page.locator(".call:visible").count() == 1
    assert await window.page.locator("nav li:visible").count() == 1
    await window.page.fill("#filter", "no such thing")
    await window.page.locator("#nothing").wait_for()


async def test_a_link_to_a_call_opens_it(site: Site) -> None:
    window = await (await site.window()).open("/docs#deleteApiUser")
    await window.page.locator("#deleteApiUser[open] .told").first.wait_for()


async def test_errors_are_told_in_the_language_of_the_page(window: Window) -> None:
    await open_call(window, "getApiUserInfo")
    table = window.page.locator("#getApiUserInfo .errors")
    assert "请先登录" in await table.inner_text()
    await window.page.click("#lang")
    assert "Please log in first" in await table.inner_text()


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
async def test_nothing_runs_out_of_the_page(site: Site, open_context: OpenContext, width: int) -> None:
    context = await open_context(viewport={"width": width, "height": 844})
    page = await context.new_page()
    await page.goto(site.backend.url + "/docs")
    await page.wait_for_selector(".call")
    await page.evaluate("document.querySelectorAll('.call').forEach(card => (card.open = true))")
    await page.wait_for_function(FILLED)
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def open_call(window: Window, name: str) -> Locator:
    card = window.page.locator(f"#{name}")
    await card.locator("summary").first.click()
    return card
