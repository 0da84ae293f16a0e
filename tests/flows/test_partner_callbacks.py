"""Partners' calls: signed, fresh, once; a scan confirmed, a payment told, a device bound."""

import asyncio
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from backend import Backend, StartBackend, Store
from operators import kaimen
from partners import SETTING, send, signed
from rows import events_of, execute, fetch
from scan_client import act, open_page
from servers import Redis
from stream import published_stream

STRANGER = rsa.generate_private_key(65537, 2048)


@pytest.fixture
async def backend(start_backend: StartBackend, store: Store) -> Backend:
    """An instance with the partner acme."""
    return await start_backend(store, partners=SETTING)


async def calls(store: Store) -> int:
    return int((await fetch(store, "SELECT COUNT(*) FROM inbox"))[0][0])


def bind(user_id: str, device: str = "lock-1", **more: Any) -> dict[str, Any]:
    return signed(event="bind_device", userId=user_id, deviceId=device, **more)


@pytest.mark.parametrize("form", [False, True])
async def test_a_device_is_bound_told_and_listed(backend: Backend, store: Store, form: bool) -> None:
    login = await backend.login("alice")
    user_id = login["user"]["id"]
    reply = await send(backend, bind(user_id, name="前门 = lock"), form=form)
    assert (reply.status, reply.body) == (201, {"code": 201, "message": "success", "data": {"userId": user_id}})
    listed = (await backend.get("/api/user/devices", login["accessToken"])).data["devices"]
    assert [(one["partner"], one["deviceId"], one["name"]) for one in listed] == [("acme", "lock-1", "前门 = lock")]
    assert (await events_of(store, user_id))[-1] == (3, "device.bound", {"partner": "acme", "deviceId": "lock-1"})


async def test_an_exact_repeat_gets_the_first_answer_and_nothing_happens_again(backend: Backend, store: Store) -> None:
    user_id = (await backend.login("alice"))["user"]["id"]
    call = bind(user_id)
    first = await send(backend, call)
    again = [await send(backend, call, form=form) for form in (False, True, False)]
    assert [(one.status, one.text) for one in again] == [(first.status, first.text)] * 3
    at_once = signed(event="pay_success", userId=user_id, outTradeNo="T1", transactionId="X1", amount=5)
    answers = await asyncio.gather(*(send(backend, at_once) for _ in range(10)))
    assert {(one.status, one.text) for one in answers} == {(200, answers[0].text)}
    kinds = [kind for _, kind, _ in await events_of(store, user_id)]
    assert (kinds.count("device.bound"), kinds.count("payment.succeeded")) == (1, 1)


async def test_a_refusal_is_an_answer_too(backend: Backend, store: Store) -> None:
    call = bind("f" * 32)
    first = await send(backend, call)
    assert (first.status, first.error) == (404, "not_found")
    assert "requestId" not in first.body
    again = await send(backend, call)
    assert (again.status, again.text) == (first.status, first.text)
    assert await calls(store) == 1


async def test_a_known_nonce_with_other_content_is_401(backend: Backend, store: Store) -> None:
    user_id = (await backend.login("alice"))["user"]["id"]
    call = bind(user_id, nonce="nonce-12345")
    assert (await send(backend, call)).status == 201
    other = bind(user_id, "lock-2", nonce="nonce-12345", timestamp=call["timestamp"])
    assert (await send(backend, other)).status == 401
    raced = [bind(user_id, f"race-{number}", nonce="nonce-race") for number in range(6)]
    statuses = sorted([one.status for one in await asyncio.gather(*(send(backend, one) for one in raced))])
    assert statuses == [201, 401, 401, 401, 401, 401]
    assert (await fetch(store, "SELECT COUNT(*) FROM devices"))[0][0] == 2


async def test_the_window_stays_shut_when_redis_is_empty_and_on_another_instance(
    start_backend: StartBackend, server_store: Store, redis_server: Any
) -> None:
    backend = await start_backend(server_store, partners=SETTING)
    user_id = (await backend.login("alice"))["user"]["id"]
    call = signed(event="pay_success", userId=user_id, outTradeNo="T1", transactionId="X1", amount=5)
    first = await send(backend, call)
    redis_server.flush()
    other = await start_backend(server_store, partners=SETTING)
    again = await send(other, call)
    assert (again.status, again.text) == (200, first.text)
    kinds = [kind for _, kind, _ in await events_of(server_store, user_id)]
    assert kinds.count("payment.succeeded") == 1


def unsigned(call: dict[str, Any], **change: Any) -> dict[str, Any]:
    changed = {**call, **change}
    return {name: value for name, value in changed.items() if value is not None}


@pytest.mark.parametrize(
    "change",
    [
        {"sign": None},
        {"sign": ""},
        {"sign": "AAAA"},
        {"sign": "no base64"},
        {"userId": "0" * 32},
        {"deviceId": "lock-2"},
        {"event": "pay_success"},
        {"timestamp": "1"},
        {"nonce": "othernonce"},
        {"name": "more"},
        {"timestamp": None},
        {"nonce": None},
    ],
)
async def test_what_is_not_signed_as_it_is_is_401_and_nothing_happens(
    backend: Backend, store: Store, change: dict[str, Any]
) -> None:
    user_id = (await backend.login("alice"))["user"]["id"]
    reply = await send(backend, unsigned(bind(user_id), **change))
    assert (reply.status, reply.error) == (401, "unauthenticated")
    assert (await calls(store), await fetch(store, "SELECT id FROM devices")) == (0, [])


@pytest.mark.parametrize("age_s", [301, -301, 10**9])
async def test_what_is_stale_is_401_and_nothing_happens(backend: Backend, store: Store, age_s: int) -> None:
    at = backend.clock.now_ms() // 1000 - age_s
    call = signed(event="pay_success", outTradeNo="T", transactionId="X", amount=1, timestamp=str(at))
    reply = await send(backend, call)
    assert reply.status == 401
    assert await calls(store) == 0


async def test_a_stranger_and_another_partner_s_name_are_refused(backend: Backend, store: Store) -> None:
    call = signed(STRANGER, event="pay_success", outTradeNo="T", transactionId="X", amount=1)
    assert (await send(backend, call)).status == 401
    assert (await send(backend, signed(event="pay_success"), name="other")).status == 404
    assert await calls(store) == 0


async def test_a_signed_text_cannot_be_split_into_other_parameters(backend: Backend, store: Store) -> None:
    """``a=1&b=2`` signed as two parameters must not be taken as one, nor the other way round."""
    user_id = (await backend.login("alice"))["user"]["id"]
    call = bind(user_id, name="x")
    joined = {name: value for name, value in call.items() if name not in ("deviceId", "event")}
    joined["deviceId"] = f"lock-1&event={call['event']}"
    assert (await send(backend, joined)).status == 401
    assert (await send(backend, signed(event="bind_device", userId=user_id, deviceId="a&name=b"))).status == 401
    shifted = {**call, "name=x&nonce": call["nonce"]}
    assert (await send(backend, shifted)).status == 401
    assert await calls(store) == 0


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"event": "delete_user", "userId": "u"}, "event"),
        ({}, "event"),
        ({"event": "bind_device", "userId": "u"}, "deviceId"),
        ({"event": "bind_device", "userId": "u", "deviceId": "d", "colour": "red"}, "colour"),
        ({"event": "bind_device", "userId": "u", "deviceId": "d" * 129}, "deviceId"),
        ({"event": "bind_device", "userId": "u", "deviceId": "d", "name": "n" * 65}, "name"),
        ({"event": "pay_success", "outTradeNo": "T", "transactionId": "X", "amount": "-1"}, "amount"),
        ({"event": "pay_success", "outTradeNo": "T", "transactionId": "X", "amount": "1.5"}, "amount"),
        (
            {"event": "pay_success", "outTradeNo": "T", "transactionId": "X", "amount": 1, "currency": "rmb"},
            "currency",
        ),
        ({"event": "pay_success", "outTradeNo": "T", "transactionId": "X", "amount": "1", "nonce": "short"}, "nonce"),
        ({"event": "scan_login", "scanId": "x"}, "userId"),
    ],
)
async def test_a_genuine_call_that_asks_for_nothing_we_do_is_4000_and_names_the_field(
    backend: Backend, store: Store, parameters: dict[str, Any], field: str
) -> None:
    reply = await send(backend, signed(**parameters))
    assert (reply.status, reply.body["code"], reply.body["data"]) == (400, 4000, {"field": field})
    assert await calls(store) == 0


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"a":1,"a":2}', "application/json", 400),
        (b'{"a":1.5}', "application/json", 400),
        (b'{"a":true}', "application/json", 400),
        (b'{"a":{"b":1}}', "application/json", 400),
        (b"a=1&a=2", "application/x-www-form-urlencoded", 400),
        (b"<xml/>", "text/xml", 415),
        (b"x" * 70_000, "application/json", 413),
    ],
)
async def test_a_body_of_no_form_is_refused(
    start_backend: StartBackend, embedded_store: Store, body: bytes, content_type: str, status: int
) -> None:
    backend = await start_backend(embedded_store, partners=SETTING)
    reply = await backend.call("POST", "/callback/partner/acme", body, Content_Type=content_type)
    assert reply.status == status


async def test_a_device_of_another_user_stays_theirs(backend: Backend, store: Store) -> None:
    alice = (await backend.login("alice"))["user"]["id"]
    backend.simulator.wechat.users.save({"name": "dora", "unionid": False})
    dora = (await backend.login("dora"))["user"]["id"]
    assert (await send(backend, bind(alice))).status == 201
    refused = await send(backend, bind(dora))
    assert (refused.status, refused.error) == (409, "identity_conflict")
    assert (await send(backend, bind(alice))).status == 201
    assert [row[0] for row in await fetch(store, "SELECT user_id FROM devices")] == [alice]
    assert [kind for _, kind, _ in await events_of(store, alice)].count("device.bound") == 1


async def test_a_payment_is_told_with_its_user_or_without(backend: Backend, store: Store) -> None:
    user_id = (await backend.login("alice"))["user"]["id"]
    payment = {"event": "pay_success", "outTradeNo": "T1", "transactionId": "X1", "amount": 5}
    assert (await send(backend, signed(**payment, userId=user_id))).status == 200
    assert (await send(backend, signed(**payment))).status == 200
    told = [one for one in await published_stream(backend, store) if one["type"] == "payment.succeeded"]
    assert {one["subject"] for one in told} == {user_id, None}
    assert told[0]["data"] == {
        "source": "partner",
        "partner": "acme",
        "transactionId": "X1",
        "outTradeNo": "T1",
        "amount": 5,
        "currency": "CNY",
    }


async def test_a_scan_is_confirmed_for_the_user_and_the_browser_signs_in(backend: Backend, store: Store) -> None:
    login = await backend.login("alice")
    page = await open_page(backend)
    call = signed(event="scan_login", scanId=page.id, userId=login["user"]["id"])
    first = await send(backend, call)
    assert (first.status, first.body["data"]) == (200, {"scanId": page.id, "state": "confirmed"})
    ticket = (await page.look(backend))["ticket"]
    assert (await send(backend, call)).text == first.text
    signed_in = await page.redeem(backend, ticket)
    assert signed_in.status == 200, signed_in.text
    assert signed_in.data["user"]["id"] == login["user"]["id"]
    assert (await send(backend, call)).text == first.text  # its first answer, though the scan is redeemed by now
    later = await send(backend, signed(event="scan_login", scanId=page.id, userId=login["user"]["id"]))
    assert (later.status, later.body["code"]) == (410, 4101)


async def test_a_scan_of_somebody_else_or_of_nobody_is_refused(backend: Backend, store: Store) -> None:
    alice = await backend.login("alice")
    backend.simulator.wechat.users.save({"name": "dora", "unionid": False})
    dora = await backend.login("dora")
    page = await open_page(backend)
    await act(backend, page, "scan", dora["accessToken"])
    taken = await send(backend, signed(event="scan_login", scanId=page.id, userId=alice["user"]["id"]))
    assert (taken.status, taken.error) == (403, "forbidden")
    unknown = await send(backend, signed(event="scan_login", scanId="A" * 22, userId=alice["user"]["id"]))
    assert (unknown.status, unknown.error) == (404, "not_found")
    other = await open_page(backend)
    nobody = await send(backend, signed(event="scan_login", scanId=other.id, userId="f" * 32))
    assert (nobody.status, nobody.error) == (404, "not_found")
    await execute(store, "UPDATE users SET disabled_at = 1 WHERE id = %s", alice["user"]["id"])
    disabled = await send(backend, signed(event="scan_login", scanId=other.id, userId=alice["user"]["id"]))
    assert (disabled.status, disabled.error) == (403, "account_disabled")


async def test_the_same_scan_asked_for_ten_times_at_once_is_confirmed_once(backend: Backend) -> None:
    login = await backend.login("alice")
    page = await open_page(backend)
    call = signed(event="scan_login", scanId=page.id, userId=login["user"]["id"])
    answers = await asyncio.gather(*(send(backend, call) for _ in range(10)))
    assert {(one.status, one.text) for one in answers} == {(200, answers[0].text)}


async def test_while_redis_is_away_a_scan_is_503_and_the_same_call_works_later(
    start_backend: StartBackend, server_store: Store
) -> None:
    with Redis() as redis:
        backend = await start_backend(Store(server_store.database_url, redis.url), partners=SETTING)
        login = await backend.login("alice")
        page = await open_page(backend)
        call = signed(event="scan_login", scanId=page.id, userId=login["user"]["id"])
        redis.stop()
        assert (await send(backend, call)).status == 503
        redis.start()
        async with asyncio.timeout(10):
            while (reply := await send(backend, call)).status == 503:
                await asyncio.sleep(0.1)
        assert reply.status == 200


async def test_devices_are_exported_merged_and_deleted_with_the_user(backend: Backend, store: Store) -> None:
    login = await backend.login("alice")
    user_id, token = login["user"]["id"], login["accessToken"]
    assert (await send(backend, bind(user_id, name="门"))).status == 201
    exported = (await backend.get("/api/user/export", token)).data["devices"]
    assert [(one["partner"], one["deviceId"], one["name"]) for one in exported] == [("acme", "lock-1", "门")]
    assert (await backend.call("DELETE", "/api/user", None, token)).status == 200
    assert await fetch(store, "SELECT id FROM devices") == []
    assert "lock-1" not in str(await fetch(store, "SELECT data FROM outbox"))
    assert "lock-1" not in str(await fetch(store, "SELECT * FROM inbox"))


async def test_a_device_goes_with_the_user_it_is_merged_into_and_back(
    start_backend: StartBackend, server_store: Store
) -> None:
    backend = await start_backend(server_store, partners=SETTING)
    alice = (await backend.login("alice"))["user"]["id"]
    bob = await backend.login("bob")
    assert (await send(backend, bind(bob["user"]["id"]))).status == 201
    assert (await kaimen(server_store, "users", "merge", alice, bob["user"]["id"])).status == 0
    assert await fetch(server_store, "SELECT user_id FROM devices") == [(alice,)]
    assert (await kaimen(server_store, "users", "unmerge", bob["user"]["id"])).status == 0
    assert await fetch(server_store, "SELECT user_id FROM devices") == [(bob["user"]["id"],)]


async def test_the_list_of_devices_needs_a_login(backend: Backend) -> None:
    assert (await backend.get("/api/user/devices")).status == 401
