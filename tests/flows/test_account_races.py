"""Logins, merges, bindings, refreshes and deletions of the same people at once, over two instances."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from app.accounts.commands import GiveConsent
from app.auth.tokens import Claims
from app.commands import UpdateInfo
from backend import APPID, OTHER_APPID, PASSWORD, Backend, Reply, StartBackend, Store
from core.clock import Clock, Deadline
from core.errors import AppError, Code
from models.db import Tx, open_database
from models.users import lock_users
from rows import events_of, fetch

WAITING = (
    "SELECT 1 FROM information_schema.processlist "
    "WHERE info LIKE 'SELECT % FROM users % FOR UPDATE' AND id <> CONNECTION_ID()"
)
PEOPLE = [f"racer{n}" for n in range(12)]


@pytest.fixture
async def pair(start_backend: StartBackend, server_store: Store) -> tuple[Backend, Backend]:
    """Two instances over one MariaDB and Redis."""
    return await start_backend(server_store), await start_backend(server_store)


async def check_invariants(store: Store) -> None:
    """Everything leads to a user who exists and is no alias; every unionid to one user; events without a gap."""
    alive = {row[0] for row in await fetch(store, "SELECT id FROM users WHERE merged_into IS NULL")}
    for table in ("identities", "unionids", "sessions", "consents"):
        owners = {row[0] for row in await fetch(store, f"SELECT DISTINCT user_id FROM {table}")}
        assert owners <= alive, table
    sql = "SELECT i.appid FROM identities i JOIN unionids u ON u.unionid = i.unionid WHERE u.user_id <> i.user_id"
    assert await fetch(store, sql) == []
    for user_id, seq in await fetch(store, "SELECT id, seq FROM users"):
        assert [one for one, _, _ in await events_of(store, user_id)] == list(range(1, seq + 1))


def log_in(backend: Backend, name: str, appid: str) -> Awaitable[Reply]:
    return backend.auth("login", code=backend.wx_login(name, appid), appid=appid)


async def split(backend: Backend) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each of the people as two users, because WeChat tells no unionid yet; from now on it does."""
    for name in PEOPLE:
        backend.simulator.wechat.users.save({"name": name, "unionid": False})
    firsts = await asyncio.gather(*(backend.login(name) for name in PEOPLE))
    seconds = await asyncio.gather(*(backend.login(name, appid=OTHER_APPID) for name in PEOPLE))
    for name in PEOPLE:
        backend.simulator.wechat.users.save({"name": name, "unionid": True})
    return list(zip(firsts, seconds, strict=True))


async def test_merges_at_opposite_ends_with_refreshes_between_lose_nobody(
    pair: tuple[Backend, Backend], server_store: Store
) -> None:
    people = await split(pair[0])
    calls: list[Awaitable[Reply]] = []
    for n, (name, (first, second)) in enumerate(zip(PEOPLE, people, strict=True)):
        here, there = pair[n % 2], pair[(n + 1) % 2]
        calls += [log_in(here, name, APPID), log_in(there, name, OTHER_APPID)]
        calls += [log_in(there, name, APPID), log_in(here, name, OTHER_APPID)]
        calls += [one.auth("autoLogin", refreshToken=second["refreshToken"]) for one in pair]
        calls += [here.auth("autoLogin", refreshToken=first["refreshToken"])]
    replies = await asyncio.gather(*calls)
    assert {reply.status for reply in replies} == {200}
    for name, (first, second) in zip(PEOPLE, people, strict=True):
        older = min(first["user"]["id"], second["user"]["id"])
        for appid in (APPID, OTHER_APPID):
            assert (await log_in(pair[0], name, appid)).data["user"]["id"] == older
    await check_invariants(server_store)
    assert await fetch(server_store, "SELECT COUNT(*) FROM merges") == [(len(PEOPLE),)]


async def test_deletions_between_logins_and_merges_leave_nothing_behind(
    pair: tuple[Backend, Backend], server_store: Store
) -> None:
    people = await split(pair[0])
    calls: list[Awaitable[Reply]] = []
    for n, (name, (first, second)) in enumerate(zip(PEOPLE, people, strict=True)):
        here, there = pair[n % 2], pair[(n + 1) % 2]
        calls += [log_in(here, name, APPID), log_in(there, name, OTHER_APPID)]
        calls += [here.call("DELETE", "/api/user", None, first["accessToken"])]
        calls += [there.call("DELETE", "/api/user", None, second["accessToken"])]
        calls += [log_in(there, name, APPID), log_in(here, name, OTHER_APPID)]
    replies = await asyncio.gather(*calls)
    assert {reply.status for reply in replies} <= {200, 401}
    assert {reply.status for n, reply in enumerate(replies) if n % 6 not in (2, 3)} == {200}
    await check_invariants(server_store)
    for name in PEOPLE:
        found = [(await log_in(pair[0], name, appid)).data["user"]["id"] for appid in (APPID, OTHER_APPID)]
        again = (await log_in(pair[0], name, APPID)).data["user"]["id"]
        assert again == found[1]
    await check_invariants(server_store)


async def test_bindings_and_logins_of_one_wechat_user_at_once_have_one_winner(
    pair: tuple[Backend, Backend], server_store: Store
) -> None:
    accounts = [(await pair[0].auth("register", username=f"Racer{n}", password=PASSWORD)).data for n in range(6)]
    calls = [
        pair[n % 2].call("POST", "/api/user/bind", {"code": pair[0].wx_login()}, account["accessToken"])
        for n, account in enumerate(accounts)
    ]
    replies = await asyncio.gather(*calls, *(log_in(pair[n % 2], "alice", APPID) for n in range(6)))
    assert {reply.error for reply in replies[:6] if reply.status != 200} <= {"identity_conflict"}
    assert {reply.status for reply in replies[6:]} == {200}
    assert len(await fetch(server_store, "SELECT user_id FROM identities")) == 1
    await check_invariants(server_store)


async def test_a_login_that_waited_for_its_user_sees_that_the_identity_was_taken_away(
    start_backend: StartBackend, server_store: Store
) -> None:
    backend, database = await start_backend(server_store), open_database(server_store.database_url, Clock())
    owner = (await backend.login())["user"]["id"]

    async def unbind(tx: Tx) -> "asyncio.Task[Reply]":
        await lock_users(tx, [owner])
        login = asyncio.create_task(backend.auth("login", code=backend.wx_login()))
        while not await tx.fetch(WAITING):
            await asyncio.sleep(0.01)
        await tx.execute("DELETE FROM identities")
        await tx.execute("DELETE FROM unionids")
        return login

    reply = await (await database.run(unbind))
    await database.close()
    assert (reply.status, reply.data["isNewUser"]) == (200, True)
    assert reply.data["user"]["id"] != owner


async def test_of_two_changes_with_the_same_old_password_one_holds(pair: tuple[Backend, Backend]) -> None:
    account = (await pair[0].auth("register", username="Alice1", password=PASSWORD)).data
    changes = [{"oldPassword": PASSWORD, "newPassword": f"Brand-New-{n}"} for n in range(4)]
    replies = await asyncio.gather(
        *(
            pair[n % 2].call("POST", "/api/user/password", body, account["accessToken"])
            for n, body in enumerate(changes)
        )
    )
    assert sorted(reply.status for reply in replies) == [200, 401, 401, 401]
    assert {reply.error for reply in replies} == {None, "wrong_credentials"}


async def test_the_last_two_bindings_cannot_both_be_taken_away_at_once(pair: tuple[Backend, Backend]) -> None:
    login = await pair[0].login()
    await pair[0].login(appid=OTHER_APPID)
    replies = await asyncio.gather(
        *(
            backend.call("DELETE", "/api/user/bind", {"appid": appid}, login["accessToken"])
            for backend, appid in zip(pair, (APPID, OTHER_APPID), strict=True)
        )
    )
    assert sorted(str(reply.error) for reply in replies) == ["None", "last_credential"]


async def test_what_a_token_of_a_merged_user_still_asks_for_is_4011_even_before_the_feed_tells(
    start_backend: StartBackend, store: Store
) -> None:
    backend = await start_backend(store)
    backend.simulator.wechat.users.save({"name": "dora", "unionid": False})
    await backend.login("dora")
    younger = await backend.login("dora", appid=OTHER_APPID)
    backend.simulator.wechat.users.save({"name": "dora", "unionid": True})
    await backend.login("dora"), await backend.login("dora", appid=OTHER_APPID)
    alias = younger["user"]["id"]
    claims = Claims(alias, younger["sessionId"], (), OTHER_APPID, 0, 0)
    consent = GiveConsent(policy="privacy", version="1", accepted=True)
    for call in (
        backend.kaimen.profiles.get(alias),
        backend.kaimen.profiles.update(claims, UpdateInfo(nickname="x"), Deadline.after(backend.clock, 3)),
        backend.kaimen.privacy.consent(claims, consent, ""),
        backend.kaimen.privacy.export(claims),
        backend.kaimen.privacy.delete(claims),
    ):
        with pytest.raises(AppError) as refused:
            await call
        assert refused.value.code is Code.TOKEN_EXPIRED
    assert len(await fetch(store, "SELECT id FROM users")) == 2
