"""Identities of one person become one user, whenever the unionid appears."""

import asyncio
import json
from typing import Any

import pytest

from backend import APPID, OTHER_APPID, PASSWORD, Backend, StartBackend, Store
from core.clock import Clock
from models import sessions
from models.db import open_database
from rows import events_of, execute, fetch


def know_unionid(backend: Backend, name: str, *, known: bool) -> None:
    """Whether WeChat tells the unionid of that person."""
    backend.simulator.wechat.users.save({"name": name, "unionid": known})


async def two_users(backend: Backend, name: str = "dora") -> tuple[dict[str, Any], dict[str, Any]]:
    """Logins of one person through two apps while no unionid is told: two users, the first the older."""
    know_unionid(backend, name, known=False)
    return await backend.login(name), await backend.login(name, appid=OTHER_APPID)


async def unite(backend: Backend, name: str = "dora") -> tuple[dict[str, Any], dict[str, Any]]:
    """From now on the unionid is told: the next logins through both apps."""
    know_unionid(backend, name, known=True)
    return await backend.login(name), await backend.login(name, appid=OTHER_APPID)


async def test_a_unionid_that_arrives_late_makes_one_user_of_two(backend: Backend) -> None:
    older, younger = await two_users(backend)
    assert older["user"]["id"] != younger["user"]["id"]
    here, there = await unite(backend)
    assert {here["user"]["id"], there["user"]["id"]} == {older["user"]["id"]}
    bindings = (await backend.get("/api/user/info", there["accessToken"])).data["bindings"]
    assert {one["appid"] for one in bindings} == {APPID, OTHER_APPID}


async def test_the_older_user_stays_when_the_unionid_comes_through_the_younger_first(backend: Backend) -> None:
    older, _ = await two_users(backend)
    know_unionid(backend, "dora", known=True)
    await backend.login("dora", appid=OTHER_APPID)
    assert (await backend.login("dora"))["user"]["id"] == older["user"]["id"]


async def test_the_devices_of_both_stay_known(backend: Backend, store: Store) -> None:
    know_unionid(backend, "dora", known=False)
    phones = {
        APPID: "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) MicroMessenger/8.0.49",
        OTHER_APPID: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0.0.0 Safari/537.36",
    }
    for _ in range(2):
        for appid, user_agent in phones.items():
            body = {"action": "login", "code": backend.wx_login("dora", appid), "appid": appid}
            assert (await backend.call("POST", "/api/auth", body, User_Agent=user_agent)).status == 200
        know_unionid(backend, "dora", known=True)
    rows = await fetch(store, "SELECT data FROM outbox WHERE type = 'session.created' ORDER BY occurred_at, id")
    created = [json.loads(row[0]) for row in rows]
    assert [(one["isNewUser"], one["newDevice"]) for one in created] == [(True, False)] * 2 + [(False, False)] * 2


async def test_a_moved_session_is_4011_until_its_refresh_names_the_new_user(backend: Backend) -> None:
    older, younger = await two_users(backend)
    await unite(backend)
    await asyncio.sleep(0.7)
    stale = await backend.get("/api/token/verify", younger["accessToken"])
    refreshed = await backend.auth("autoLogin", refreshToken=younger["refreshToken"])
    assert (stale.status, stale.error) == (401, "token_expired")
    assert refreshed.data["user"]["id"] == older["user"]["id"]
    verified = await backend.get("/api/token/verify", refreshed.data["accessToken"])
    assert (verified.status, verified.headers["X-User-Id"]) == (204, older["user"]["id"])
    assert (await backend.get("/api/token/verify", older["accessToken"])).status == 204


async def test_another_instance_says_4011_within_a_second(start_backend: StartBackend, server_store: Store) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    _, younger = await two_users(one)
    await unite(one)
    await asyncio.sleep(1.0)
    assert (await two.get("/api/token/verify", younger["accessToken"])).error == "token_expired"
    assert (await two.auth("autoLogin", refreshToken=younger["refreshToken"])).status == 200


async def test_a_logout_under_the_old_id_ends_the_moved_session(backend: Backend, store: Store) -> None:
    """A process that has not read the feed yet still passes the id of the token: a logout must hold all the same."""
    _, younger = await two_users(backend)
    await unite(backend)
    database, ids = open_database(store.database_url, Clock()), [younger["sessionId"]]
    ended = await sessions.end_sessions(database, younger["user"]["id"], ids, "logout", Clock().now_ms())
    await database.close()
    assert ended == ids
    assert (await backend.auth("autoLogin", refreshToken=younger["refreshToken"])).error == "refresh_invalid"


async def test_a_session_that_moved_and_then_ended_is_revoked(backend: Backend) -> None:
    _, younger = await two_users(backend)
    await unite(backend)
    refreshed = await backend.auth("autoLogin", refreshToken=younger["refreshToken"])
    await backend.call("POST", "/api/auth/logout", {}, refreshed.data["accessToken"])
    await asyncio.sleep(0.7)
    for token in (younger["accessToken"], refreshed.data["accessToken"]):
        assert (await backend.get("/api/token/verify", token)).error == "session_revoked"


async def test_a_merge_tells_user_merged_with_the_next_seq_and_leaves_the_aliass_events(
    backend: Backend, store: Store
) -> None:
    older, younger = await two_users(backend)
    before = await events_of(store, younger["user"]["id"])
    await unite(backend)
    told = await events_of(store, older["user"]["id"])
    merged = [(seq, data) for seq, kind, data in told if kind == "user.merged"]
    assert [seq for seq, _, _ in told] == list(range(1, len(told) + 1))
    assert [data for _, data in merged] == [{"userId": older["user"]["id"], "mergedUserId": younger["user"]["id"]}]
    assert await events_of(store, younger["user"]["id"]) == before
    audit = await fetch(store, "SELECT user_id, actor FROM audit WHERE action = 'user.merge'")
    assert audit == [(older["user"]["id"], f"user:{older['user']['id']}")]


async def test_an_id_given_out_before_the_merge_still_means_the_user(backend: Backend) -> None:
    older, younger = await two_users(backend)
    here, _ = await unite(backend)
    by_alias = await backend.get(f"/api/user/info?userId={younger['user']['id']}", here["accessToken"])
    stranger = await backend.login("bob")
    assert by_alias.data["id"] == older["user"]["id"]
    refused = await backend.get(f"/api/user/info?userId={younger['user']['id']}", stranger["accessToken"])
    assert refused.status == 403


async def test_profile_fields_fill_gaps_and_never_replace(backend: Backend) -> None:
    older, younger = await two_users(backend)
    await backend.call("PATCH", "/api/user/info", {"nickname": "Dora"}, older["accessToken"])
    theirs = {"nickname": "other", "email": "dora@example.com", "avatarUrl": "https://example.com/d.png"}
    await backend.call("PATCH", "/api/user/info", theirs, younger["accessToken"])
    backend.simulator.wechat.users.save({"name": "dora", "phone": "13800138009"})
    code = backend.simulator.wechat.phone_code(OTHER_APPID, "dora")
    bound = await backend.call("POST", "/api/user/phone", {"code": code, "appid": OTHER_APPID}, younger["accessToken"])
    assert bound.status == 200, bound.text
    here, _ = await unite(backend)
    user = (await backend.get("/api/user/info", here["accessToken"])).data
    assert (user["nickname"], user["email"]) == ("Dora", "dora@example.com")
    assert (user["avatarUrl"], user["phone"]) == ("https://example.com/d.png", "138****8009")


async def two_with_passwords(backend: Backend) -> tuple[str, str]:
    """Two users of one person, each with a username; the second has set the password later. Their passwords."""
    know_unionid(backend, "dora", known=False)
    first, second = PASSWORD, PASSWORD + "-later"
    await backend.auth("register", code=backend.wx_login("dora"), username="Dora1", password=first)
    backend.clock.advance(1)
    code = backend.wx_login("dora", OTHER_APPID)
    await backend.auth("register", code=code, appid=OTHER_APPID, username="Dora2", password=second)
    return first, second


async def test_both_usernames_log_in_with_the_password_changed_last(backend: Backend) -> None:
    first, second = await two_with_passwords(backend)
    here, _ = await unite(backend)
    for username in ("dora1", "DORA2"):
        assert (await backend.auth("login", username=username, password=first)).status == 401
        reply = await backend.auth("login", username=username, password=second)
        assert reply.data["user"]["id"] == here["user"]["id"]
    taken = await backend.auth("register", username="dora2", password=PASSWORD)
    assert taken.error == "username_taken"


async def test_disabled_is_inherited_and_ends_the_sessions(backend: Backend, store: Store) -> None:
    older, younger = await two_users(backend)
    await execute(store, "UPDATE users SET disabled_at = 1 WHERE id = %s", younger["user"]["id"])
    know_unionid(backend, "dora", known=True)
    await backend.login("dora")
    refused = await backend.auth("login", code=backend.wx_login("dora", OTHER_APPID), appid=OTHER_APPID)
    assert (refused.status, refused.error) == (403, "account_disabled")
    again = await backend.auth("login", code=backend.wx_login("dora"))
    assert again.error == "account_disabled"
    await asyncio.sleep(0.7)
    for login in (older, younger):
        assert (await backend.get("/api/token/verify", login["accessToken"])).error == "session_revoked"


async def test_open_data_with_a_unionid_merges_too(backend: Backend) -> None:
    older, younger = await two_users(backend)
    know_unionid(backend, "dora", known=True)
    await backend.login("dora")
    data = backend.simulator.wechat.open_data(OTHER_APPID, "dora", "userInfo")
    opened = await backend.call("POST", "/api/user/decrypt", {**data, "appid": OTHER_APPID}, younger["accessToken"])
    assert opened.status == 200, opened.text
    know_unionid(backend, "dora", known=False)
    assert (await backend.login("dora", appid=OTHER_APPID))["user"]["id"] == older["user"]["id"]


async def test_a_login_whose_open_data_merges_gets_tokens_of_the_survivor(backend: Backend) -> None:
    older, _ = await two_users(backend)
    know_unionid(backend, "dora", known=True)
    await backend.login("dora")
    know_unionid(backend, "dora", known=False)
    code = backend.wx_login("dora", OTHER_APPID)
    know_unionid(backend, "dora", known=True)
    data = backend.simulator.wechat.open_data(OTHER_APPID, "dora", "userInfo")
    know_unionid(backend, "dora", known=False)
    login = await backend.auth("login", code=code, appid=OTHER_APPID, **data)
    assert (login.data["user"]["id"], login.data.get("warnings")) == (older["user"]["id"], None)
    await asyncio.sleep(0.7)
    assert (await backend.get("/api/user/info", login.data["accessToken"])).data["id"] == older["user"]["id"]


async def test_open_data_of_another_openid_links_nobody(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    older, younger = await two_users(backend)
    know_unionid(backend, "dora", known=True)
    await backend.login("dora")
    monkeypatch.setattr("simulator.wechat.make_id", lambda *_: "o-of-somebody-else")
    data = backend.simulator.wechat.open_data(OTHER_APPID, "dora", "userInfo")
    await backend.call("POST", "/api/user/decrypt", {**data, "appid": OTHER_APPID}, younger["accessToken"])
    know_unionid(backend, "dora", known=False)
    login = await backend.login("dora", appid=OTHER_APPID)
    assert login["user"]["id"] == younger["user"]["id"] != older["user"]["id"]


async def test_fifty_logins_through_two_apps_with_a_fresh_unionid_end_in_one_user(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    appids = [(APPID, OTHER_APPID)[n // 2 % 2] for n in range(50)]
    codes = [one.wx_login("alice", appid) for appid in appids]
    calls = [
        (one, two)[n % 2].auth("login", code=code, appid=appid)
        for n, (code, appid) in enumerate(zip(codes, appids, strict=True))
    ]
    replies = await asyncio.gather(*calls)
    assert {reply.status for reply in replies} == {200}
    assert len({reply.data["user"]["id"] for reply in replies}) == 1
    assert sum(reply.data["isNewUser"] for reply in replies) == 1
    assert await fetch(server_store, "SELECT COUNT(*) FROM users") == [(1,)]


async def test_fifty_logins_that_merge_two_users_on_two_instances_merge_them_once(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    older, younger = await two_users(one)
    know_unionid(one, "dora", known=True)
    appids = [(APPID, OTHER_APPID)[n // 2 % 2] for n in range(50)]
    codes = [one.wx_login("dora", appid) for appid in appids]
    calls = [
        (one, two)[n % 2].auth("login", code=code, appid=appid)
        for n, (code, appid) in enumerate(zip(codes, appids, strict=True))
    ]
    replies = await asyncio.gather(*calls)
    assert {reply.status for reply in replies} == {200}
    assert (await one.login("dora", appid=OTHER_APPID))["user"]["id"] == older["user"]["id"]
    assert await fetch(server_store, "SELECT survivor_id, merged_id FROM merges") == [
        (older["user"]["id"], younger["user"]["id"])
    ]
    told = await events_of(server_store, older["user"]["id"])
    assert [seq for seq, _, _ in told] == list(range(1, len(told) + 1))
    assert [kind for _, kind, _ in told].count("user.merged") == 1
