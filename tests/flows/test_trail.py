"""Refused sign-ins leave a trail that costs their requests nothing, whatever the database does."""

import asyncio

from backend import PASSWORD, Backend, StartBackend, Store
from core.clock import Clock
from core.errors import AppError, Code
from models.db import open_database
from servers import MariaDB


async def actions(store: Store) -> list[str]:
    database = open_database(store.database_url, Clock())
    rows = await database.fetch("SELECT detail FROM audit ORDER BY at, id")
    await database.close()
    return [row[0] for row in rows]


async def test_a_refused_sign_in_is_answered_while_the_database_is_away_and_counted_as_dropped(
    start_backend: StartBackend, server_store: Store, mariadb: MariaDB
) -> None:
    backend = await start_backend(server_store)
    trail = backend.kaimen.trail
    mariadb.kill()
    for _ in range(5):
        trail.refused("login", AppError(Code.WRONG_CREDENTIALS), "192.0.2.1", "test")
    await trail.close()
    mariadb.start()
    assert trail.dropped == 5
    trail.refused("login", AppError(Code.WRONG_CREDENTIALS), "192.0.2.1", "test")
    await trail.close()
    assert (trail.dropped, len(await actions(server_store))) == (5, 1)


async def test_a_flood_of_refusals_waits_in_a_queue_with_an_end(backend: Backend, store: Store) -> None:
    trail = backend.kaimen.trail
    for _ in range(1500):
        trail.refused("login", AppError(Code.WRONG_CREDENTIALS), "192.0.2.1", "x" * 5000)
    assert trail.dropped == 500
    await trail.close()
    assert len(await actions(store)) == 1000


async def test_attempts_that_are_not_looked_at_are_told_once_a_minute_for_each_address(
    backend: Backend, store: Store
) -> None:
    trail = backend.kaimen.trail
    for _ in range(3):
        for address in ("192.0.2.1", "192.0.2.2"):
            trail.refused("login", AppError(Code.TOO_MANY_ATTEMPTS), address, "test")
    backend.clock.advance(61)
    trail.refused("login", AppError(Code.TOO_MANY_ATTEMPTS), "192.0.2.1", "test")
    await trail.close()
    assert len(await actions(store)) == 3


async def test_what_is_no_refusal_of_a_person_leaves_no_trail(backend: Backend, store: Store) -> None:
    await backend.auth("register", username="alice", password=PASSWORD)
    await backend.auth("register", username="alice", password=PASSWORD)
    await backend.auth("login", code="not a code")
    await backend.kaimen.trail.close()
    assert await actions(store) == []


async def test_a_stolen_refresh_token_is_told_with_the_user_it_belongs_to(backend: Backend, store: Store) -> None:
    login = await backend.login("alice")
    token = login["refreshToken"]
    for _ in range(2):
        token = (await backend.auth("autoLogin", refreshToken=token)).data["refreshToken"]
    reply = await backend.auth("autoLogin", refreshToken=login["refreshToken"])
    assert reply.error == "refresh_reused"
    assert reply.data is None
    await backend.kaimen.trail.close()
    database = open_database(store.database_url, Clock())
    rows = await database.fetch("SELECT user_id, actor, action FROM audit")
    await database.close()
    assert rows == [(login["user"]["id"], "anonymous", "sign_in.refused")]


async def test_two_starts_with_the_same_new_setting_at_once_tell_of_it_once(
    start_backend: StartBackend, server_store: Store
) -> None:
    first = await start_backend(server_store)
    assert await first.kaimen.trail.note_settings(first.kaimen.settings) == []
    both = [await start_backend(server_store, session_max_s=86400) for _ in range(2)]
    changed = await asyncio.gather(*(one.kaimen.trail.note_settings(one.kaimen.settings) for one in both))
    assert sorted(changed) == [[], ["KAIMEN_SESSION_MAX_S"]]
