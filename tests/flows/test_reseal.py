"""A new master key: everything is sealed again under it while the servers work, and the old key can go."""

import asyncio
from typing import Any

import pytest

from app.callbacks.intake import Incoming
from app.crypto.sealing import CannotUnseal, Sealer
from app.oauth.user_tokens import tokens_context
from app.operations.resealing import SEALED, Resealer
from app.users.open_data import session_key_context
from app.users.views import phone_context
from backend import APPID, PASSWORD, WEBSITE, Backend, StartBackend, Store
from browser import Browser
from cli.compose import make_sealer
from core.clock import Clock
from models import resealing
from models.db import Database, Tx, open_database, text
from models.resealing import Change
from operators import NEW_KEY, OLD_KEY, kaimen

BOTH = f"{NEW_KEY},{OLD_KEY}"
KEYS = {"k1": b"0123456789abcdef" * 2, "k2": b"fedcba9876543210" * 2}


async def key_ids(database: Database) -> set[str]:
    """The key ids under which anything is sealed."""
    found = set()
    for what, _ in SEALED:
        rows = await database.fetch(f"SELECT {what.column} FROM {what.table} WHERE {what.column} IS NOT NULL")
        found |= {str(text(row[0])).split(".")[1] for row in rows}
    return found


async def bind_phone(backend: Backend, user: str, login: dict[str, Any]) -> None:
    code = backend.simulator.wechat.phone_code(APPID, user)
    reply = await backend.call("POST", "/api/user/phone", {"code": code}, login["accessToken"])
    assert reply.status == 200, reply.text


async def test_the_key_is_changed_under_load_without_one_failure_and_the_old_one_dropped(
    start_backend: StartBackend, store: Store
) -> None:
    backend = await start_backend(store, master_keys=OLD_KEY)
    login = await backend.login("alice")
    await bind_phone(backend, "alice", login)
    await backend.login("alice")
    for user in ("bob", "carol"):
        await backend.login(user)

    backend = await start_backend(store, master_keys=BOTH, max_sessions=1000)
    failures: list[str] = []
    stop = asyncio.Event()

    async def load(user: str) -> None:
        while not stop.is_set():
            reply = await backend.auth("login", code=backend.wx_login(user))
            if reply.status != 200:
                failures.append(reply.text)

    clients = [asyncio.create_task(load(user)) for user in ("alice", "bob", "carol")]
    done = await kaimen(store, "reseal", "--json", KAIMEN_MASTER_KEYS=BOTH)
    stop.set()
    await asyncio.gather(*clients)
    assert (done.status, failures) == (0, [])
    assert sum(row["resealed"] for row in done.rows) >= 4
    assert sum(row["underOldKeys"] for row in done.rows) == 0
    database = open_database(store.database_url, Clock())
    assert await key_ids(database) == {"k2"}
    await database.close()

    alone = await start_backend(store, master_keys=NEW_KEY)
    again = await alone.auth("autoLogin", refreshToken=login["refreshToken"])
    assert again.status == 200
    assert again.data["user"]["phone"] is not None
    told = (await kaimen(store, "audit", "--json", KAIMEN_MASTER_KEYS=NEW_KEY)).rows
    assert [row["action"] for row in told].count("master_key.resealed") == 1


async def test_a_value_that_changed_since_it_was_read_is_not_overwritten(backend: Backend, store: Store) -> None:
    login = await backend.login("alice")
    await bind_phone(backend, "alice", login)
    database = open_database(store.database_url, Clock())
    phones = next(what for what, _ in SEALED if what.column == "phone_sealed")
    [(key, read)] = await resealing.find_values(database, phones, None, 10)
    await bind_phone(backend, "alice", login)
    [(_, current)] = await resealing.find_values(database, phones, None, 10)
    assert read is not None
    assert read != current
    assert await resealing.replace_values(database, phones, [Change(key, read, "stale")]) == 0
    assert await resealing.find_values(database, phones, None, 10) == [(key, current)]
    await database.close()


async def test_a_sealed_value_moved_to_another_users_row_does_not_open_and_is_reported(
    start_backend: StartBackend, store: Store
) -> None:
    backend = await start_backend(store, master_keys=OLD_KEY)
    alice, bob = await backend.login("alice"), await backend.login("bob")
    await bind_phone(backend, "alice", alice)
    database = open_database(store.database_url, Clock())
    sealer = make_sealer(backend.kaimen.settings)
    [phone] = (await database.fetch("SELECT phone_sealed FROM users WHERE id = %s", [alice["user"]["id"]]))[0]
    rows = await database.fetch("SELECT appid, openid, session_key FROM identities ORDER BY openid")
    (appid, one, key_of_one), (_, other, key_of_other) = [[str(text(cell)) for cell in row] for row in rows]

    async def swap(tx: Tx) -> None:
        await tx.execute("UPDATE users SET phone_sealed = %s WHERE id = %s", [phone, bob["user"]["id"]])
        for openid, key in ((one, key_of_other), (other, key_of_one)):
            await tx.execute("UPDATE identities SET session_key = %s WHERE openid = %s", [key, openid])

    await database.run(swap)
    for sealed, context in (
        (str(text(phone)), phone_context(bob["user"]["id"])),
        (key_of_other, session_key_context(appid, one)),
    ):
        with pytest.raises(CannotUnseal):
            sealer.unseal(sealed, context)
    info = await backend.get("/api/user/info", bob["accessToken"])
    assert (info.status, info.data["phone"]) == (200, None)

    done = await kaimen(store, "reseal", KAIMEN_MASTER_KEYS=BOTH)
    assert done.status == 1
    assert "users.phone_sealed " + bob["user"]["id"] in done.err
    assert done.err.count("identities.session_key ") == 2
    rows = await database.fetch("SELECT session_key FROM identities ORDER BY openid")
    assert [str(text(row[0])) for row in rows] == [key_of_other, key_of_one]
    await database.close()


async def test_many_rows_are_resealed_in_steps_and_each_is_counted(server_store: Store) -> None:
    database = open_database(server_store.database_url, Clock())
    old, both = Sealer([("k1", KEYS["k1"])]), Sealer(list(reversed(KEYS.items())))
    rows = [(f"{number:032}", old.seal(f"1380000{number:04}", phone_context(f"{number:032}"))) for number in range(450)]

    async def fill(tx: Tx) -> None:
        for user_id, sealed in rows:
            sql = "INSERT INTO users (id, phone_sealed, created_at, updated_at) VALUES (%s, %s, 0, 0)"
            await tx.execute(sql, [user_id, sealed])

    await database.run(fill, 30)
    steps: list[int] = []
    resealer = Resealer(database, both)
    assert await resealer.count() == 450
    outcomes = await resealer.run(steps.append)
    assert [step for step in steps if step] == [200, 200, 50]
    assert {one.column: (one.resealed, one.remaining) for one in outcomes}["users.phone_sealed"] == (450, 0)
    new = Sealer([("k2", KEYS["k2"])])
    sealed = dict(await database.fetch("SELECT id, phone_sealed FROM users"))
    opened = [new.unseal(str(text(sealed[user_id])), phone_context(user_id)) for user_id, _ in rows]
    assert opened == [f"1380000{number:04}" for number in range(450)]
    await database.close()


async def test_reseal_without_the_old_key_changes_nothing_and_says_so(
    start_backend: StartBackend, store: Store
) -> None:
    backend = await start_backend(store, master_keys=OLD_KEY)
    await backend.auth("register", username="alice", password=PASSWORD)
    done = await kaimen(store, "reseal", KAIMEN_MASTER_KEYS=NEW_KEY)
    assert (done.status, "keep those keys" in done.err, "Traceback" in done.err) == (1, True, False)
    database = open_database(store.database_url, Clock())
    assert await key_ids(database) == {"k1"}
    await database.close()


async def test_tokens_of_users_and_waiting_callbacks_are_resealed_too(
    start_backend: StartBackend, store: Store
) -> None:
    backend = await start_backend(store, master_keys=OLD_KEY)
    await Browser(backend).sign_in("alice", WEBSITE)
    intake = backend.kaimen.push.intake
    assert intake
    await intake.stop()  # what it accepts now waits
    await intake.accept(Incoming("wechat:wx00000000000000a1", "key", "digest", "event", "<xml/>"))
    done = await kaimen(store, "reseal", "--json", KAIMEN_MASTER_KEYS=BOTH)
    resealed = {row["column"]: row["resealed"] for row in done.rows}
    assert (resealed["identities.oauth_tokens"], resealed["inbox.body"]) == (1, 1)
    database = open_database(store.database_url, Clock())
    (openid,) = [str(text(row[0])) for row in await database.fetch("SELECT openid FROM identities")]
    (sealed,) = [str(text(row[0])) for row in await database.fetch("SELECT oauth_tokens FROM identities")]
    await database.close()
    assert Sealer([("k2", KEYS["k2"])]).unseal(sealed, tokens_context(WEBSITE, openid))
