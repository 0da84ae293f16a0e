"""Where a login may return to, over HTTP: refused without a redirect, and without a state."""

import asyncio
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from backend import OFFICIAL, Backend, StartBackend, Store
from browser import Browser

SHOP = "https://shop.example"
CROSS = {"Sec_Fetch_Site": "cross-site"}
BAD = [
    "//e",
    "/\\e",
    "https:e",
    "/%09/e",
    "https://ok@e",
    "https://shop.example.e",
    "/%2f%2fe",
    "javascript:1",
    "/a\r\nX: y",
]


@pytest.mark.parametrize("address", BAD)
async def test_a_bad_return_address_is_4000_and_no_redirect(
    start_backend: StartBackend, embedded_store: Store, address: str
) -> None:
    backend = await start_backend(embedded_store, return_origins=f"http://kaimen.test,{SHOP}")
    reply = await backend.get(f"/oauth/{OFFICIAL}/login?return={quote(address, safe='')}")
    assert (reply.status, reply.body["code"], reply.data) == (400, 4000, {"field": "return"})
    assert "Location" not in reply.headers
    assert "Set-Cookie" not in reply.headers
    assert await backend.kaimen.oauth._kv.run("KEYS", "kaimen:oauth:*") == []


@pytest.mark.parametrize(
    "query",
    ["scope=all", "mode=token", "return=%2Fa&return=%2Fb", "return=%E9", "scope", "mode=", "scope=base&scope=base"],
)
async def test_a_malformed_query_is_4000(backend: Backend, query: str) -> None:
    reply = await backend.get(f"/oauth/{OFFICIAL}/login?{query}")
    assert (reply.status, reply.body["code"]) == (400, 4000)


async def test_what_wechat_adds_to_shared_links_does_no_harm(backend: Backend) -> None:
    reply = await backend.get(f"/oauth/{OFFICIAL}/login?return=%2Fa&from=singlemessage&isappinstalled=0")
    assert reply.status == 302


async def test_a_ticket_takes_the_session_to_a_page_on_another_domain_once(
    start_backend: StartBackend, store: Store
) -> None:
    backend = await start_backend(store, return_origins=SHOP)
    browser = Browser(backend)
    reply = await browser.sign_in("alice", scope="userinfo", mode="ticket", return_=f"{SHOP}/in?a=b#c")
    location = urlsplit(reply.headers["Location"])
    assert (location.scheme, location.netloc, location.path, location.fragment) == ("https", "shop.example", "/in", "c")
    assert "kaimen" not in browser.cookies
    ticket = parse_qs(location.query)["kaimenTicket"][0]
    redeemed = await backend.call(
        "POST", "/api/auth/ticket", {"ticket": ticket}, Origin=SHOP, Sec_Fetch_Site="cross-site"
    )
    assert redeemed.status == 200, redeemed.text
    assert redeemed.headers["Access-Control-Allow-Origin"] == SHOP
    assert redeemed.data["user"]["nickname"] == "爱丽丝"
    assert redeemed.data["isNewUser"] is True
    info = await backend.get("/api/user/info", redeemed.data["accessToken"])
    assert info.status == 200
    renewed = await backend.auth("autoLogin", refreshToken=redeemed.data["refreshToken"])
    assert renewed.status == 200
    again = await backend.call("POST", "/api/auth/ticket", {"ticket": ticket})
    assert (again.status, again.body["code"]) == (401, 4012)


async def test_the_callback_twice_gives_the_same_ticket(start_backend: StartBackend, store: Store) -> None:
    backend = await start_backend(store, return_origins=SHOP)
    browser = Browser(backend)
    callback = await browser.agree(await browser.begin(mode="ticket", return_=SHOP))
    locations = {(await browser.open(callback)).headers["Location"] for _ in range(3)}
    assert len(locations) == 1


async def test_of_twenty_redemptions_at_once_one_succeeds(start_backend: StartBackend, store: Store) -> None:

    backend = await start_backend(store, limits={"refresh_network": "100/60"})
    reply = await Browser(backend).sign_in(mode="ticket")
    ticket = parse_qs(urlsplit(reply.headers["Location"]).query)["kaimenTicket"][0]
    replies = await asyncio.gather(*(backend.call("POST", "/api/auth/ticket", {"ticket": ticket}) for _ in range(20)))
    assert sorted(reply.status for reply in replies) == [200] + [401] * 19


async def test_a_ticket_lives_a_minute_and_dies_with_its_session(backend: Backend) -> None:
    tickets = []
    for user in ("alice", "bob"):
        reply = await Browser(backend).sign_in(user, mode="ticket")
        tickets.append(parse_qs(urlsplit(reply.headers["Location"]).query)["kaimenTicket"][0])
    await backend.kaimen.guard.end(tickets[1].partition(".")[0], "logout")
    assert (await backend.call("POST", "/api/auth/ticket", {"ticket": tickets[1]})).body["code"] == 4012
    backend.clock.advance(61)
    assert (await backend.call("POST", "/api/auth/ticket", {"ticket": tickets[0]})).body["code"] == 4012


async def test_a_forged_ticket_and_a_refresh_token_in_its_place_are_refused(backend: Backend) -> None:
    login = await backend.login("alice")
    session, _, mac = login["refreshToken"].split(".")
    for ticket in ("x", f"{session}.{mac}", f"{session}.{'A' * 43}", login["refreshToken"], login["accessToken"][:128]):
        reply = await backend.call("POST", "/api/auth/ticket", {"ticket": ticket})
        assert (reply.status, reply.body["code"]) == (401, 4012)
    assert (await backend.get("/api/user/info", login["accessToken"])).status == 200


async def test_a_ticket_becomes_a_cookie_for_pages_of_ours_only(start_backend: StartBackend, store: Store) -> None:
    backend = await start_backend(
        store, web_origins="https://www.example", return_origins=f"https://www.example,{SHOP}"
    )
    reply = await Browser(backend).sign_in(mode="ticket", return_="https://www.example/in")
    ticket = parse_qs(urlsplit(reply.headers["Location"]).query)["kaimenTicket"][0]
    body = {"ticket": ticket, "cookie": True}
    refused = await backend.call("POST", "/api/auth/ticket", body, Origin=SHOP)
    assert (refused.status, refused.body["code"]) == (403, 4032)
    taken = await backend.call("POST", "/api/auth/ticket", body, Origin="https://www.example")
    assert taken.status == 200
    assert "accessToken" not in taken.data
    assert "kaimen=" in taken.headers["Set-Cookie"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_other_pages_neither_redeem_nor_read(
    start_backend: StartBackend, embedded_store: Store, origin: str
) -> None:
    backend = await start_backend(embedded_store, return_origins=SHOP)
    reply = await backend.call("POST", "/api/auth/ticket", {"ticket": "x"}, Origin=origin, **CROSS)
    assert (reply.status, reply.body["code"]) == (403, 4032)
    assert "Access-Control-Allow-Origin" not in reply.headers


async def test_return_origins_reach_the_ticket_and_nothing_else(
    start_backend: StartBackend, embedded_store: Store
) -> None:
    backend = await start_backend(embedded_store, return_origins=SHOP)
    reply = await backend.get("/api/user/info", Origin=SHOP)
    assert "Access-Control-Allow-Origin" not in reply.headers
