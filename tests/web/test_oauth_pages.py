"""OAuth sign-in in a real browser: WeChat's consent pages, the way back, and the page of what went wrong."""

import os
import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from backend import OFFICIAL, WEBSITE
from browsing import OpenContext, Site, Window
from simulator.oauth import read_url

WECHAT = (
    "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 "
    "MicroMessenger/8.0.50(0x18003233) NetType/WIFI Language/zh_CN"
)


async def keep_picture(window: Window, name: str) -> None:
    """For a look at them: PICTURES names a folder."""
    if folder := os.environ.get("PICTURES"):
        await window.page.screenshot(path=Path(folder) / f"{name}.png")


async def agree(window: Window, user: str = "alice", *, allow: bool = True) -> None:
    await window.page.locator(f"input[name=user][value={user}]").check()
    await window.page.get_by_role("button", name="同意" if allow else "拒绝").click()


@pytest.mark.parametrize(
    "path", [f"/oauth/{OFFICIAL}/login?scope=userinfo&return=%2F%23done", f"/oauth/{WEBSITE}/login?return=%2F%23done"]
)
async def test_a_person_agrees_and_is_signed_in(site: Site, path: str) -> None:
    window = await (await site.window()).open(path)
    await keep_picture(window, "consent-" + ("website" if WEBSITE in path else "official"))
    await agree(window, "bob")
    await window.page.wait_for_url(re.compile(r"/#done$"))
    user = await window.user()
    assert user
    assert user["nickname"] == "老鲍 🎣"
    assert window.errors == []


async def test_a_silent_login_shows_no_page_of_wechat(site: Site) -> None:
    window = await (await site.window()).open(f"/oauth/{OFFICIAL}/login?return=%2F%23done")
    assert window.page.url.endswith("/#done")
    assert await window.user()
    documents = [one.url.partition("?")[0] for one in window.requests if one.resource_type == "document"]
    assert [url.rpartition("/")[2] for url in documents][:3] == ["login", "authorize", "callback"]


async def test_wechats_own_browser_keeps_the_login_of_a_web_view(site: Site, open_context: OpenContext) -> None:
    context = await open_context(user_agent=WECHAT, viewport={"width": 390, "height": 844})
    window = await (await site.window(context)).open(f"/oauth/{OFFICIAL}/login?scope=userinfo&return=%2F%23done")
    await agree(window)
    await window.page.wait_for_url(re.compile(r"/#done$"))
    assert await window.user()


async def test_back_and_reload_after_a_login_do_no_harm(site: Site) -> None:
    window = await (await site.window()).open(f"/oauth/{WEBSITE}/login?return=%2F%23done")
    callback: list[str] = []
    window.page.on("request", lambda request: callback.append(request.url) if "/callback?" in request.url else None)
    await agree(window)
    await window.page.wait_for_url(re.compile(r"/#done$"))
    before = await window.user()
    await window.page.goto(callback[0])
    await window.page.wait_for_url(re.compile(r"/#done$"))
    assert await window.user() == before


async def test_two_tabs_end_where_each_of_them_began(site: Site) -> None:
    one = await (await site.window()).open(f"/oauth/{WEBSITE}/login?return=%2F%23one")
    two = await (await site.window()).open(f"/oauth/{OFFICIAL}/login?scope=userinfo&return=%2F%23two")
    await agree(two)
    await two.page.wait_for_url(re.compile(r"/#two$"))
    await agree(one)
    await one.page.wait_for_url(re.compile(r"/#one$"))
    assert await one.user()


@pytest.mark.parametrize(
    ("locale", "scheme", "title", "again"),
    [
        ("zh-CN", "light", "登录未完成", "重新登录"),
        ("en-GB", "dark", "Sign-in not finished", "Sign in again"),
    ],
)
async def test_who_refuses_sees_a_page_and_can_try_again(
    site: Site, open_context: OpenContext, locale: str, scheme: str, title: str, again: str
) -> None:
    context = await open_context(locale=locale, color_scheme=scheme, viewport={"width": 390, "height": 844})
    window = await (await site.window(context)).open(f"/oauth/{WEBSITE}/login")
    await keep_picture(window, f"consent-phone-{scheme}")
    await window.page.get_by_role("button", name="拒绝" if locale == "zh-CN" else "Refuse").click()
    await expect(window.page.get_by_role("heading", name=title)).to_be_visible()
    await keep_picture(window, f"error-{scheme}")
    assert await window.refused() == []
    assert window.errors == []
    origins = {re.sub(r"(https?://[^/]+).*", r"\1", one.url) for one in window.requests[-2:]}
    assert origins == {site.backend.url}
    background = await window.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(243, 240, 232)" if scheme == "light" else "rgb(16, 20, 18)")
    width = await window.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    await window.page.get_by_role("link", name=again).click()
    await expect(window.page.locator("form.card")).to_be_visible()


async def test_a_callback_opened_in_another_browser_is_refused_and_says_what_to_do(
    site: Site, open_context: OpenContext
) -> None:
    window = await (await site.window()).open(f"/oauth/{WEBSITE}/login")
    wechat = site.backend.simulator.wechat
    asked = read_url(window.page.url, wechat.apps.find)
    callback = wechat.oauth.answer(asked, wechat.users.get("alice"), allow=True)
    other = await site.window(await open_context())
    response = await other.page.goto(callback)
    assert response
    assert response.status == 400
    await expect(other.page.get_by_text("另一个浏览器")).to_be_visible()
    assert await other.page.context.cookies() == []


async def test_the_error_page_runs_no_script_whatever_a_url_says(site: Site) -> None:
    window = await site.window()
    path = f"/oauth/{WEBSITE}/login?return=%22%3E%3Cimg%20src%3Dx%20onerror%3Dheard.push(1)%3E"
    response = await window.page.goto(site.backend.url + path)
    assert response
    assert (response.status, await response.header_value("content-type")) == (400, "text/html; charset=utf-8")
    policy = await response.header_value("content-security-policy") or ""
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert await window.page.evaluate("heard.length") == 0
    assert await window.page.locator("img").count() == 0
    assert await window.page.locator("a").count() == 0
    await keep_picture(window, "error-return")


async def test_wechat_shows_its_own_error_for_a_url_it_does_not_like(site: Site) -> None:
    window = await site.window()
    url = f"{site.backend.simulator.url}/connect/qrconnect?redirect_uri=x&appid={WEBSITE}#wechat_redirect"
    await window.page.goto(url)
    await expect(window.page.get_by_role("heading", name="微信无法打开此页面")).to_be_visible()
    await keep_picture(window, "consent-error")


async def test_wechat_opens_nothing_without_the_fragment(site: Site) -> None:
    window = await (await site.window()).open(f"/oauth/{WEBSITE}/login")
    await window.page.goto("about:blank")
    consent = next(one.url for one in window.requests if "qrconnect" in one.url)
    await window.page.goto(consent.partition("#")[0])
    await expect(window.page.get_by_role("alert")).to_contain_text("#wechat_redirect")
    await expect(window.page.get_by_role("button", name="同意")).to_be_disabled()
