"""``/callback/wechat/{appid}``: what WeChat did not sign changes nothing; what it repeats is answered again."""

from typing import Any
from urllib.parse import urlencode

import pytest

from backend import Backend, Reply, StartBackend, Store
from rows import fetch
from scan_client import open_page
from simulator import push
from simulator.apps import App
from simulator.defaults import DEFAULT_APPS

OFFICIAL = "wx00000000000000a1"
PATH = f"/callback/wechat/{OFFICIAL}"


@pytest.fixture
async def phone(start_backend: StartBackend, store: Store) -> Backend:
    backend = await start_backend(store)
    backend.simulator.backend_url = backend.url
    return backend


def app_of(backend: Backend) -> App:
    return backend.simulator.wechat.apps.get(OFFICIAL)


def event(backend: Backend, scene: str, **fields: Any) -> dict[str, Any]:
    users = backend.simulator.wechat.users
    made = {
        "ToUserName": "gh_simulator",
        "FromUserName": users.openid(OFFICIAL, users.get("alice")),
        "CreateTime": int(backend.simulator.clock()),
        "MsgType": "event",
        "Event": "SCAN",
        "EventKey": scene,
    }
    return {**made, **fields}


async def deliver(backend: Backend, message: dict[str, Any], **options: Any) -> dict[str, Any]:
    return (await push.push(backend.simulator, app_of(backend), message, **options))[-1]


async def post(backend: Backend, query: dict[str, str], body: str, path: str = PATH) -> Reply:
    return await backend.call("POST", f"{path}?{urlencode(query)}", body, Content_Type="text/xml")


def signed(backend: Backend, xml: str, at: int | None = None) -> tuple[dict[str, str], str]:
    """Query and body of a delivery in safe mode."""
    app, timestamp = app_of(backend), str(at if at is not None else int(backend.simulator.clock()))
    encrypted = push.encrypt(app, xml)
    query = {"timestamp": timestamp, "nonce": "n1", "encrypt_type": "aes"}
    query["msg_signature"] = push.sign(app.token, timestamp, "n1", encrypted)
    query["signature"] = push.sign(app.token, timestamp, "n1")
    return query, push.envelope(encrypted)


async def test_the_url_check_echoes_what_is_signed_and_nothing_else(phone: Backend) -> None:
    timestamp = str(int(phone.simulator.clock()))
    query = {"timestamp": timestamp, "nonce": "n", "echostr": "4375120948345356249"}
    query["signature"] = push.sign(app_of(phone).token, timestamp, "n")
    reply = await phone.get(f"{PATH}?{urlencode(query)}")
    assert (reply.status, reply.text) == (200, "4375120948345356249")
    assert reply.headers["Content-Type"].startswith("text/plain")
    forged = await phone.get(f"{PATH}?{urlencode({**query, 'signature': '0' * 40})}")
    assert (forged.status, "4375" in forged.text) == (401, False)


async def test_a_repeat_is_answered_again_and_kept_once(phone: Backend, store: Store) -> None:
    page = await open_page(phone, channel="official")
    message = event(phone, page.id)
    answers = await push.push(phone.simulator, app_of(phone), message, repeat=3)
    assert {answer["status"] for answer in answers} == {200}
    assert all(f"/s/{page.id}" in answer["reply"] for answer in answers)
    assert await fetch(store, "SELECT COUNT(*) FROM inbox") == [(1,)]


async def test_a_known_nonce_with_another_content_is_refused(phone: Backend) -> None:
    page, other = await open_page(phone, channel="official"), await open_page(phone, channel="official")
    query, body = signed(phone, push.to_xml(event(phone, page.id)))
    assert (await post(phone, query, body)).status == 200
    again, another = signed(phone, push.to_xml(event(phone, other.id)), at=int(query["timestamp"]))
    assert again["nonce"] == query["nonce"]
    assert (await post(phone, again, another)).status == 401
    assert (await other.look(phone))["state"] == "pending"
    assert (await post(phone, query, body)).status == 200


async def test_two_events_of_one_second_that_differ_are_both_kept(phone: Backend, store: Store) -> None:
    message = event(phone, "", Event="VIEW")
    for title in ("one", "two", "one"):
        assert (await deliver(phone, {**message, "Title": title}))["status"] == 200
    assert await fetch(store, "SELECT COUNT(*) FROM inbox") == [(2,)]


async def test_what_is_not_signed_or_stale_or_another_body_is_refused_and_nothing_happens(phone: Backend) -> None:
    page = await open_page(phone, channel="official")
    xml = push.to_xml(event(phone, page.id))
    query, body = signed(phone, xml)
    now = int(phone.simulator.clock())
    attempts = [
        ({**query, "msg_signature": "0" * 40}, body),
        ({name: value for name, value in query.items() if name != "msg_signature"}, body),
        (query, push.envelope(push.encrypt(app_of(phone), xml))),
        ({**query, "timestamp": str(now + 1)}, body),
        ({**query, "encrypt_type": "raw"}, xml),
        ({name: value for name, value in query.items() if name != "encrypt_type"}, xml),
        signed(phone, xml, at=now - 301),
        signed(phone, xml, at=now + 310),
    ]
    for tried, content in attempts:
        reply = await post(phone, tried, content)
        assert (reply.status, reply.text) == (401, "unauthenticated"), tried
    assert (await page.look(phone))["state"] == "pending"
    assert (await post(phone, query, body)).status == 200


@pytest.mark.parametrize(("push_mode", "status"), [("safe", 401), ("plain", 200)])
async def test_a_genuine_signature_over_a_plain_body_is_refused_unless_the_app_asks_for_plain_mode(
    start_backend: StartBackend, store: Store, push_mode: str, status: int
) -> None:
    backend = await start_backend(store, apps=[{**app, "pushMode": push_mode} for app in DEFAULT_APPS])
    backend.simulator.backend_url = backend.url
    assert (await deliver(backend, event(backend, "none"), mode="plain"))["status"] == status


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[1]",
        "<xml>",
        "<html/>",
        '<!DOCTYPE xml [<!ENTITY a "b">]><xml><Encrypt>&a;</Encrypt></xml>',
        '<!DOCTYPE xml SYSTEM "file:///etc/passwd"><xml><Encrypt>x</Encrypt></xml>',
        '<!DOCTYPE xml [<!ENTITY x SYSTEM "file:///etc/passwd">]><xml><Encrypt>&x;</Encrypt></xml>',
        "<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>",
        '<?xml version="1.0" encoding="nonsense"?><xml/>',
        "<xml>" + "<a>" * 20_000,
    ],
)
async def test_a_body_of_another_form_is_a_clear_error(phone: Backend, body: str) -> None:
    query, _ = signed(phone, "<xml/>")
    assert (await post(phone, query, body)).status in (400, 401)


async def test_an_app_without_a_token_takes_no_push(phone: Backend) -> None:
    query, body = signed(phone, "<xml/>")
    for appid in ("wx0000000000000001", "wxffffffffffffffff"):
        assert (await post(phone, query, body, f"/callback/wechat/{appid}")).status == 404


async def test_other_messages_are_answered_with_success(phone: Backend) -> None:
    for fields in ({"Event": "CLICK"}, {"EventKey": "shop_17"}, {"MsgType": "text", "Event": "", "MsgId": 7}):
        answer = await deliver(phone, event(phone, "x", **fields))
        assert (answer["status"], answer["body"]) == (200, "success")
