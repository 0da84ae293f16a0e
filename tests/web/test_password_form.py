"""<kaimen-password> in Chromium: what it checks, what it says, when it waits."""

import pytest
from playwright.async_api import Locator, Page, Route, expect

from backend import PASSWORD, StartBackend, Store
from browsing import URL, OpenContext, Site, Window


async def form(site: Site, attributes: str = "") -> Window:
    window = await site.window()
    return await window.show(f"<kaimen-password {attributes}></kaimen-password>", scripts=("kaimen-session.js",))


async def register(site: Site, username: str) -> None:
    reply = await site.backend.auth("register", username=username, password=PASSWORD)
    assert reply.status == 200, reply.text


def field(page: Page, name: str) -> Locator:
    return page.locator(f"kaimen-password input[name={name}]")


def fault(page: Page, name: str) -> Locator:
    return page.locator(f"kaimen-password #{name}-fault")


async def fill(window: Window, username: str, password: str) -> None:
    await field(window.page, "username").fill(username)
    await field(window.page, "password").fill(password)


def button(page: Page) -> Locator:
    return page.locator("kaimen-password button[type=submit]")


async def test_a_person_signs_in_with_the_keyboard_alone(site: Site) -> None:
    await register(site, "alice1")
    window = await form(site)
    await window.page.keyboard.press("Tab")
    await window.page.keyboard.type("alice1")
    await window.page.keyboard.press("Tab")
    await window.page.keyboard.type(PASSWORD)
    await window.page.keyboard.press("Enter")
    done = await window.heard("success")
    user = await window.user()
    assert user is not None
    assert (user["id"], "accessToken" in done) == (done["user"]["id"], False)
    assert (await window.refused(), window.errors) == ([], [])


async def test_a_new_account_is_made_and_signed_in(site: Site) -> None:
    window = await form(site)
    await window.page.get_by_role("button", name="没有账号？注册一个").click()
    await fill(window, "alice1", PASSWORD)
    await button(window.page).click()
    assert (await window.heard("success"))["isNewUser"] is True


async def test_a_field_is_checked_when_it_is_left_and_not_before(site: Site) -> None:
    window = await form(site)
    await field(window.page, "username").fill("a")
    await expect(fault(window.page, "username")).to_have_text("")
    await field(window.page, "username").blur()
    await expect(fault(window.page, "username")).to_have_text("3–20 位字母或数字")
    await expect(field(window.page, "username")).to_have_attribute("aria-invalid", "true")
    await field(window.page, "username").fill("alice1")
    await expect(fault(window.page, "username")).to_have_text("")
    await expect(field(window.page, "username")).to_have_attribute("aria-invalid", "false")


async def test_nothing_is_sent_while_something_is_missing(site: Site) -> None:
    window = await form(site, 'lang="en"')
    await button(window.page).click()
    await expect(fault(window.page, "username")).to_have_text("Enter your username")
    await expect(fault(window.page, "password")).to_have_text("Enter your password")
    await expect(field(window.page, "username")).to_be_focused()
    assert not [request for request in window.requests if "/api/" in request.url]


@pytest.mark.parametrize(
    ("password", "missing"),
    [
        ("Short-1", "8–128 个字符"),
        ("all-lower-1", "大写字母"),
        ("ALL-UPPER-1", "小写字母"),
        ("No-Digit-Here", "数字"),
        ("NoSpecial1", "特殊字符"),
        ("x" * 129, "8–128 个字符、大写字母、数字、特殊字符"),
    ],
)
async def test_a_weak_password_is_told_what_it_lacks(site: Site, password: str, missing: str) -> None:
    window = await form(site, 'mode="register"')
    await fill(window, "alice1", password)
    await button(window.page).click()
    await expect(fault(window.page, "password")).to_have_text(f"密码还缺：{missing}")
    assert not [request for request in window.requests if "/api/" in request.url]


async def test_the_rules_are_those_of_the_server(site: Site) -> None:
    """What the form lets through, the server takes; the commonest passwords are known to the server alone."""
    window = await form(site, 'mode="register"')
    await fill(window, "alice1", "Password-1")
    await button(window.page).click()
    await expect(fault(window.page, "password")).to_have_text("这个密码太常见，换一个吧")
    for username, password in [("bob1", " Pa-1 ss "), ("carol1", "😀Abcdef-1"), ("dave1", "Ünïcode-1密码")]:
        await fill(window, username, password)
        await window.forget()
        await button(window.page).click()
        assert (await window.heard("success"))["user"]["username"] == username
        reply = await site.backend.auth("login", username=username, password=password)
        assert reply.status == 200


async def test_a_wrong_password_is_told_in_words_and_keeps_the_name(site: Site) -> None:
    await register(site, "alice1")
    window = await form(site)
    await fill(window, "alice1", "Wrong-Pass-1")
    await button(window.page).click()
    await expect(window.page.get_by_role("alert")).to_have_text("用户名或密码不对")
    await expect(field(window.page, "username")).to_have_value("alice1")
    await expect(field(window.page, "password")).to_be_focused()
    assert (await window.heard("error"))["code"] == 4013


async def test_a_taken_name_is_told_at_its_field(site: Site) -> None:
    await register(site, "alice1")
    window = await form(site, 'mode="register"')
    await fill(window, "alice1", PASSWORD)
    await button(window.page).click()
    await expect(fault(window.page, "username")).to_have_text("这个用户名已经有人用了")
    await expect(field(window.page, "username")).to_be_focused()


async def test_after_too_many_wrong_passwords_it_counts_down(
    start_backend: StartBackend, embedded_store: Store, open_context: OpenContext
) -> None:
    backend = await start_backend(embedded_store, public_url=URL, limits={"password_account": "1/6"})
    site = Site(backend, await open_context())
    await register(site, "alice1")
    window = await form(site)
    for _ in range(2):
        await fill(window, "alice1", "Wrong-Pass-1")
        await window.forget()
        await button(window.page).click()
        await window.heard("error")
    await expect(window.page.get_by_role("alert")).to_have_text("密码错的次数太多，先歇一会儿")
    await expect(button(window.page)).to_contain_text("秒后可再试")
    await expect(button(window.page)).to_have_attribute("aria-disabled", "true")
    sent = len(window.requests)
    await button(window.page).click(force=True)
    await field(window.page, "password").press("Enter")
    assert len(window.requests) == sent
    await expect(button(window.page)).to_have_text("登录", timeout=8000)
    await fill(window, "alice1", PASSWORD)
    await button(window.page).click()
    await window.heard("success")


async def test_it_is_sent_once_however_often_the_button_is_pressed(site: Site) -> None:
    await register(site, "alice1")
    window = await form(site)
    held: list[Route] = []

    async def hold(route: Route) -> None:
        held.append(route)

    await window.page.route("**/api/auth", hold)
    await fill(window, "alice1", PASSWORD)
    await button(window.page).click()
    await expect(button(window.page)).to_have_attribute("aria-busy", "true")
    await button(window.page).click(force=True)
    await field(window.page, "password").press("Enter")
    await window.page.wait_for_timeout(200)
    assert len(held) == 1
    await held[0].continue_()
    await window.heard("success")


async def test_without_a_network_it_says_so(site: Site) -> None:
    window = await form(site, 'lang="en"')
    await window.page.context.set_offline(True)
    await fill(window, "alice1", PASSWORD)
    await button(window.page).click()
    await expect(window.page.get_by_role("alert")).to_contain_text("The server cannot be reached")


async def test_the_password_can_be_shown_and_hidden(site: Site) -> None:
    window = await form(site)
    await fill(window, "alice1", PASSWORD)
    await window.page.get_by_role("button", name="显示密码").click()
    await expect(field(window.page, "password")).to_have_attribute("type", "text")
    await window.page.get_by_role("button", name="隐藏密码").click()
    await expect(field(window.page, "password")).to_have_attribute("type", "password")
