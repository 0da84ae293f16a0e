"""Pushes about people: who leaves, withdraws or is cancelled at WeChat; everything else is told to others."""

import json
from typing import Any

import pytest

from backend import OFFICIAL, OTHER_APPID, PASSWORD, WEBSITE, Backend, StartBackend, Store
from browser import Browser
from core.observe import metrics
from pushing import PUSHED_APPS, deliver, event, openid, privacy_event
from rows import fetch


@pytest.fixture
async def backend(start_backend: StartBackend, store: Store) -> Backend:
    return await start_backend(store, apps=PUSHED_APPS)


async def pushed(store: Store) -> list[tuple[int, dict[str, Any]]]:
    """(seq, data) of the events that pushes became."""
    sql = "SELECT seq, data FROM outbox WHERE type = 'wechat.push' ORDER BY id"
    return [(seq, json.loads(data)) for seq, data in await fetch(store, sql)]


async def user_events(store: Store, user_id: str) -> list[str]:
    return [row[0] for row in await fetch(store, "SELECT type FROM outbox WHERE user_id = %s ORDER BY seq", user_id)]


async def left_of(store: Store, user_id: str) -> int:
    tables = ("users WHERE id", "identities WHERE user_id", "sessions WHERE user_id", "unionids WHERE user_id")
    return sum([(await fetch(store, f"SELECT COUNT(*) FROM {one} = %s", user_id))[0][0] for one in tables])


async def test_a_message_of_a_known_user_becomes_an_event_of_the_user(backend: Backend, store: Store) -> None:
    browser = Browser(backend)
    await browser.sign_in("alice")
    user_id = (await browser.info())["id"]
    message = {**event(backend, ""), "MsgType": "text", "Content": "你好 <b>", "MsgId": 71}
    assert await deliver(backend, message) == [200]
    ((seq, data),) = await pushed(store)
    assert data == {
        "appid": OFFICIAL,
        "msgType": "text",
        "event": "",
        "message": {name: str(value) for name, value in message.items()},
    }
    sql = "SELECT user_id FROM outbox WHERE type = 'wechat.push'"
    assert await fetch(store, sql) == [(user_id,)]
    assert seq == len(await user_events(store, user_id))


async def test_a_message_of_a_stranger_becomes_an_event_of_nobody(backend: Backend, store: Store) -> None:
    assert await deliver(backend, event(backend, "subscribe", "bob", EventKey="")) == [200]
    ((seq, data),) = await pushed(store)
    assert (seq, data["event"]) == (0, "subscribe")
    assert await fetch(store, "SELECT COUNT(*) FROM users") == [(0,)]


async def test_what_is_nested_in_a_push_arrives_whole(backend: Backend, store: Store) -> None:
    items = [{"TemplateId": "t1"}, {"TemplateId": "t2"}]
    message = event(backend, "subscribe_msg_popup_event", appid=OTHER_APPID, SubscribeMsgPopupEvent={"List": items})
    assert await deliver(backend, message, OTHER_APPID) == [200]
    ((_, data),) = await pushed(store)
    assert data["message"]["SubscribeMsgPopupEvent"] == {"List": items}


async def test_the_same_push_three_times_has_one_effect(backend: Backend, store: Store) -> None:
    message = {**event(backend, ""), "MsgType": "text", "Content": "hi", "MsgId": 72}
    assert await deliver(backend, message, repeat=3) == [200, 200, 200]
    assert await deliver(backend, message) == [200]  # with another nonce
    assert len(await pushed(store)) == 1


async def test_who_unfollows_and_has_no_other_way_in_is_deleted(backend: Backend, store: Store) -> None:
    browser = Browser(backend)
    await browser.sign_in("alice")
    user_id = (await browser.info())["id"]
    backend.clock.advance(2)
    assert await deliver(backend, event(backend, "unsubscribe")) == [200]
    assert await left_of(store, user_id) == 0
    assert await browser.info() is None
    assert (await user_events(store, user_id))[-1] == "user.deleted"


async def test_who_unfollows_keeps_the_account_that_other_apps_lead_to(backend: Backend, store: Store) -> None:
    mini = await backend.login("alice", appid=OTHER_APPID)
    browser = Browser(backend)
    await browser.sign_in("alice", scope="userinfo")
    assert (await browser.info())["id"] == mini["user"]["id"]
    backend.clock.advance(2)
    assert await deliver(backend, event(backend, "unsubscribe")) == [200]
    assert await browser.info() is None  # the session that the account had opened
    info = (await backend.get("/api/user/info", mini["accessToken"])).data
    assert [one["appid"] for one in info["bindings"]] == [OTHER_APPID]
    assert await fetch(store, "SELECT COUNT(*) FROM unionids") == [(1,)]
    again = await backend.login("alice", appid=OTHER_APPID)
    assert again["user"]["id"] == mini["user"]["id"]


async def test_who_unfollows_keeps_an_account_with_a_password(backend: Backend, store: Store) -> None:
    browser = Browser(backend)
    await browser.sign_in("alice")
    user_id = (await browser.info())["id"]
    headers = {"Cookie": browser.cookie_header(), "Origin": "http://kaimen.test"}
    body = {"username": "alice1", "newPassword": PASSWORD}
    headers["X_XSRFToken"] = browser.cookies["kaimen-xsrf"]
    assert (await backend.call("POST", "/api/user/password", body, **headers)).status == 200
    backend.clock.advance(2)
    await deliver(backend, event(backend, "unsubscribe"))
    login = await backend.auth("login", username="alice1", password=PASSWORD)
    assert login.data["user"]["id"] == user_id
    assert await fetch(store, "SELECT COUNT(*) FROM identities") == [(0,)]


async def test_an_old_unsubscribe_that_arrives_late_takes_nothing_away(backend: Backend, store: Store) -> None:
    late = event(backend, "unsubscribe", CreateTime=int(backend.clock.now_ms() // 1000) - 60)
    browser = Browser(backend)
    await browser.sign_in("alice")
    assert await deliver(backend, late) == [200]
    assert await browser.info() is not None
    assert [data["event"] for _, data in await pushed(store)] == ["unsubscribe"]


@pytest.mark.parametrize("repeat", [1, 3])
async def test_a_user_whose_wechat_account_was_cancelled_is_deleted_once(
    backend: Backend, store: Store, repeat: int
) -> None:
    login = await backend.login("alice", appid=OTHER_APPID)
    kept = await backend.login("bob", appid=OTHER_APPID)
    message = privacy_event(backend, "user_authorization_cancellation")
    assert set(await deliver(backend, message, OTHER_APPID, repeat=repeat)) == {200}
    user_id = login["user"]["id"]
    assert await left_of(store, user_id) == 0
    assert (await user_events(store, user_id)).count("user.deleted") == 1
    assert (await backend.get("/api/user/info", login["accessToken"])).status == 401
    assert (await backend.get("/api/user/info", kept["accessToken"])).status == 200
    again = await backend.login("alice", appid=OTHER_APPID)
    assert again["user"]["id"] != user_id


async def test_a_cancellation_finds_the_user_by_unionid_too(backend: Backend, store: Store) -> None:
    login = await backend.login("alice", appid=OTHER_APPID)
    unionid = backend.simulator.wechat.users.get("alice").unionid
    message = privacy_event(backend, "user_authorization_cancellation", UnionID=unionid, OpenID="oUnknown")
    await deliver(backend, message, OTHER_APPID)
    assert await left_of(store, login["user"]["id"]) == 0


@pytest.mark.parametrize(
    ("info", "gone"),
    [
        ("6", {"nickname", "avatarUrl"}),
        ("8", {"phone"}),
        ("16", {"email"}),
        ("19", {"nickname"}),
        ("20", {"avatarUrl"}),
        ("8,6", {"nickname", "avatarUrl", "phone"}),
        ("13", set()),
        ("", set()),
    ],
)
async def test_what_a_user_withdraws_is_deleted_and_others_are_told(
    backend: Backend, store: Store, info: str, gone: set[str]
) -> None:
    login = await backend.login("alice", appid=OTHER_APPID, phoneCode=phone_code(backend))
    token = login["accessToken"]
    profile = {"nickname": "A", "avatarUrl": "https://a.example/a.png", "email": "a@a.example"}
    await backend.call("PATCH", "/api/user/info", profile, token)
    before = (await backend.get("/api/user/info", token)).data
    message = privacy_event(backend, "user_authorization_revoke", RevokeInfo=info)
    assert await deliver(backend, message, OTHER_APPID) == [200]
    after = (await backend.get("/api/user/info", token)).data
    assert {name for name in ("nickname", "avatarUrl", "phone", "email") if before[name] != after[name]} == gone
    assert not any(after[name] for name in gone)
    (last,) = await fetch(store, "SELECT type, data FROM outbox ORDER BY user_id, seq DESC LIMIT 1")
    items = [item for item in info.split(",") if item]
    expected = {"fields": sorted(gone), "appid": OTHER_APPID, "revoked": items}
    assert (last[0], json.loads(last[1])) == ("user.updated", expected)
    if "phone" in gone:
        assert await fetch(store, "SELECT phone_sealed, phone_index FROM users") == [(None, None)]


def phone_code(backend: Backend) -> str:
    return backend.simulator.wechat.phone_code(OTHER_APPID, "alice")


async def test_an_unfit_name_of_a_mini_program_user_is_cleared(backend: Backend) -> None:
    login = await backend.login("alice", appid=OTHER_APPID)
    await backend.call("PATCH", "/api/user/info", {"nickname": "unfit"}, login["accessToken"])
    await deliver(backend, privacy_event(backend, "user_info_modified"), OTHER_APPID)
    assert (await backend.get("/api/user/info", login["accessToken"])).data["nickname"] == ""


async def test_an_unfit_name_of_an_oauth_user_is_asked_for_again(backend: Backend) -> None:
    browser = Browser(backend)
    await browser.sign_in("alice", scope="userinfo")
    backend.simulator.wechat.users.save({"name": "alice", "nickname": "用户123"})
    backend.simulator.faults.add({"api": "auth", "errcode": 42001})
    message = privacy_event(backend, "user_info_modified", appid=OFFICIAL)
    await deliver(backend, message, OFFICIAL)
    assert (await browser.info())["nickname"] == "用户123"
    assert backend.count_calls("refresh_token") == 1


async def test_an_event_of_the_platform_without_an_openid_changes_nobody(backend: Backend, store: Store) -> None:
    login = await backend.login("alice", appid=OTHER_APPID)
    for name in ("user_info_modified", "user_authorization_revoke", "user_authorization_cancellation"):
        message = privacy_event(backend, name, RevokeInfo="301")
        del message["OpenID"]
        assert await deliver(backend, message, OTHER_APPID) == [200]
    assert (await backend.get("/api/user/info", login["accessToken"])).status == 200
    assert await fetch(store, "SELECT DISTINCT state FROM inbox") == [("done",)]


async def test_an_older_sample_with_a_blank_before_its_keys_is_understood(backend: Backend, store: Store) -> None:
    login = await backend.login("alice", appid=OTHER_APPID)
    message = privacy_event(backend, "user_authorization_cancellation")
    spaced = {f" {name}" if name == "OpenID" else name: value for name, value in message.items()}
    await deliver(backend, spaced, OTHER_APPID)
    assert await left_of(store, login["user"]["id"]) == 0


async def test_a_well_signed_push_about_another_app_is_refused(backend: Backend, store: Store) -> None:
    login = await backend.login("alice", appid=OTHER_APPID)
    message = privacy_event(backend, "user_authorization_cancellation", AppID=WEBSITE)
    assert await deliver(backend, message, OTHER_APPID) == [401]
    assert (await backend.get("/api/user/info", login["accessToken"])).status == 200
    assert await fetch(store, "SELECT COUNT(*) FROM inbox") == [(0,)]


async def test_the_inbox_forgets_what_was_done_and_never_shows_whom_it_was_about(
    backend: Backend, store: Store
) -> None:
    await deliver(backend, {**event(backend, ""), "MsgType": "text", "Content": "secret words", "MsgId": 73})
    (row,) = await fetch(store, "SELECT * FROM inbox")
    assert "secret words" not in str(row)
    assert openid(backend) not in str(row)
    assert await fetch(store, "SELECT state, body FROM inbox") == [("done", None)]


async def test_pushes_are_counted(backend: Backend) -> None:
    def counted(outcome: str) -> float:
        return metrics.CALLBACKS.value("wechat", outcome)

    before = {outcome: counted(outcome) for outcome in ("kept", "repeated", "done")}
    await deliver(backend, {**event(backend, ""), "MsgType": "text", "Content": "hi", "MsgId": 74}, repeat=3)
    after = {outcome: counted(outcome) - count for outcome, count in before.items()}
    assert after == {"kept": 1, "repeated": 2, "done": 1}
