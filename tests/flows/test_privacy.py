"""Consent, export, deletion: PIPL articles 15, 45 and 47."""

import asyncio
import json
import subprocess
from typing import Any

import pytest

from backend import APPID, OTHER_APPID, PASSWORD, Backend, StartBackend, Store
from core.observe.logs import set_up_logs
from rows import age_logins, events_of, fetch
from servers import MariaDB, Redis, find_binary

NICKNAME = "Dora-迷你"
PHONE = "13800138777"
EMAIL = "dora.canary@example.com"
USERNAME = "DoraCanary"


async def full_user(backend: Backend) -> dict[str, Any]:
    """A login of dora, who has everything a user can have."""
    backend.simulator.wechat.users.save({"name": "dora", "phone": PHONE})
    code, phone = backend.wx_login("dora"), backend.simulator.wechat.phone_code(APPID, "dora")
    reply = await backend.auth("register", code=code, phoneCode=phone, username=USERNAME, password=PASSWORD)
    assert "warnings" not in reply.data
    token = reply.data["accessToken"]
    await backend.call("PATCH", "/api/user/info", {"nickname": NICKNAME, "email": EMAIL}, token)
    given = {"policy": "privacy", "version": "2026-11", "accepted": True}
    await backend.call("POST", "/api/user/consent", given, token)
    return reply.data  # type: ignore[no-any-return]


def traces_of(backend: Backend) -> list[str]:
    """What must be found nowhere once dora is gone."""
    person = backend.simulator.wechat.users.get("dora")
    known = backend.simulator.wechat.users.openids(person)
    names = [
        known[APPID],
        known[OTHER_APPID],
        person.unionid,
        PHONE,
        "迷你",
        EMAIL,
        "dora.canary",
        USERNAME,
        USERNAME.lower(),
    ]
    return [str(name) for name in names]


async def delete(backend: Backend, login: dict[str, Any]) -> Any:
    return await backend.call("DELETE", "/api/user", None, login["accessToken"])


async def test_consent_is_kept_by_policy_and_version_with_its_time_and_address(backend: Backend, store: Store) -> None:
    login = await backend.login()
    for version, accepted in [("1", True), ("1", True), ("2", False), ("2", True)]:
        body = {"policy": "privacy", "version": version, "accepted": accepted}
        reply = await backend.call("POST", "/api/user/consent", body, login["accessToken"])
        assert (reply.status, reply.data["accepted"]) == (200, accepted)
    rows = await fetch(store, "SELECT policy, version, accepted, address FROM consents ORDER BY id")
    assert rows == [("privacy", version, word, "127.0.0.1") for version, word in [("1", 1), ("2", 0), ("2", 1)]]


async def test_a_repeated_consent_answers_with_the_time_of_the_first(backend: Backend) -> None:
    login, body = await backend.login(), {"policy": "privacy", "version": "1", "accepted": True}
    first = await backend.call("POST", "/api/user/consent", body, login["accessToken"])
    backend.clock.advance(60)
    again = await backend.call("POST", "/api/user/consent", body, login["accessToken"])
    assert again.data == first.data


async def test_an_ill_formed_consent_is_refused(backend: Backend) -> None:
    login = await backend.login()
    good = {"policy": "privacy", "version": "1", "accepted": True}
    for change in ({"accepted": 1}, {"policy": ""}, {"version": "x" * 65}, {"policy": "a b"}, {"at": "2020"}):
        reply = await backend.call("POST", "/api/user/consent", {**good, **change}, login["accessToken"])
        assert (reply.error, reply.data) == ("invalid_request", {"field": next(iter(change))})


async def test_the_export_has_everything_and_no_secret(backend: Backend, store: Store) -> None:
    login = await full_user(backend)
    await backend.login("dora", appid=OTHER_APPID)
    reply = await backend.get("/api/user/export", login["accessToken"])
    data, person = reply.data, backend.simulator.wechat.users.get("dora")
    assert (data["user"]["phone"], data["user"]["nickname"], data["user"]["email"]) == (PHONE, NICKNAME, EMAIL)
    assert data["user"]["username"] == USERNAME
    openids = backend.simulator.wechat.users.openids(person)
    assert {one["appid"]: one["openid"] for one in data["identities"]}.items() <= openids.items()
    assert ([one["unionid"] for one in data["unionids"]], len(data["identities"])) == ([person.unionid], 2)
    assert ([one["authMethod"] for one in data["sessions"]], len(data["events"])) == (["wechat", "wechat"], 6)
    assert [(one["policy"], one["version"], one["accepted"]) for one in data["consents"]] == [
        ("privacy", "2026-11", True)
    ]
    assert [(one["action"], one["actor"]) for one in data["audit"]] == [("user.bind", "user")]
    secrets = await fetch(store, "SELECT password_hash, phone_sealed, phone_index FROM users")
    secrets += await fetch(store, "SELECT session_key, session_key_mark, refresh_key FROM identities, sessions")
    assert not [value for row in secrets for value in row if value and value in reply.text]
    assert not [word for word in ("argon2", "sessionKey", "refreshKey", "phoneSealed") if word in reply.text]


async def test_the_export_of_a_merged_user_has_its_aliases(backend: Backend) -> None:
    backend.simulator.wechat.users.save({"name": "dora", "unionid": False})
    _, younger = await backend.login("dora"), await backend.login("dora", appid=OTHER_APPID)
    await backend.call("PATCH", "/api/user/info", {"nickname": NICKNAME}, younger["accessToken"])
    backend.simulator.wechat.users.save({"name": "dora", "unionid": True})
    await backend.login("dora")
    login = await backend.login("dora", appid=OTHER_APPID)
    data = (await backend.get("/api/user/export", login["accessToken"])).data
    assert [one["id"] for one in data["aliases"]] == [younger["user"]["id"]]
    assert (data["user"]["nickname"], len(data["sessions"])) == (NICKNAME, 4)


async def test_deleting_asks_for_a_recent_login(backend: Backend, store: Store) -> None:
    login = await backend.login()
    await age_logins(store)
    refused = await delete(backend, login)
    assert (refused.status, refused.error) == (403, "reauth_required")
    assert (await delete(backend, await backend.login())).status == 200


async def test_deletion_ends_all_sessions_and_a_return_is_a_new_user(backend: Backend) -> None:
    other = await full_user(backend)
    login = await backend.login("dora")
    reply = await delete(backend, login)
    assert (reply.status, reply.data) == (200, {})
    for session in (other, login):
        assert (await backend.get("/api/user/info", session["accessToken"])).error == "session_revoked"
        assert (await backend.auth("autoLogin", refreshToken=session["refreshToken"])).error == "refresh_invalid"
    assert (await backend.auth("login", username=USERNAME, password=PASSWORD)).error == "wrong_credentials"
    back = await backend.login("dora")
    assert (back["isNewUser"], back["user"]["id"] != login["user"]["id"]) == (True, True)
    assert back["user"]["nickname"] == ""


async def test_two_deletions_at_once_tell_it_once(backend: Backend, store: Store) -> None:
    login = await full_user(backend)
    replies = await asyncio.gather(*(delete(backend, login) for _ in range(5)))
    assert sorted({reply.status for reply in replies}) in ([200], [200, 401])
    told = await events_of(store, login["user"]["id"])
    assert [kind for _, kind, _ in told].count("user.deleted") == 1
    assert told[-1] == (len(told), "user.deleted", {"userId": login["user"]["id"]})


async def test_what_waits_in_the_outbox_keeps_ids_only_and_the_audit_a_pseudonym(
    backend: Backend, store: Store
) -> None:
    login = await full_user(backend)
    await backend.call("POST", "/api/user/password", {"newPassword": "Brand-New-2"}, login["accessToken"])
    await delete(backend, login)
    for _, _, data in await events_of(store, login["user"]["id"]):
        assert set(data) <= {"sessionId", "userId", "appid"}
    audit = await fetch(store, "SELECT action, actor, user_id, address, detail FROM audit ORDER BY at, id")
    assert [row[0] for row in audit] == ["user.password", "user.delete"]
    pseudonyms = {row[2] for row in audit}
    assert len(pseudonyms) == 1
    assert login["user"]["id"] not in str(audit)
    assert {row[1:] for row in audit} == {(f"user:{one}", one, "", "{}") for one in pseudonyms}


async def test_a_deleted_merge_leaves_no_alias_behind(backend: Backend, store: Store) -> None:
    backend.simulator.wechat.users.save({"name": "dora", "unionid": False})
    await backend.login("dora"), await backend.login("dora", appid=OTHER_APPID)
    backend.simulator.wechat.users.save({"name": "dora", "unionid": True})
    await backend.login("dora"), await backend.login("dora", appid=OTHER_APPID)
    await delete(backend, await backend.login("dora"))
    for table in ("users", "identities", "unionids", "sessions", "consents", "merges"):
        assert await fetch(store, f"SELECT COUNT(*) FROM {table}") == [(0,)]


async def test_a_dump_redis_and_the_logs_tell_nothing_of_a_deleted_user(
    start_backend: StartBackend,
    server_store: Store,
    mariadb: MariaDB,
    redis_server: Redis,
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up_logs("debug", "json")
    try:
        backend = await start_backend(server_store)
        login, traces = await full_user(backend), traces_of(backend)
        await backend.login("dora", appid=OTHER_APPID)
        before = _dump(mariadb)
        await delete(backend, await backend.login("dora"))
    finally:
        set_up_logs("error", "json")
    after, kept, logs = _dump(mariadb), _redis(redis_server), capsys.readouterr().out
    assert [trace for trace in traces if trace in before] == [trace for trace in traces if trace != PHONE]
    assert login["user"]["id"] in logs
    for place in (after, kept, logs):
        assert [trace for trace in traces if trace in place] == []


async def test_a_login_that_was_under_way_does_not_bring_a_deleted_user_back(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    login = await one.login("alice")
    codes = [one.wx_login("alice") for _ in range(20)]
    calls = [(one, two)[n % 2].auth("login", code=code) for n, code in enumerate(codes)]
    replies = (await asyncio.gather(delete(one, login), *calls))[1:]
    assert {reply.status for reply in replies} == {200}
    users = [row[0] for row in await fetch(server_store, "SELECT id FROM users")]
    owners = await fetch(server_store, "SELECT user_id FROM identities UNION SELECT user_id FROM sessions")
    assert (len(users), login["user"]["id"] in users) == (1, False)
    assert owners == [(users[0],)]


def _dump(mariadb: MariaDB) -> str:
    program = find_binary("mariadb-dump", "mariadb-client")
    address = mariadb.url.split("@")[1].split("/")[0]
    user, password = mariadb.url.split("//")[1].split("@")[0].split(":")
    host, port = address.split(":")
    command = [program, f"-h{host}", f"-P{port}", f"-u{user}", f"-p{password}", "--skip-ssl", "stores"]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode("utf-8", "replace")


def _redis(server: Redis) -> str:
    client = server._client()
    kept = {key: client.dump(key) for key in client.scan_iter()}
    client.close()
    return json.dumps({repr(key): repr(value) for key, value in kept.items()})
