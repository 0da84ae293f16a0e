"""<kaimen-login> without a mouse, without eyes, without motion; in two languages and two themes."""

import pytest
from playwright.async_api import expect

from browsing import OpenContext, Site, Window


async def page_with(site: Site, attributes: str = "", **options: object) -> Window:
    return await (await site.window()).show(f"<kaimen-login {attributes}></kaimen-login>")


async def cancelled(site: Site, window: Window) -> None:
    scan_id = (await window.heard("shown"))["scanId"]
    phone = await site.phone()
    await phone.do("scan", scan_id)
    await phone.do("cancel", scan_id)
    await window.heard("cancelled")


async def test_a_new_code_is_had_with_the_keyboard_and_the_focus_is_not_lost(site: Site) -> None:
    window = await page_with(site)
    await cancelled(site, window)
    await window.page.keyboard.press("Tab")
    await expect(window.page.get_by_role("button", name="换一个二维码")).to_be_focused()
    await window.forget()
    await window.page.keyboard.press("Enter")
    await window.heard("shown")
    assert await window.page.evaluate("document.activeElement.localName") == "kaimen-login"
    await cancelled(site, window)
    await expect(window.page.get_by_role("button", name="换一个二维码")).to_be_focused()


async def test_the_focus_is_not_taken_from_the_page(site: Site) -> None:
    window = await (await site.window()).show("<input id=own><kaimen-login></kaimen-login>")
    await window.page.locator("#own").focus()
    await cancelled(site, window)
    await expect(window.page.locator("#own")).to_be_focused()


async def test_a_screen_reader_hears_each_state_once_and_no_countdown(site: Site) -> None:
    window = await page_with(site)
    await window.page.evaluate(
        """() => {
          window.said = [];
          const region = document.querySelector("kaimen-login").shadowRoot.querySelector("[aria-live]");
          new MutationObserver(() => said.push(region.textContent)).observe(region, { childList: true, subtree: true });
        }"""
    )
    phone, scan_id = await site.phone(nickname="阿丽"), (await window.heard("shown"))["scanId"]
    await phone.do("scan", scan_id)
    await window.heard("scanned")
    await window.page.wait_for_timeout(2200)
    await phone.do("confirm", scan_id)
    await window.heard("success")
    said = [words for words in await window.page.evaluate("said") if words]
    assert said == ["阿丽 已扫码在手机上选对数字，再确认", "正在登录…", "欢迎，阿丽"]


async def test_the_code_has_a_name_for_those_who_do_not_see_it(site: Site) -> None:
    window = await page_with(site)
    await window.heard("shown")
    await expect(window.page.get_by_role("img", name="登录二维码，请用微信扫一扫")).to_be_visible()
    await expect(window.page.get_by_role("region", name="微信扫码登录")).to_be_visible()


@pytest.mark.parametrize(("attributes", "title"), [('lang="en"', "Sign in with WeChat"), ('lang="zh"', "微信扫码登录")])
async def test_it_speaks_the_language_it_is_told(site: Site, attributes: str, title: str) -> None:
    window = await page_with(site, attributes)
    await expect(window.page.get_by_role("heading")).to_have_text(title)


async def test_a_change_of_language_does_not_cost_the_code(site: Site) -> None:
    window = await page_with(site)
    await window.heard("shown")
    await window.forget()
    await window.page.evaluate("document.querySelector('kaimen-login').setAttribute('lang', 'en')")
    await expect(window.page.get_by_role("heading")).to_have_text("Sign in with WeChat")
    assert await window.page.evaluate("heard") == []


async def test_with_less_motion_asked_for_nothing_moves(site: Site, open_context: OpenContext) -> None:
    window = await (await site.window(await open_context(reduced_motion="reduce"))).show(
        "<kaimen-login></kaimen-login>"
    )
    phone, scan_id = await site.phone(), (await window.heard("shown"))["scanId"]
    await phone.do("scan", scan_id)
    await window.heard("scanned")
    script = "document.querySelector('kaimen-login').shadowRoot.getAnimations().length"
    assert await window.page.evaluate(script) == 0


@pytest.mark.parametrize(
    ("scheme", "attributes", "is_dark"),
    [("dark", "", True), ("light", "", False), ("dark", 'theme="light"', False), ("light", 'theme="dark"', True)],
)
async def test_the_theme_is_the_persons_unless_the_page_says_otherwise(
    site: Site, open_context: OpenContext, scheme: str, attributes: str, is_dark: bool
) -> None:
    window = await (await site.window(await open_context(color_scheme=scheme))).show(
        f"<kaimen-login {attributes}></kaimen-login>"
    )
    colour = await window.page.evaluate("getComputedStyle(document.querySelector('kaimen-login')).colorScheme")
    assert (colour == "dark") is is_dark


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
async def test_nothing_sticks_out_at_any_width(site: Site, open_context: OpenContext, width: int) -> None:
    context = await open_context(viewport={"width": width, "height": 800})
    for path in ("/", "/?way=password"):
        window = await (await site.window(context)).open(path)
        await window.page.locator("kaimen-login, kaimen-password").wait_for()
        assert await window.page.evaluate("document.documentElement.scrollWidth") <= width
