"""Users whose bcrypt hash came from another system log in, and have an argon2id hash from then on."""

import asyncio
import time

import bcrypt
import pytest
from argon2 import PasswordHasher

from app.crypto.passwords import Passwords
from app.operations.retention import Pruner
from backend import PASSWORD, Backend, StartBackend, Store
from core.clock import Clock
from models import notes
from models.db import open_database

LONG = "Aa1!" + "x" * 100


def hashed(password: str, prefix: str = "$2b$", cost: int = 4) -> str:
    made = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(cost)).decode()
    return prefix + made.removeprefix("$2b$")


async def set_hash(store: Store, username: str, password_hash: str) -> None:
    database = open_database(store.database_url, Clock())
    sql = "UPDATE users SET password_hash = %s WHERE username_key = %s"
    await database.run(lambda tx: tx.execute(sql, [password_hash, username]))
    await database.close()


async def stored_hash(store: Store, username: str) -> str:
    database = open_database(store.database_url, Clock())
    rows = await database.fetch("SELECT password_hash FROM users WHERE username_key = %s", [username])
    await database.close()
    return str(rows[0][0])


@pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
async def test_the_first_login_replaces_the_hash_and_the_next_uses_the_new_one(
    backend: Backend, store: Store, prefix: str
) -> None:
    await backend.auth("register", username="alice", password=PASSWORD)
    await set_hash(store, "alice", hashed("Legacy-Pass-1", prefix))
    assert (await backend.auth("login", username="alice", password="Legacy-Pass-2")).error == "wrong_credentials"
    assert (await stored_hash(store, "alice")).startswith(prefix)
    assert (await backend.auth("login", username="alice", password="Legacy-Pass-1")).status == 200
    assert (await stored_hash(store, "alice")).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await backend.auth("login", username="alice", password="Legacy-Pass-1")).status == 200
    assert (await backend.auth("login", username="alice", password="Legacy-Pass-2")).status == 401


async def test_ten_logins_at_once_of_one_imported_user_all_succeed(start_backend: StartBackend, store: Store) -> None:
    backend = await start_backend(store, rate_limits="off")  # which count an attempt until it has proved right
    await backend.auth("register", username="alice", password=PASSWORD)
    await set_hash(store, "alice", hashed("Legacy-Pass-1"))
    logins = (backend.auth("login", username="alice", password="Legacy-Pass-1") for _ in range(10))
    assert [reply.status for reply in await asyncio.gather(*logins)] == [200] * 10


async def test_a_password_beyond_72_bytes_logs_in_and_then_counts_whole(backend: Backend, store: Store) -> None:
    await backend.auth("register", username="alice", password=PASSWORD)
    await set_hash(store, "alice", hashed(LONG))
    assert (await backend.auth("login", username="alice", password=LONG)).status == 200
    assert (await backend.auth("login", username="alice", password=LONG[:-1])).status == 401
    assert (await backend.auth("login", username="alice", password=LONG)).status == 200


async def test_an_argon2id_hash_with_other_costs_is_replaced_too(backend: Backend, store: Store) -> None:
    await backend.auth("register", username="alice", password=PASSWORD)
    await set_hash(store, "alice", PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash("Legacy-Pass-1"))
    assert (await backend.auth("login", username="alice", password="Legacy-Pass-1")).status == 200
    assert (await stored_hash(store, "alice")).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize("stored", ["$2b$04$short", "$2b$99$" + "a" * 53, "$2x$04$" + "a" * 53, "plain", ""])
async def test_a_stored_hash_that_is_broken_matches_nothing(stored: str) -> None:
    passwords = Passwords()
    assert await passwords.verify(stored, "") is False
    passwords.close()


async def test_while_bcrypt_is_in_use_unknown_users_wrong_passwords_and_imported_users_cost_as_much() -> None:
    passwords = Passwords(bcrypt_cost=8)
    cases = {"unknown": None, "argon2id": await passwords.hash(PASSWORD), "bcrypt": hashed(PASSWORD, cost=8)}
    # of the processor's time, for other work on this machine is none of theirs
    fastest: dict[str, float] = dict.fromkeys(cases, 9.0)
    for _ in range(15):
        for name, stored in cases.items():
            started = time.process_time()
            assert await passwords.verify(stored, "Wrong-Pass-1") is False
            fastest[name] = min(fastest[name], time.process_time() - started)
    passwords.close()
    assert max(fastest.values()) < 1.25 * min(fastest.values())


async def test_bcrypts_work_is_done_while_imported_hashes_are_left_and_no_longer(
    start_backend: StartBackend, store: Store
) -> None:
    backend = await start_backend(store)
    await backend.auth("register", username="alice", password=PASSWORD)
    await set_hash(store, "alice", hashed("Legacy-Pass-1"))
    database = open_database(store.database_url, Clock())
    await database.run(lambda tx: notes.write_note(tx, notes.BCRYPT_NOTE, "4", 0))
    pruner = Pruner(database, Clock(), backend.kaimen.settings)
    await pruner.run_once()
    assert await notes.find_note(database, notes.BCRYPT_NOTE) == "4"
    assert (await backend.auth("login", username="alice", password="Legacy-Pass-1")).status == 200
    await pruner.run_once()
    assert await notes.find_note(database, notes.BCRYPT_NOTE) is None
    await database.close()
