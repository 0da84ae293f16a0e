"""Setting a password, changing it, and the way back from a forgotten one."""

from typing import Any

from backend import PASSWORD, Backend, Reply, StartBackend, Store
from rows import age_logins, events_of, fetch

NEW = "Brand-New-2"


async def set_password(backend: Backend, login: dict[str, Any], **body: Any) -> Reply:
    return await backend.call("POST", "/api/user/password", {"newPassword": NEW, **body}, login["accessToken"])


async def log_in(backend: Backend, username: str, password: str) -> Reply:
    return await backend.auth("login", username=username, password=password)


async def test_a_wechat_user_sets_username_and_password_and_logs_in_with_them(backend: Backend) -> None:
    login = await backend.login()
    reply = await set_password(backend, login, username="Alice1")
    assert (reply.status, reply.data["username"]) == (200, "Alice1")
    assert (await log_in(backend, "alice1", NEW)).data["user"]["id"] == login["user"]["id"]


async def test_the_old_password_changes_it_however_long_ago_the_login_was(backend: Backend) -> None:
    account = (await backend.auth("register", username="Alice1", password=PASSWORD)).data
    backend.clock.advance(600)
    assert (await set_password(backend, account, oldPassword=PASSWORD)).status == 200
    assert (await log_in(backend, "Alice1", PASSWORD)).error == "wrong_credentials"
    assert (await log_in(backend, "Alice1", NEW)).status == 200


async def test_a_wrong_old_password_changes_nothing(backend: Backend) -> None:
    account = (await backend.auth("register", username="Alice1", password=PASSWORD)).data
    reply = await set_password(backend, account, oldPassword="Wrong-Guess-1")
    assert (reply.status, reply.error) == (401, "wrong_credentials")
    assert (await log_in(backend, "Alice1", PASSWORD)).status == 200


async def test_who_has_no_password_has_no_old_one(backend: Backend) -> None:
    login = await backend.login()
    assert (await set_password(backend, login, username="Alice1", oldPassword=NEW)).error == "wrong_credentials"


async def test_a_forgotten_password_is_replaced_within_five_minutes_of_a_wechat_login(backend: Backend) -> None:
    await backend.auth("register", code=backend.wx_login(), username="Alice1", password=PASSWORD)
    login = await backend.login()
    backend.clock.advance(290)
    assert (await set_password(backend, login)).status == 200
    assert (await log_in(backend, "Alice1", NEW)).status == 200


async def test_later_or_after_a_password_login_the_old_password_is_needed(backend: Backend, store: Store) -> None:
    await backend.auth("register", code=backend.wx_login(), username="Alice1", password=PASSWORD)
    by_password, by_wechat = (await log_in(backend, "Alice1", PASSWORD)).data, await backend.login()
    first = await set_password(backend, by_password)
    await age_logins(store)
    again = (await backend.auth("autoLogin", refreshToken=by_wechat["refreshToken"])).data
    for reply in (first, await set_password(backend, again)):
        assert (reply.status, reply.error) == (403, "reauth_required")


async def test_a_change_ends_the_other_sessions_and_keeps_this_one(backend: Backend, store: Store) -> None:
    account = (await backend.auth("register", username="Alice1", password=PASSWORD)).data
    other = (await log_in(backend, "Alice1", PASSWORD)).data
    await set_password(backend, account, oldPassword=PASSWORD)
    assert (await backend.get("/api/user/info", other["accessToken"])).error == "session_revoked"
    assert (await backend.auth("autoLogin", refreshToken=other["refreshToken"])).error == "refresh_invalid"
    assert (await backend.get("/api/user/info", account["accessToken"])).status == 200
    assert (await backend.auth("autoLogin", refreshToken=account["refreshToken"])).status == 200
    told = await events_of(store, account["user"]["id"])
    assert (5, "session.revoked", {"sessionId": other["sessionId"], "reason": "password"}) in told
    assert [seq for seq, _, _ in told] == list(range(1, len(told) + 1))


async def test_other_instances_refuse_the_other_sessions_within_a_second(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    account = (await one.auth("register", username="Alice1", password=PASSWORD)).data
    other = (await log_in(two, "Alice1", PASSWORD)).data
    await set_password(one, account, oldPassword=PASSWORD)
    deadline = one.clock.monotonic() + 1.0
    while (reply := await two.get("/api/token/verify", other["accessToken"])).status == 204:
        assert one.clock.monotonic() < deadline
    assert reply.error == "session_revoked"


async def test_rules_of_usernames_and_passwords_hold(backend: Backend) -> None:
    await backend.auth("register", username="Taken1", password=PASSWORD)
    login = await backend.login()
    for body, code in [
        ({"newPassword": "short"}, "weak_password"),
        ({"username": "a b"}, "invalid_username"),
        ({"username": "taken1"}, "username_taken"),
        ({}, "invalid_request"),
        ({"newPassword": 12345678}, "invalid_request"),
        ({"username": "Alice1", "password": NEW}, "invalid_request"),
    ]:
        assert (await set_password(backend, login, **body)).error == code
    assert (await set_password(backend, login)).data == {"field": "username"}


async def test_a_username_once_given_stays(backend: Backend) -> None:
    login = await backend.login()
    await set_password(backend, login, username="Alice1")
    renamed = await set_password(backend, login, username="Alice2")
    same = await set_password(backend, login, username="ALICE1")
    assert (renamed.error, renamed.data) == ("invalid_request", {"field": "username"})
    assert (same.status, same.data["username"]) == (200, "Alice1")


async def test_the_audit_says_how_it_was_proven_and_holds_no_password(backend: Backend, store: Store) -> None:
    login = await backend.login()
    await set_password(backend, login, username="Alice1")
    rows = await fetch(store, "SELECT detail FROM audit WHERE action = 'user.password'")
    assert rows == [('{"proof":"wechat"}',)]
