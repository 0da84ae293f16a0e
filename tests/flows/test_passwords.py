"""Username and password."""

import asyncio
import time

import pytest

from backend import PASSWORD, Backend, StartBackend, Store
from core.clock import Clock
from models.db import open_database


async def test_an_account_logs_in_whatever_the_case_of_its_name(backend: Backend) -> None:
    made = await backend.auth("register", username="Alice", password=PASSWORD)
    found = await backend.auth("login", username="aLICE", password=PASSWORD)
    assert (made.status, found.status) == (200, 200)
    assert made.data["user"]["id"] == found.data["user"]["id"]
    assert (made.data["isNewUser"], found.data["isNewUser"]) == (True, False)


async def test_a_name_differing_in_case_only_is_taken(backend: Backend) -> None:
    await backend.auth("register", username="alice", password=PASSWORD)
    reply = await backend.auth("register", username="ALICE", password=PASSWORD)
    assert (reply.status, reply.error) == (409, "username_taken")


async def test_of_ten_registrations_of_one_name_at_once_one_succeeds(backend: Backend) -> None:
    replies = await asyncio.gather(*(backend.auth("register", username="same", password=PASSWORD) for _ in range(10)))
    assert sorted(reply.status for reply in replies) == [200] + [409] * 9


async def test_wrong_password_and_unknown_name_are_answered_alike(backend: Backend) -> None:
    await backend.auth("register", username="alice", password=PASSWORD)
    wrong = await backend.auth("login", username="alice", password=PASSWORD + "x")
    unknown = await backend.auth("login", username="nobody", password=PASSWORD)
    for reply in (wrong, unknown):
        reply.body.pop("requestId")
    assert (wrong.status, wrong.error) == (401, "wrong_credentials")
    assert wrong.body == unknown.body


@pytest.mark.parametrize(
    "password",
    [" Pa ss 1! ", "Aa1!" + "长" * 96, "Aa1!😀😀😀😀", "Aa1!\u0000aaaa"],
    ids=["blanks", "hundred", "emoji", "nul"],
)
async def test_a_password_logs_in_exactly_as_it_was_sent(backend: Backend, password: str) -> None:
    assert (await backend.auth("register", username="exact", password=password)).status == 200
    assert (await backend.auth("login", username="exact", password=password)).status == 200
    assert (await backend.auth("login", username="exact", password=password + " ")).status == 401


@pytest.mark.parametrize("password", ["Aa1!", "Aa1!" + "a" * 125, "aaaa1111!", "AAAA1111!", "Aaaaaaaa!", "Aaaa1111"])
async def test_a_weak_password_is_refused(backend: Backend, password: str) -> None:
    reply = await backend.auth("register", username="weak", password=password)
    assert (reply.status, reply.error) == (400, "weak_password")


@pytest.mark.parametrize("username", ["ab", "a" * 21, "a b", "alice!", "用户名字", "alice\n", "", "ａｌｉｃｅ"])
async def test_an_invalid_username_is_refused(backend: Backend, username: str) -> None:
    reply = await backend.auth("register", username=username, password=PASSWORD)
    assert (reply.status, reply.error) == (400, "invalid_username")


async def test_the_database_holds_no_password(backend: Backend, store: Store) -> None:
    await backend.auth("register", username="alice", password=PASSWORD)
    database = open_database(store.database_url, Clock())
    rows = await database.fetch("SELECT password_hash FROM users")
    await database.close()
    assert rows[0][0].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PASSWORD not in rows[0][0]


async def test_a_user_who_was_disabled_may_not_log_in_or_refresh(backend: Backend, store: Store) -> None:
    login = await backend.auth("register", username="alice", password=PASSWORD)
    database = open_database(store.database_url, Clock())

    async def disable(tx):  # type: ignore[no-untyped-def]
        await tx.execute("UPDATE users SET disabled_at = 1")

    await database.run(disable)
    await database.close()
    by_password = await backend.auth("login", username="alice", password=PASSWORD)
    by_token = await backend.auth("autoLogin", refreshToken=login.data["refreshToken"])
    assert (by_password.error, by_token.error) == ("account_disabled", "account_disabled")


async def test_two_hundred_password_logins_at_once_leave_the_loop_free(
    start_backend: StartBackend, store: Store
) -> None:
    backend = await start_backend(store, rate_limits="off")
    await backend.auth("register", username="alice", password=PASSWORD)
    storm = [asyncio.ensure_future(backend.auth("login", username="alice", password="x")) for _ in range(200)]
    await asyncio.sleep(0)
    waits = []
    while not all(one.done() for one in storm):
        started = time.monotonic()
        assert (await backend.get("/healthz")).status == 200
        waits.append(time.monotonic() - started)
    replies = await asyncio.gather(*storm)
    assert {reply.status for reply in replies} <= {401, 503}
    assert sorted(waits)[int(len(waits) * 0.99)] < 0.25  # of two busy cores shared with the test itself
