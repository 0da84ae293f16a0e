"""KaimenSession in Chromium: two tabs, two browsers, and a server that has the last word."""

import asyncio
from typing import Any

from playwright.async_api import expect

from backend import PASSWORD
from browsing import OpenContext, Site, Window

SESSION = """
async () => {
  const { KaimenSession } = await import("/web/kaimen-session.js");
  window.session = new KaimenSession();
  window.told = [];
  for (const name of ["login", "update", "logout"])
    session.addEventListener(name, ({ detail }) => told.push([name, detail.user?.nickname ?? detail.reason]));
  await session.start();
}
"""


async def tab(site: Site, context: Any = None) -> Window:
    window = await (await site.window(context)).show("")
    await window.page.evaluate(SESSION)
    return window


async def told(window: Window, count: int) -> list[list[str]]:
    """The first so many events, once there are as many."""
    await window.page.wait_for_function("count => told.length >= count", arg=count)
    return [list(event) for event in await window.page.evaluate("told")]


async def user_of(window: Window) -> Any:
    return await window.page.evaluate("session.user")


async def register(site: Site, username: str) -> None:
    reply = await site.backend.auth("register", username=username, password=PASSWORD)
    assert reply.status == 200, reply.text


LOGIN = "who => session.login(who).then(user => user.username)"


async def test_who_is_signed_in_is_known_after_the_start(site: Site) -> None:
    await register(site, "alice1")
    first = await tab(site)
    assert await user_of(first) is None
    assert await first.page.evaluate(LOGIN, {"username": "alice1", "password": PASSWORD}) == "alice1"
    second = await tab(site)
    assert (await user_of(second))["username"] == "alice1"


async def test_a_sign_in_and_a_sign_out_reach_the_other_tab(site: Site) -> None:
    await register(site, "alice1")
    first, second = await tab(site), await tab(site)
    await first.page.evaluate(LOGIN, {"username": "alice1", "password": PASSWORD})
    assert (await told(second, 1))[0][0] == "login"
    assert (await user_of(second))["username"] == "alice1"
    await second.page.evaluate("session.logout()")
    assert (await told(first, 2))[1] == ["logout", "logout"]
    assert (await user_of(first), await user_of(second)) == (None, None)
    assert [event[0] for event in await told(second, 2)] == ["login", "logout"]


async def test_without_a_broadcast_channel_the_storage_carries_it(site: Site, open_context: OpenContext) -> None:
    await register(site, "alice1")
    context = await open_context()
    await context.add_init_script("delete window.BroadcastChannel")
    first, second = await tab(site, context), await tab(site, context)
    await first.page.evaluate(LOGIN, {"username": "alice1", "password": PASSWORD})
    assert (await told(second, 1))[0][0] == "login"


async def test_the_end_of_the_session_elsewhere_is_seen_in_every_tab(site: Site, open_context: OpenContext) -> None:
    await register(site, "alice1")
    here, beside = await tab(site), await tab(site)
    await here.page.evaluate(LOGIN, {"username": "alice1", "password": PASSWORD})
    await told(beside, 1)
    elsewhere = await tab(site, await open_context())
    await elsewhere.page.evaluate(LOGIN, {"username": "alice1", "password": PASSWORD})
    await elsewhere.page.evaluate("session.logout({ all: true })")
    for window in (here, beside):
        assert (await told(window, 2))[1] == ["logout", "logout"]
        assert await user_of(window) is None
        assert await window.user() is None


async def test_a_change_made_elsewhere_is_seen(site: Site) -> None:
    await register(site, "alice1")
    window, beside = await tab(site), await tab(site)
    await window.page.evaluate(LOGIN, {"username": "alice1", "password": PASSWORD})
    login = await site.backend.auth("login", username="alice1", password=PASSWORD)
    await site.backend.call("PATCH", "/api/user/info", {"nickname": "阿丽"}, login.data["accessToken"])
    assert (await told(window, 2))[1] == ["update", "阿丽"]
    assert (await told(beside, 2))[1] == ["update", "阿丽"]


async def test_one_socket_serves_all_tabs_and_another_tab_takes_it_over(site: Site) -> None:
    await register(site, "alice1")
    tabs = [await tab(site) for _ in range(3)]
    await tabs[0].page.evaluate(LOGIN, {"username": "alice1", "password": PASSWORD})
    for window in tabs:
        await told(window, 1)
    await asyncio.sleep(0.3)
    assert sum(len(window.sockets) for window in tabs) == 1
    holder = next(window for window in tabs if window.sockets)
    await holder.page.close()
    others = [window for window in tabs if window is not holder]
    for _ in range(100):
        if sum(len(window.sockets) for window in others) == 1:
            break
        await asyncio.sleep(0.05)
    assert sum(len(window.sockets) for window in others) == 1


async def test_fetch_brings_the_xsrf_token_to_kaimen_and_to_nobody_else(site: Site) -> None:
    await register(site, "alice1")
    window = await tab(site)
    await window.page.evaluate(LOGIN, {"username": "alice1", "password": PASSWORD})
    script = """() => SEND("/api/user/info", {
      method: "PATCH", body: JSON.stringify({ nickname: "阿丽" }), headers: { "Content-Type": "application/json" },
    }).then(reply => reply.status)"""
    assert await window.page.evaluate(script.replace("SEND", "fetch")) == 403
    assert await window.page.evaluate(script.replace("SEND", "session.fetch")) == 200
    await window.page.evaluate("session.fetch('http://127.0.0.1:1/', {method: 'POST'}).catch(() => 0)")
    assert "x-xsrftoken" not in await window.requests[-1].all_headers()


async def test_a_server_that_cannot_be_reached_changes_nothing(site: Site) -> None:
    await register(site, "alice1")
    window = await tab(site)
    await window.page.evaluate(LOGIN, {"username": "alice1", "password": PASSWORD})
    await window.page.context.set_offline(True)
    error = await window.page.evaluate("session.refresh().catch(error => [error.code, error.error])")
    assert error == [0, "network"]
    assert (await user_of(window))["username"] == "alice1"


async def test_the_demo_shows_the_end_of_the_session_in_both_tabs(site: Site) -> None:
    first, second = await (await site.window()).open("/"), await (await site.window()).open("/")
    await first.scan_on_demo()
    await first.confirm_on_demo()
    await expect(second.page.locator(".me h2")).to_have_text("爱丽丝")
    await expect(first.page.locator(".me h2")).to_have_text("爱丽丝")
    await first.page.locator("#logout-all").click()
    await expect(second.page.locator(".notice")).to_be_visible()
    await expect(first.page.locator("kaimen-login")).to_be_visible()
    assert (await first.refused(), await second.refused(), first.errors, second.errors) == ([], [], [], [])


# --- ways back after a sign-in ---

LOCAL = ["/", "/orders", "/orders?id=7#top", "/a/b.html", "/%E4%BD%A0", "/~x/@y;z=1,2"]
FOREIGN = [
    "",
    "orders",
    "//example.com",
    "///example.com",
    "/\\example.com",
    "\\\\example.com",
    "https:example.com",
    "https://example.com/",
    "/%09/example.com",
    "/\t/example.com",
    "/%2f%2fexample.com",
    "/%2F/example.com",
    "/%5cexample.com",
    "https://127.0.0.1@example.com",
    "javascript:alert(1)",
    "/\r\nLocation: x",
    "/a/../..//example.com",
    "/./example.com",
    " /orders",
    "/orders ",
    "/\u200borders",
    "/\ufeff",
    "/你",
    "data:text/html,x",
    "?x",
    "#x",
]


IS_LOCAL = """async paths => {
  const { isLocalPath } = await import("/web/lib/redirect.js");
  return paths.filter(path => isLocalPath(path));
}"""


async def test_a_path_of_this_site_and_nothing_else_is_a_way_back(site: Site) -> None:
    window = await (await site.window()).show("")
    assert await window.page.evaluate(IS_LOCAL, LOCAL) == LOCAL
    assert await window.page.evaluate(IS_LOCAL, FOREIGN) == []
    assert await window.page.evaluate(IS_LOCAL, [None, 7, {}, ["/a"]]) == []


async def test_the_way_back_is_read_from_the_query_and_written_into_it(site: Site) -> None:
    window = await (await site.window()).show("")
    script = """async () => {
      const { goTo, loginPath, returnPath } = await import("/web/lib/redirect.js");
      const refused = (() => { try { goTo("//example.com"); } catch (error) { return error.name; } })();
      return [
        returnPath({ search: "?return=%2Forders%3Fid%3D7" }),
        returnPath({ search: "?return=%2F%2Fexample.com" }),
        returnPath({ search: "?next=/a", name: "next" }),
        returnPath({ search: "", otherwise: "/home" }),
        loginPath("/login", { back: "/orders?id=7" }),
        loginPath("/login", { back: "//example.com" }),
        refused,
      ];
    }"""
    expected = ["/orders?id=7", "/", "/a", "/home", "/login?return=%2Forders%3Fid%3D7", "/login", "TypeError"]
    assert await window.page.evaluate(script) == expected
