"""Cookies and XSRF."""

import asyncio
from typing import Any

import pytest

from backend import PASSWORD, Backend, Reply, StartBackend, Store
from core.clock import Clock
from models.db import open_database

ORIGIN = "https://kaimen.test"
EVIL = "https://kaimen.test.evil.example"


@pytest.fixture
async def backend(start_backend: StartBackend, store: Store) -> Backend:
    return await start_backend(store, public_url=ORIGIN)


class Page:
    """A browser's page of our origin, with its cookie jar."""

    def __init__(self, backend: Backend, jar: dict[str, str] | None = None) -> None:
        self.backend = backend
        self.jar = dict(jar or {})
        self.xsrf = ""

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        if self.jar:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        if method != "GET":
            headers.setdefault("Origin", ORIGIN)
        reply = await self.backend.call(method, path, body, **headers)
        for line in reply.headers.get_list("Set-Cookie"):
            name, _, value = line.split(";")[0].partition("=")
            if value.strip('"'):
                self.jar[name] = value
            else:
                self.jar.pop(name, None)
        return reply

    async def log_in(self, user: str = "alice", **headers: str) -> Reply:
        body = {"action": "login", "code": self.backend.wx_login(user), "cookie": True}
        reply = await self.call("POST", "/api/auth", body, **headers)
        self.xsrf = reply.data["xsrfToken"] if reply.status == 200 else ""
        return reply


async def test_a_page_gets_cookies_instead_of_tokens(backend: Backend) -> None:
    page = Page(backend)
    reply = await page.log_in()
    assert not {"accessToken", "refreshToken", "expiresIn", "tokenType"} & set(reply.data)
    session, xsrf = reply.headers.get_list("Set-Cookie")
    value, _, attributes = session.partition("; ")
    assert value.startswith("__Host-kaimen=" + reply.data["sessionId"] + ".0.")
    assert sorted(attributes.split("; ")) == sorted(["HttpOnly", "Max-Age=604800", "Path=/", "SameSite=Lax", "Secure"])
    assert xsrf.startswith(f"__Host-kaimen-xsrf={reply.data['xsrfToken']}; ")
    assert "HttpOnly" not in xsrf
    assert (await page.call("GET", "/api/user/info")).data["id"] == reply.data["user"]["id"]


async def test_over_plain_http_in_development_the_names_are_plain_too(
    start_backend: StartBackend, embedded_store: Store
) -> None:
    backend = await start_backend(embedded_store)
    body = {"action": "login", "code": backend.wx_login(), "cookie": True}
    reply = await backend.call("POST", "/api/auth", body, Origin="http://kaimen.test")
    cookies = reply.headers.get_list("Set-Cookie")
    assert [line.split("=")[0] for line in cookies] == ["kaimen", "kaimen-xsrf"]
    assert not any("Secure" in line for line in cookies)
    assert "Strict-Transport-Security" not in reply.headers


async def test_what_changes_something_needs_the_xsrf_token_of_the_same_session(backend: Backend) -> None:
    page, other = Page(backend), Page(backend)
    await page.log_in()
    await other.log_in("bob")
    change = {"nickname": "阿丽"}
    for token in ({}, {"X_XSRFToken": ""}, {"X_XSRFToken": "x" * 43}, {"X_XSRFToken": other.xsrf}):
        reply = await page.call("PATCH", "/api/user/info", change, **token)
        assert (reply.status, reply.error) == (403, "xsrf")
    assert (await page.call("PATCH", "/api/user/info", change, X_XSRFToken=page.xsrf)).status == 200


@pytest.mark.parametrize(
    "origin", ["null", EVIL, "http://kaimen.test", "https://KAIMEN.test", "https://kaimen.test:444"]
)
async def test_a_cookie_counts_for_pages_of_our_origin_only(backend: Backend, origin: str) -> None:
    page = Page(backend)
    await page.log_in()
    reply = await page.call("PATCH", "/api/user/info", {"nickname": "x"}, X_XSRFToken=page.xsrf, Origin=origin)
    assert (reply.status, reply.error) == (403, "bad_origin")
    refused = await Page(backend).log_in(Origin=origin)
    assert (refused.status, refused.error) == (403, "bad_origin")
    assert refused.headers.get_list("Set-Cookie") == []


async def test_an_absent_origin_is_no_origin_of_ours(backend: Backend) -> None:
    page = Page(backend)
    await page.log_in()
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in page.jar.items()), "X_XSRFToken": page.xsrf}
    reply = await backend.call("POST", "/api/auth/logout", {}, **headers)
    assert (reply.status, reply.error) == (403, "bad_origin")
    body = {"action": "login", "code": backend.wx_login(), "cookie": True}
    assert (await backend.call("POST", "/api/auth", body)).error == "bad_origin"


async def test_a_page_of_another_site_cannot_log_its_visitor_in(backend: Backend) -> None:
    body = {"action": "login", "code": backend.wx_login()}
    reply = await backend.call("POST", "/api/auth", body, Sec_Fetch_Site="cross-site", Origin=EVIL)
    assert (reply.status, reply.error) == (403, "bad_origin")
    form = await backend.call("POST", "/api/auth", "action=login", Content_Type="application/x-www-form-urlencoded")
    assert form.status == 415
    for same in ({"Sec_Fetch_Site": "same-origin"}, {"Sec_Fetch_Site": "cross-site", "Origin": ORIGIN}):
        body = {"action": "login", "code": backend.wx_login()}
        assert (await backend.call("POST", "/api/auth", body, **same)).status == 200


async def test_a_preset_cookie_is_replaced_and_its_session_ends(backend: Backend) -> None:
    attacker = Page(backend)
    await attacker.log_in("bob")
    victim = Page(backend, attacker.jar)
    login = await victim.log_in("alice")
    assert victim.jar["__Host-kaimen"] != attacker.jar["__Host-kaimen"]
    info = await victim.call("GET", "/api/user/info")
    assert info.data["id"] == login.data["user"]["id"]
    old = await attacker.call("GET", "/api/user/info")
    assert (old.status, old.error) == (401, "session_revoked")


async def test_logout_ends_the_session_and_takes_the_cookies_away(backend: Backend) -> None:
    page = Page(backend)
    await page.log_in()
    before = dict(page.jar)
    reply = await page.call("POST", "/api/auth/logout", {}, X_XSRFToken=page.xsrf)
    assert (reply.status, page.jar) == (200, {})
    assert (await Page(backend, before).call("GET", "/api/user/info")).error == "session_revoked"


async def test_ending_the_current_session_from_the_list_takes_the_cookies_away(backend: Backend) -> None:
    page = Page(backend)
    session_id = (await page.log_in()).data["sessionId"]
    reply = await page.call("DELETE", f"/api/sessions/{session_id}", None, X_XSRFToken=page.xsrf)
    assert (reply.status, page.jar) == (200, {})


async def test_after_a_quarter_of_an_hour_the_cookie_is_checked_and_renewed_and_before_it_is_not(
    backend: Backend, store: Store
) -> None:
    page = Page(backend)
    await page.log_in()
    first = page.jar["__Host-kaimen"]
    backend.clock.advance(899)
    await page.call("GET", "/api/user/info")
    assert page.jar["__Host-kaimen"] == first
    backend.clock.advance(2)
    reply = await page.call("GET", "/api/user/info")
    assert reply.status == 200
    assert page.jar["__Host-kaimen"] != first
    assert "; Max-Age=6047" in reply.headers.get_list("Set-Cookie")[0]
    again = await Page(backend, {"__Host-kaimen": first}).call("GET", "/api/user/info")
    assert again.status == 200, "a renewal whose reply was lost must not end the session"
    seen = (await page.call("GET", "/api/sessions")).data["sessions"][0]
    assert seen["lastSeenAt"] > seen["createdAt"]


async def test_a_cookie_slides_for_weeks_and_dies_when_unused(backend: Backend) -> None:
    page = Page(backend)
    await page.log_in()
    for _ in range(3):
        backend.clock.advance(6 * 86400)
        assert (await page.call("GET", "/api/user/info")).status == 200
    kept = dict(page.jar)
    backend.clock.advance(7 * 86400 + 1)
    assert (await page.call("GET", "/api/user/info")).status == 401
    assert page.jar == {}, "a dead cookie is taken away"
    assert (await Page(backend, kept).call("GET", "/api/user/info")).status == 401


async def test_a_cookie_of_a_disabled_user_is_refused_at_its_next_check(backend: Backend, store: Store) -> None:
    page = Page(backend)
    await page.log_in()
    database = open_database(store.database_url, Clock())

    async def disable(tx):  # type: ignore[no-untyped-def]
        await tx.execute("UPDATE users SET disabled_at = 1")

    await database.run(disable)
    await database.close()
    backend.clock.advance(901)
    assert (await page.call("GET", "/api/user/info")).error == "account_disabled"


async def test_a_cookie_works_on_every_instance_and_its_logout_too(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = [await start_backend(server_store, public_url=ORIGIN) for _ in range(2)]
    page = Page(one)
    await page.log_in()
    other = Page(two, page.jar)
    assert (await other.call("GET", "/api/user/info")).status == 200
    await page.call("POST", "/api/auth/logout", {}, X_XSRFToken=page.xsrf)
    async with asyncio.timeout(1):
        while (await Page(two, other.jar).call("GET", "/api/user/info")).status != 401:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("change", ["mac", "generation", "session", "time", "refresh", "cut", "padded"])
async def test_a_forged_cookie_is_refused(start_backend: StartBackend, embedded_store: Store, change: str) -> None:
    backend = await start_backend(embedded_store, public_url=ORIGIN)
    page = Page(backend)
    await page.log_in()
    refresh = (await backend.login("bob"))["refreshToken"]
    session, generation, checked, mac = page.jar["__Host-kaimen"].split(".")
    forged = {
        "mac": f"{session}.{generation}.{checked}.{'A' * 43}",
        "generation": f"{session}.1.{checked}.{mac}",
        "session": f"{'0' * 32}.{generation}.{checked}.{mac}",
        "time": f"{session}.{generation}.{int(checked) + 1}.{mac}",
        "refresh": refresh,
        "cut": f"{session}.{generation}.{checked}.{mac[:-1]}",
        "padded": f"{session}.{generation}.{checked}.{mac}=",
    }[change]
    reply = await Page(backend, {"__Host-kaimen": forged}).call("GET", "/api/user/info")
    assert (reply.status, reply.error) == (401, "unauthenticated")


async def test_a_cookie_is_no_refresh_token(backend: Backend) -> None:
    page = Page(backend)
    await page.log_in()
    reply = await backend.auth("autoLogin", refreshToken=page.jar["__Host-kaimen"])
    assert reply.error == "refresh_invalid"


async def test_nginx_may_ask_for_a_page_and_what_it_changes_needs_the_token(backend: Backend) -> None:
    page = Page(backend)
    await page.log_in()
    for headers in ({}, {"X_Original_Method": "GET"}, {"X_Original_Method": "POST", "X_XSRFToken": page.xsrf}):
        assert (await page.call("GET", "/api/token/verify", **headers)).status == 204
    for method in ("POST", "DELETE", "post", "QUERY"):
        reply = await page.call("GET", "/api/token/verify", X_Original_Method=method)
        assert (reply.status, reply.error) == (403, "xsrf")


async def test_a_bearer_token_needs_no_xsrf_token_and_wins_over_a_cookie(backend: Backend) -> None:
    page = Page(backend)
    await page.log_in("bob")
    alice = await backend.login("alice")
    reply = await page.call(
        "PATCH", "/api/user/info", {"nickname": "a"}, Authorization=f"Bearer {alice['accessToken']}"
    )
    assert reply.data["id"] == alice["user"]["id"]


async def test_a_refresh_token_can_be_exchanged_for_a_cookie(backend: Backend) -> None:
    login = await backend.login()
    page = Page(backend)
    body = {"action": "autoLogin", "refreshToken": login["refreshToken"], "cookie": True}
    reply = await page.call("POST", "/api/auth", body)
    assert reply.data["sessionId"] == login["sessionId"]
    assert (await page.call("GET", "/api/user/info")).status == 200


async def test_registering_with_a_password_sets_the_cookie_too(backend: Backend) -> None:
    page = Page(backend)
    body = {"action": "register", "username": "alice", "password": PASSWORD, "cookie": True}
    assert (await page.call("POST", "/api/auth", body)).status == 200
    assert (await page.call("GET", "/api/user/info")).data["username"] == "alice"
