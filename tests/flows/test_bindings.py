"""Binding a WeChat user to an account, and taking the binding away."""

from typing import Any

from backend import APPID, OTHER_APPID, PASSWORD, Backend, Reply, Store
from rows import age_logins, events_of, fetch


async def register(backend: Backend, username: str = "Alice1") -> dict[str, Any]:
    reply = await backend.auth("register", username=username, password=PASSWORD)
    assert reply.status == 200, reply.text
    return reply.data  # type: ignore[no-any-return]


async def bind(backend: Backend, login: dict[str, Any], name: str = "alice", appid: str = APPID) -> Reply:
    body = {"code": backend.wx_login(name, appid), "appid": appid}
    return await backend.call("POST", "/api/user/bind", body, login["accessToken"])


async def unbind(backend: Backend, login: dict[str, Any], appid: str = APPID) -> Reply:
    return await backend.call("DELETE", "/api/user/bind", {"appid": appid}, login["accessToken"])


def without_unionid(backend: Backend, *names: str) -> None:
    for name in names:
        backend.simulator.wechat.users.save({"name": name, "unionid": False})


async def test_a_bound_wechat_user_logs_in_to_the_account(backend: Backend, store: Store) -> None:
    account = await register(backend)
    bound = await bind(backend, account)
    login = await backend.login()
    assert (bound.status, [one["appid"] for one in bound.data["bindings"]]) == (200, [APPID])
    assert (login["user"]["id"], login["isNewUser"]) == (account["user"]["id"], False)
    told = await events_of(store, account["user"]["id"])
    assert (2 + 1, "user.bound", {"appid": APPID, "kind": "miniprogram"}) in told
    audit = await fetch(store, "SELECT actor, user_id, address FROM audit WHERE action = 'user.bind'")
    assert audit == [(f"user:{account['user']['id']}", account["user"]["id"], "127.0.0.1")]


async def test_binding_again_changes_nothing(backend: Backend, store: Store) -> None:
    account = await register(backend)
    first, again = await bind(backend, account), await bind(backend, account)
    assert (again.status, again.data) == (200, first.data)
    assert [kind for _, kind, _ in await events_of(store, account["user"]["id"])].count("user.bound") == 1


async def test_a_wechat_user_of_somebody_else_is_a_conflict_and_stays_theirs(backend: Backend, store: Store) -> None:
    owner, account = await backend.login(), await register(backend)
    before = await fetch(store, "SELECT appid, openid, user_id FROM identities")
    refused = await bind(backend, account)
    through_unionid = await bind(backend, account, appid=OTHER_APPID)
    assert (refused.status, refused.error) == (409, "identity_conflict")
    assert through_unionid.error == "identity_conflict"
    assert await fetch(store, "SELECT appid, openid, user_id FROM identities") == before
    assert (await backend.login())["user"]["id"] == owner["user"]["id"]


async def test_two_users_of_somebody_else_are_a_conflict_too(backend: Backend, store: Store) -> None:
    without_unionid(backend, "dora")
    await backend.login("dora")
    backend.simulator.wechat.users.save({"name": "dora", "unionid": True})
    await backend.login("dora", appid=OTHER_APPID)
    account = await register(backend)
    refused = await bind(backend, account, "dora")
    assert (refused.status, refused.error, refused.data) == (409, "identity_conflict", None)
    assert await fetch(store, "SELECT COUNT(*) FROM users WHERE merged_into IS NULL") == [(3,)]


async def test_binding_what_the_unionid_says_is_the_same_person_merges(backend: Backend) -> None:
    without_unionid(backend, "alice")
    older = await backend.login("alice", appid=OTHER_APPID)
    backend.simulator.wechat.users.save({"name": "alice", "unionid": True})
    younger = await backend.login("alice")
    bound = await bind(backend, younger, appid=OTHER_APPID)
    assert (bound.status, bound.data["id"]) == (200, older["user"]["id"])
    assert {one["appid"] for one in bound.data["bindings"]} == {APPID, OTHER_APPID}


async def test_bind_and_unbind_ask_for_a_login_of_the_last_five_minutes(backend: Backend, store: Store) -> None:
    account = await register(backend)
    await bind(backend, account)
    await age_logins(store)
    again = await backend.auth("autoLogin", refreshToken=account["refreshToken"])
    for reply in (await bind(backend, again.data, "bob"), await unbind(backend, again.data)):
        assert (reply.status, reply.error) == (403, "reauth_required")
    assert backend.count_calls("jscode2session") == 1


async def test_an_unbound_wechat_user_is_a_new_user_and_its_sessions_are_over(backend: Backend) -> None:
    account = await register(backend)
    await bind(backend, account)
    by_wechat = await backend.login()
    unbound = await unbind(backend, account)
    stranger = await backend.login()
    assert (unbound.status, unbound.data["bindings"]) == (200, [])
    assert (stranger["isNewUser"], stranger["user"]["id"] != account["user"]["id"]) == (True, True)
    assert (await backend.get("/api/user/info", by_wechat["accessToken"])).error == "session_revoked"
    assert (await backend.get("/api/user/info", account["accessToken"])).status == 200


async def test_the_last_credential_stays(backend: Backend) -> None:
    login = await backend.login()
    refused = await unbind(backend, login)
    assert (refused.status, refused.error) == (409, "last_credential")
    await backend.login(appid=OTHER_APPID)
    assert (await unbind(backend, login)).status == 200
    assert (await unbind(backend, login, OTHER_APPID)).error == "last_credential"


async def test_a_person_with_another_binding_of_the_same_unionid_stays_one_user(backend: Backend) -> None:
    here, _ = await backend.login(), await backend.login(appid=OTHER_APPID)
    assert (await unbind(backend, here, OTHER_APPID)).status == 200
    assert (await backend.login(appid=OTHER_APPID))["user"]["id"] == here["user"]["id"]


async def test_there_is_nothing_to_unbind_in_another_app(backend: Backend) -> None:
    login = await backend.login()
    assert (await unbind(backend, login, OTHER_APPID)).error == "not_found"


async def test_a_used_code_binds_nobody(backend: Backend) -> None:
    account, code = await register(backend), backend.wx_login()
    await backend.auth("login", code=code)
    reply = await backend.call("POST", "/api/user/bind", {"code": code}, account["accessToken"])
    assert (reply.status, reply.error) == (400, "wx_code_used")


async def test_bad_bodies_are_refused_by_field(backend: Backend) -> None:
    account = await register(backend)
    bad: list[tuple[str, dict[str, Any], str]] = [
        ("POST", {}, "code"),
        ("POST", {"code": "a b"}, "code"),
        ("POST", {"code": "abc", "openid": "oVictim"}, "openid"),
        ("DELETE", {}, "appid"),
        ("DELETE", {"appid": 5}, "appid"),
    ]
    for method, body, field in bad:
        reply = await backend.call(method, "/api/user/bind", body, account["accessToken"])
        assert (reply.status, reply.data) == (400, {"field": field})
    assert (await backend.call("POST", "/api/user/bind", {"code": "abc"})).error == "unauthenticated"
    assert backend.count_calls("jscode2session") == 0
