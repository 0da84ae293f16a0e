"""QR login from the first picture to the session, over both pairs of stores."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from backend import APPID, Backend, StartBackend, Store
from core.observe import metrics
from rows import events_of, fetch
from scan_client import ORIGIN, Page, act, confirmed, create, hear, open_page, watching

FINISHED = {"cancelled": 4102, "expired": 4100, "redeemed": 4101}


async def finish(backend: Backend, page: Page, state: str, token: str) -> str:
    """Brings a scan to its end; the ticket it had, or one of the same form."""
    if state == "redeemed":
        ticket = await confirmed(backend, page, token)
        assert (await page.redeem(backend, ticket)).status == 200
        return ticket
    if state == "cancelled":
        assert (await act(backend, page, "cancel", token)).data == {"state": "cancelled"}
    else:
        backend.clock.advance(121)
    return "A" * 22


async def test_a_browser_is_signed_in_as_the_user_who_confirms_on_the_phone(backend: Backend) -> None:
    phone = await backend.login()
    page = await open_page(backend)
    async with watching(backend, page) as browser:
        first = await hear(browser)
        assert (first["type"], first["state"], first["version"]) == ("PENDING", "pending", 1)
        assert 118 <= first["expiresIn"] <= 120
        shown = await act(backend, page, "scan", phone["accessToken"])
        assert shown.data["matchCode"] == page.data["matchCode"]
        assert shown.data["browser"] == {"name": "Chrome 142", "os": "Windows", "address": "127.0.0.1"}
        assert shown.data["site"] == ORIGIN
        assert (await hear(browser))["type"] == "SCANNED"
        await act(backend, page, "confirm", phone["accessToken"], matchCode=page.data["matchCode"])
        told = await hear(browser)
        assert (told["type"], told["version"]) == ("LOGIN_SUCCESS", 3)
        login = await page.redeem(backend, told["ticket"])
    assert login.status == 200, login.text
    assert login.data["user"]["id"] == phone["user"]["id"]
    assert login.data["sessionId"] != phone["sessionId"]
    info = await backend.get("/api/user/info", login.data["accessToken"])
    assert info.data["id"] == phone["user"]["id"]


async def test_the_code_is_there_as_svg_and_png_and_shows_the_page_of_the_scan(backend: Backend) -> None:
    page = await open_page(backend)
    assert page.data["qrContent"] == f"{ORIGIN}/s/{page.id}"
    assert page.data["imageUrl"] == f"{ORIGIN}/api/scan/{page.id}/qr.svg"
    svg = await backend.get(f"/api/scan/{page.id}/qr.svg")
    assert (svg.status, svg.headers["Content-Type"]) == (200, "image/svg+xml")
    assert svg.text.startswith("<svg")
    assert "script" not in svg.text
    png = await backend.http.fetch(f"{backend.url}/api/scan/{page.id}/qr.png")
    assert (png.headers["Content-Type"], png.body[:8]) == ("image/png", b"\x89PNG\r\n\x1a\n")
    assert png.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert page.secret not in svg.text + str(page.data["qrContent"])


async def test_who_is_about_to_confirm_is_shown_with_nickname_and_avatar_and_nobody_before(backend: Backend) -> None:
    phone = await backend.login()
    look = {"nickname": '阿丽 <img src=x onerror="alert(1)"> 🎣', "avatarUrl": "https://example.com/a.png"}
    await backend.call("PATCH", "/api/user/info", look, phone["accessToken"])
    page = await open_page(backend)
    assert "user" not in await page.look(backend)
    async with watching(backend, page) as browser:
        await hear(browser)
        await act(backend, page, "scan", phone["accessToken"])
        assert (await hear(browser))["user"] == look
    assert (await page.look(backend))["user"] == look


async def test_a_redeemed_scan_leaves_its_session_and_both_events_of_one_transaction(
    backend: Backend, store: Store
) -> None:
    phone = await backend.login()
    page = await open_page(backend)
    login = await page.redeem(backend, await confirmed(backend, page, phone["accessToken"]))
    told = (await events_of(store, phone["user"]["id"]))[-2:]
    assert [kind for _, kind, _ in told] == ["session.created", "scan.redeemed"]
    assert [data["sessionId"] for _, _, data in told] == [login.data["sessionId"]] * 2
    assert told[1][2] == {"sessionId": login.data["sessionId"], "channel": "page", "appid": None, "site": ORIGIN}
    rows = await fetch(store, "SELECT auth_method, user_id FROM sessions WHERE id = %s", login.data["sessionId"])
    assert rows == [("scan", phone["user"]["id"])]


async def test_of_fifty_redeems_at_once_one_gets_the_session_and_the_others_4101(
    backend: Backend, store: Store
) -> None:
    phone = await backend.login()
    page = await open_page(backend)
    ticket = await confirmed(backend, page, phone["accessToken"])
    replies = await asyncio.gather(*(page.redeem(backend, ticket) for _ in range(50)))
    assert Counter((reply.status, reply.body["code"]) for reply in replies) == {(200, 200): 1, (410, 4101): 49}
    assert await fetch(store, "SELECT COUNT(*) FROM sessions WHERE auth_method = 'scan'") == [(1,)]
    assert await fetch(store, "SELECT COUNT(*) FROM outbox WHERE type = 'scan.redeemed'") == [(1,)]


async def test_of_fifty_redeems_over_two_instances_one_gets_the_session(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    phone = await one.login()
    page = await open_page(one)
    ticket = await confirmed(two, page, phone["accessToken"])
    replies = await asyncio.gather(*(page.redeem((one, two)[n % 2], ticket) for n in range(50)))
    assert Counter(reply.body["code"] for reply in replies) == {200: 1, 4101: 49}
    assert await fetch(server_store, "SELECT COUNT(*) FROM sessions WHERE auth_method = 'scan'") == [(1,)]


async def test_a_page_may_have_the_cookie_instead_of_tokens(backend: Backend) -> None:
    phone = await backend.login()
    page = await open_page(backend)
    ticket = await confirmed(backend, page, phone["accessToken"])
    login = await page.redeem(backend, ticket, cookie=True)
    assert {"accessToken", "refreshToken"} & set(login.data) == set()
    cookie = login.headers.get_list("Set-Cookie")[0].split(";")[0]
    info = await backend.get("/api/user/info", Cookie=cookie)
    assert info.data["id"] == phone["user"]["id"]


async def test_a_cookie_is_not_set_for_a_foreign_page_and_the_ticket_still_works(backend: Backend) -> None:
    phone = await backend.login()
    page = await open_page(backend)
    ticket = await confirmed(backend, page, phone["accessToken"])
    body = {"pollSecret": page.secret, "ticket": ticket, "cookie": True}
    for headers in ({}, {"Origin": "https://evil.example"}):
        refused = await backend.call("POST", f"/api/scan/{page.id}/redeem", body, **headers)
        assert refused.body["code"] == 4032
    assert (await page.redeem(backend, ticket)).status == 200


async def test_the_phone_may_act_under_its_cookie(backend: Backend) -> None:
    body = {"action": "login", "code": backend.wx_login(), "cookie": True}
    login = await backend.call("POST", "/api/auth", body, Origin=ORIGIN)
    cookie, xsrf = login.headers.get_list("Set-Cookie")[0].split(";")[0], login.data["xsrfToken"]
    page = await open_page(backend)
    scan = f"/api/scan/{page.id}/scan"
    assert (await backend.call("POST", scan, {}, Cookie=cookie, Origin=ORIGIN)).body["code"] == 4033
    shown = await backend.call("POST", scan, {}, Cookie=cookie, Origin=ORIGIN, X_XSRFToken=xsrf)
    assert shown.data["state"] == "scanned"


async def test_repeating_ones_own_scan_or_confirm_changes_nothing(backend: Backend) -> None:
    phone = await backend.login()
    page = await open_page(backend)
    first = await act(backend, page, "scan", phone["accessToken"])
    assert (await act(backend, page, "scan", phone["accessToken"])).data == first.data
    assert (await page.look(backend))["version"] == 2
    await act(backend, page, "confirm", phone["accessToken"])
    seen = await page.look(backend)
    assert (await act(backend, page, "confirm", phone["accessToken"])).data == {"state": "confirmed"}
    assert (await act(backend, page, "scan", phone["accessToken"])).data["state"] == "confirmed"
    again = await page.look(backend)
    assert (again["ticket"], again["version"]) == (seen["ticket"], 3)


async def test_the_ticket_of_a_confirmed_scan_works_for_a_minute(backend: Backend) -> None:
    phone = await backend.login()
    for wait_s, status in ((59, 200), (61, 410)):
        page = await open_page(backend)
        ticket = await confirmed(backend, page, phone["accessToken"])
        backend.clock.advance(wait_s)
        phone = await backend.login() if wait_s > 59 else phone
        assert (await page.redeem(backend, ticket)).status == status


@pytest.mark.parametrize("state", FINISHED)
async def test_a_finished_scan_tells_its_state_and_refuses_whatever_is_done_to_it(backend: Backend, state: str) -> None:
    phone = await backend.login()
    page = await open_page(backend)
    ticket = await finish(backend, page, state, phone["accessToken"])
    seen = await page.look(backend)
    assert (seen["state"], seen["expiresIn"], seen.get("ticket")) == (state, 0, None)
    for action in ("scan", "confirm", "cancel"):
        reply = await act(backend, page, action, phone["accessToken"])
        assert (reply.status, reply.body["code"]) == (410, FINISHED[state])
    assert (await page.redeem(backend, ticket)).body["code"] == FINISHED[state]
    async with watching(backend, page) as browser:
        assert (await hear(browser))["state"] == state
        assert await hear(browser) is None
        assert browser.close_code == 1000


async def test_out_of_order_is_4093_and_changes_nothing(backend: Backend) -> None:
    phone = await backend.login()
    page = await open_page(backend)
    assert (await act(backend, page, "confirm", phone["accessToken"])).body["code"] == 4093
    assert (await page.redeem(backend, "A" * 22)).body["code"] == 4093
    await act(backend, page, "scan", phone["accessToken"])
    assert (await page.redeem(backend, "A" * 22)).body["code"] == 4093
    await act(backend, page, "confirm", phone["accessToken"])
    assert (await act(backend, page, "cancel", phone["accessToken"])).body["code"] == 4093
    assert (await page.look(backend))["version"] == 3


async def test_another_user_than_who_scanned_is_refused(backend: Backend) -> None:
    alice, bob = await backend.login("alice"), await backend.login("bob")
    page = await open_page(backend)
    await act(backend, page, "scan", alice["accessToken"])
    for action in ("scan", "confirm", "cancel"):
        reply = await act(backend, page, action, bob["accessToken"])
        assert (reply.status, reply.body["code"]) == (403, 4030)
    await act(backend, page, "confirm", alice["accessToken"])
    assert (await act(backend, page, "confirm", bob["accessToken"])).body["code"] == 4030
    login = await page.redeem(backend, (await page.look(backend))["ticket"])
    assert login.data["user"]["id"] == alice["user"]["id"]


async def test_the_third_wrong_match_code_cancels(backend: Backend) -> None:
    phone = await backend.login()
    page = await open_page(backend)
    await act(backend, page, "scan", phone["accessToken"])
    wrong = f"{(int(page.data['matchCode']) + 1) % 100:02d}"
    left = []
    for _ in range(3):
        reply = await act(backend, page, "confirm", phone["accessToken"], matchCode=wrong)
        assert (reply.status, reply.body["code"]) == (403, 4036)
        left.append(reply.data["attemptsLeft"])
    assert left == [2, 1, 0]
    assert (await page.look(backend))["state"] == "cancelled"
    right = await act(backend, page, "confirm", phone["accessToken"], matchCode=page.data["matchCode"])
    assert right.body["code"] == 4102


async def test_all_match_codes_at_once_find_the_right_one_by_three_guesses_at_most(backend: Backend) -> None:
    phone = await backend.login()
    page = await open_page(backend)
    await act(backend, page, "scan", phone["accessToken"])
    wrong = [f"{n:02d}" for n in range(100) if f"{n:02d}" != page.data["matchCode"]][:50]
    guesses = (act(backend, page, "confirm", phone["accessToken"], matchCode=code) for code in wrong)
    codes = Counter(reply.body["code"] for reply in await asyncio.gather(*guesses))
    assert codes[4036] == 3
    assert (await page.look(backend))["state"] == "cancelled"


async def test_the_steps_are_counted_once_each(backend: Backend) -> None:
    steps = ("shown", "scanned", "confirmed", "redeemed", "cancelled", "expired")
    before = [metrics.SCANS.value(step, "page") for step in steps]
    phone = await backend.login()
    for state in FINISHED:
        page = await open_page(backend)
        await finish(backend, page, state, phone["accessToken"])
        phone = await backend.login() if state == "expired" else phone
        for _ in range(3):
            await page.look(backend)
    counted = [metrics.SCANS.value(step, "page") - was for step, was in zip(steps, before, strict=True)]
    assert counted == [3, 1, 1, 1, 1, 1]


async def test_how_long_a_browser_waits_for_a_confirmation_is_observed(backend: Backend) -> None:
    before = metrics.SCAN_TOLD_S.count()
    phone = await backend.login()
    page = await open_page(backend)
    async with watching(backend, page) as browser:
        await hear(browser)
        await confirmed(backend, page, phone["accessToken"])
        assert [(await hear(browser))["type"] for _ in range(2)] == ["SCANNED", "LOGIN_SUCCESS"]
    assert metrics.SCAN_TOLD_S.count() == before + 1


@pytest.mark.parametrize(
    "body",
    [
        {"channel": "fax"},
        {},
        {"channel": "website"},
        {"channel": 1},
        {"channel": "page", "user_id": "x"},
        {"channel": "page", "appid": 5},
    ],
)
async def test_a_scan_of_another_form_is_refused(backend: Backend, body: dict[str, Any]) -> None:
    reply = await backend.call("POST", "/api/scan", body, Origin=ORIGIN)
    assert (reply.status, reply.body["code"]) == (400, 4000)


async def test_an_app_that_is_not_there_or_of_another_kind_is_4042(
    start_backend: StartBackend, embedded_store: Store
) -> None:
    backend = await start_backend(embedded_store)
    for channel, appid in (("official", APPID), ("miniprogram", "wx00000000000000a1"), ("miniprogram", "wx0")):
        assert (await create(backend, channel=channel, appid=appid)).body["code"] == 4042


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("scan", {"user_id": "x"}),
        ("confirm", {"user_id": "x"}),
        ("confirm", {"matchCode": 42}),
        ("confirm", {"matchCode": "4"}),
        ("confirm", {"matchCode": "４２"}),
        ("cancel", {"why": "x"}),
        ("redeem", {}),
        ("redeem", {"pollSecret": "x"}),
        ("redeem", {"pollSecret": "x", "ticket": ""}),
        ("redeem", {"pollSecret": "x", "ticket": "y", "userId": "z"}),
    ],
)
async def test_bodies_of_another_form_are_refused(
    start_backend: StartBackend, embedded_store: Store, action: str, body: dict[str, Any]
) -> None:
    backend = await start_backend(embedded_store)
    phone = await backend.login()
    page = await open_page(backend)
    await act(backend, page, "scan", phone["accessToken"])
    reply = await act(backend, page, action, phone["accessToken"], **body)
    assert (reply.status, reply.body["code"]) == (400, 4000)
    assert (await page.look(backend))["version"] == 2


async def test_a_phone_that_is_not_signed_in_can_do_nothing(backend: Backend) -> None:
    page = await open_page(backend)
    for action in ("scan", "confirm", "cancel"):
        reply = await backend.call("POST", f"/api/scan/{page.id}/{action}", {})
        assert (reply.status, reply.body["code"]) == (401, 4010)
        assert (await act(backend, page, action, "x.y.z")).status == 401


async def test_a_disabled_user_is_not_signed_in_by_a_confirmed_scan(backend: Backend, store: Store) -> None:
    from rows import execute

    phone = await backend.login()
    page = await open_page(backend)
    ticket = await confirmed(backend, page, phone["accessToken"])
    await execute(store, "UPDATE users SET disabled_at = 1 WHERE id = %s", phone["user"]["id"])
    assert (await page.redeem(backend, ticket)).body["code"] == 4034
    assert await fetch(store, "SELECT COUNT(*) FROM sessions WHERE auth_method = 'scan'") == [(0,)]


async def test_secrets_and_tickets_are_not_kept_in_clear_beyond_need(
    start_backend: StartBackend, server_store: Store
) -> None:
    backend = await start_backend(server_store)
    page = await open_page(backend)
    row = await backend.kaimen.scans._kv.run("HGETALL", f"kaimen:{{scan:{page.id}}}")
    assert page.secret not in json.dumps(row)
    assert page.id not in page.secret
