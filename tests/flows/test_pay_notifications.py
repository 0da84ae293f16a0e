"""WeChat Pay's notifications: taken once, told once, refused without a trace when they are not WeChat's."""

import asyncio
import json
import secrets
import time
from typing import Any

import pytest

from backend import APPID, Backend, StartBackend, Store
from rows import fetch
from simulator import Simulator
from simulator.pay import make_headers, make_notification, merchant_settings
from simulator.pay import notify as pay_notify
from stream import published_stream

MCHID = "1900000001"
PATH = f"/callback/wechatpay/{MCHID}"


def paid(transaction: str = "4200000001202611200000000001", **changes: Any) -> dict[str, Any]:
    """The content of a payment, as WeChat documents it."""
    return {
        "mchid": MCHID,
        "appid": APPID,
        "out_trade_no": "T20261120000001",
        "transaction_id": transaction,
        "trade_type": "JSAPI",
        "trade_state": "SUCCESS",
        "trade_state_desc": "支付成功",
        "bank_type": "OTHERS",
        "attach": "",
        "success_time": "2026-11-20T20:00:00+08:00",
        "payer": {"openid": "oNobody"},
        "amount": {"total": 100, "payer_total": 90, "currency": "CNY", "payer_currency": "CNY"},
        **changes,
    }


def refunded(transaction: str = "4200000001202611200000000001", **changes: Any) -> dict[str, Any]:
    return {
        "mchid": MCHID,
        "out_trade_no": "T20261120000001",
        "transaction_id": transaction,
        "out_refund_no": "R1",
        "refund_id": "50000000001",
        "refund_status": "SUCCESS",
        "success_time": "2026-11-21T20:00:00+08:00",
        "user_received_account": "支付用户零钱",
        "amount": {"total": 100, "refund": 40, "payer_total": 90, "payer_refund": 36},
        **changes,
    }


@pytest.fixture
async def shop(start_backend: StartBackend, store: Store) -> Backend:
    """An instance that knows the simulator's merchant."""
    return await with_merchant(start_backend, store)


async def with_merchant(start_backend: StartBackend, store: Store, **settings: Any) -> Backend:
    backend = await start_backend(store, merchants=merchant_settings(Simulator()), **settings)
    backend.simulator.backend_url = backend.url
    return backend


async def notify(backend: Backend, payload: dict[str, Any], **args: Any) -> list[tuple[int, str]]:
    answers = (await pay_notify(backend.simulator, {"mchid": MCHID, "payload": payload, **args}))["answers"]
    return [(one["status"], one["body"]) for one in answers]


async def told(backend: Backend, store: Store) -> list[dict[str, Any]]:
    await backend.kaimen.pay.intake.settle()  # type: ignore[union-attr]
    entries = await published_stream(backend, store)
    return [one for one in entries if one["type"].split(".")[0] in ("payment", "refund")]


def openid_of(backend: Backend, user: str) -> str:
    users = backend.simulator.wechat.users
    return users.openids(users.get(user))[APPID]


@pytest.mark.parametrize("signer", ["publicKey", "certificate"])
async def test_a_payment_is_told_of_with_the_user_who_paid(shop: Backend, store: Store, signer: str) -> None:
    alice = (await shop.login("alice"))["user"]["id"]
    payload = paid(payer={"openid": openid_of(shop, "alice")})
    assert await notify(shop, payload, signer=signer) == [(204, "")]
    event = (await told(shop, store))[0]
    assert (event["type"], event["subject"], event["seq"]) == ("payment.succeeded", alice, 3)
    assert event["data"] == {
        "source": "wechatpay",
        "mchid": MCHID,
        "appid": APPID,
        "transactionId": payload["transaction_id"],
        "outTradeNo": "T20261120000001",
        "tradeType": "JSAPI",
        "amount": 100,
        "payerAmount": 90,
        "currency": "CNY",
        "successTime": "2026-11-20T20:00:00+08:00",
    }
    assert openid_of(shop, "alice") not in str(event)


async def test_a_payment_of_nobody_known_has_no_subject(shop: Backend, store: Store) -> None:
    assert await notify(shop, paid()) == [(204, "")]
    event = (await told(shop, store))[0]
    assert (event["type"], event["subject"], event["seq"]) == ("payment.succeeded", None, 0)


async def test_ten_at_once_and_ten_repeats_tell_once(shop: Backend, store: Store) -> None:
    at_once = await asyncio.gather(*(notify(shop, paid(), id="EV-1") for _ in range(10)))
    assert {status for answers in at_once for status, _ in answers} == {204}
    assert await notify(shop, paid(), id="EV-1", repeat=10) == [(204, "")] * 10
    assert len(await told(shop, store)) == 1


async def test_notifications_with_other_ids_about_one_transaction_tell_once(shop: Backend, store: Store) -> None:
    answers = await asyncio.gather(*(notify(shop, paid()) for _ in range(8)))
    assert {status for one in answers for status, _ in one} == {204}
    assert len(await told(shop, store)) == 1
    await notify(shop, paid("4200000001202611200000000002"))
    assert len(await told(shop, store)) == 2


async def test_repeats_are_known_to_every_instance_and_when_redis_is_empty(
    start_backend: StartBackend, server_store: Store, redis_server: Any
) -> None:
    first = await with_merchant(start_backend, server_store)
    await notify(first, paid(), id="EV-1")
    assert len(await told(first, server_store)) == 1
    redis_server.flush()
    second = await with_merchant(start_backend, server_store)
    assert await notify(second, paid(), id="EV-1") == [(204, "")]
    assert await notify(second, paid()) == [(204, "")]
    await second.kaimen.pay.intake.settle()  # type: ignore[union-attr]
    rows = await fetch(server_store, "SELECT COUNT(*) FROM outbox")
    assert rows == [(1,)]


async def test_refunds_are_told_of_with_who_paid(shop: Backend, store: Store) -> None:
    alice = (await shop.login("alice"))["user"]["id"]
    await notify(shop, paid(payer={"openid": openid_of(shop, "alice")}))
    await told(shop, store)
    for kind, refund in (("REFUND.SUCCESS", "1"), ("REFUND.ABNORMAL", "2"), ("REFUND.CLOSED", "3")):
        assert await notify(shop, refunded(refund_id=refund), eventType=kind) == [(204, "")]
    await notify(shop, refunded(refund_id="1"), eventType="REFUND.SUCCESS")
    events = {event["data"].get("refundId"): event for event in await told(shop, store)}
    assert [events[refund]["type"] for refund in "123"] == ["refund.succeeded", "refund.abnormal", "refund.closed"]
    assert {event["subject"] for event in events.values()} == {alice}
    assert events["1"]["data"] == {
        "mchid": MCHID,
        "transactionId": "4200000001202611200000000001",
        "outTradeNo": "T20261120000001",
        "refundId": "1",
        "outRefundNo": "R1",
        "amount": 40,
        "total": 100,
        "successTime": "2026-11-21T20:00:00+08:00",
    }


@pytest.mark.parametrize("tamper", ["body", "serial", "timestamp", "signtest"])
async def test_what_wechat_did_not_sign_is_401_and_leaves_no_trace(shop: Backend, store: Store, tamper: str) -> None:
    ((status, body),) = await notify(shop, paid(), tamper=tamper)
    assert (status, json.loads(body)) == (401, {"code": "FAIL", "message": "unauthenticated"})
    assert await fetch(store, "SELECT COUNT(*) FROM inbox") == [(0,)]
    assert await told(shop, store) == []
    assert await notify(shop, paid()) == [(204, "")]  # the genuine one follows


async def raw(backend: Backend, body: bytes, path: str = PATH, **changes: str) -> Any:
    headers = make_headers(backend.simulator, body, "publicKey", None)
    sent = {name.replace("-", "_"): value for name, value in {**headers, **changes}.items()}
    return await backend.call("POST", path, body, **sent)


def notification(backend: Backend, payload: dict[str, Any], **args: Any) -> dict[str, Any]:
    merchant = backend.simulator.merchants[0]
    found: dict[str, Any] = json.loads(make_notification(backend.simulator, merchant, {"payload": payload, **args}))
    return found


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": 7},
        {"event_type": None},
        {"resource": None},
        {"resource.associated_data": "refund"},
        {"resource.nonce": "000000000000"},
        {"resource.algorithm": "NONE"},
        {"resource.ciphertext": "AAAA"},
        {"resource.ciphertext": 5},
    ],
)
async def test_a_signed_body_that_cannot_be_read_is_400_and_leaves_no_trace(
    shop: Backend, store: Store, change: dict[str, Any]
) -> None:
    body = notification(shop, paid())
    for path, value in change.items():
        target, name = (body["resource"], path.split(".")[1]) if "." in path else (body, path)
        target[name] = value
    reply = await raw(shop, json.dumps(body).encode())
    assert (reply.status, reply.body["code"]) == (400, "FAIL")
    assert await fetch(store, "SELECT COUNT(*) FROM inbox") == [(0,)]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 60_000])
async def test_signed_nonsense_is_400(start_backend: StartBackend, embedded_store: Store, body: bytes) -> None:
    shop = await with_merchant(start_backend, embedded_store)
    assert (await raw(shop, body)).status == 400


@pytest.mark.parametrize(
    "payload",
    [
        paid(mchid="1900000002"),
        paid(appid="wx0000000000000099"),
        paid(amount={"total": "100"}),
        paid(transaction_id=None),
        {},
    ],
)
async def test_a_payment_of_another_merchant_or_app_or_form_is_refused(
    shop: Backend, store: Store, payload: dict[str, Any]
) -> None:
    ((status, _),) = await notify(shop, payload)
    assert status == 400
    assert await fetch(store, "SELECT COUNT(*) FROM inbox") == [(0,)]


async def test_a_merchant_that_is_not_configured_is_404(shop: Backend) -> None:
    body = json.dumps(notification(shop, paid())).encode()
    assert (await raw(shop, body, "/callback/wechatpay/1900000009")).status == 404


async def test_what_tells_us_nothing_is_taken_and_not_told(shop: Backend, store: Store) -> None:
    assert await notify(shop, paid(trade_state="NOTPAY")) == [(204, "")]
    assert await notify(shop, {"any": "thing"}, eventType="COUPON.USE") == [(204, "")]
    assert await told(shop, store) == []


async def test_a_notification_is_answered_well_within_three_seconds(shop: Backend) -> None:
    slowest = 0.0
    for number in range(20):
        started = time.monotonic()
        await notify(shop, paid(f"42{number:026}"))
        slowest = max(slowest, time.monotonic() - started)
    assert slowest < 1.0


async def test_nothing_of_the_content_stays_in_the_inbox(shop: Backend, store: Store) -> None:
    openid = "o" + secrets.token_hex(13)
    await notify(shop, paid(payer={"openid": openid}))
    await told(shop, store)
    rows = await fetch(store, "SELECT * FROM inbox")
    assert len(rows) == 2
    assert openid not in str(rows)
    assert {row[0] for row in await fetch(store, "SELECT body FROM inbox")} == {None}


async def test_the_payment_of_a_deleted_user_stays_whole(shop: Backend, store: Store) -> None:
    login = await shop.login("alice")
    await notify(shop, paid(payer={"openid": openid_of(shop, "alice")}))
    await told(shop, store)
    assert (await shop.call("DELETE", "/api/user", None, login["accessToken"])).status == 200
    rows = await fetch(store, "SELECT data FROM outbox WHERE type = 'payment.succeeded'")
    assert json.loads(rows[0][0])["amount"] == 100
