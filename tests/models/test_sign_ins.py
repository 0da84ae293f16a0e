"""The group commit of sign-ins: all or nothing for each, and nobody pays for a neighbour."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from backend import Store
from core.clock import Clock
from core.errors import AppError
from models.db import Database, open_database
from models.identities import Identity
from models.sessions import Session
from models.sign_ins import NewAccount, SignIn, SignIns

CLOCK = Clock()


@pytest.fixture
async def database(store: Store) -> AsyncIterator[Database]:
    opened = open_database(store.database_url, CLOCK)
    yield opened
    await opened.close()


def sign_in(openid: str | None = None, unionid: str | None = None, **how: object) -> SignIn:
    now = CLOCK.now_ms()
    identity = Identity("wx1", openid, "miniprogram", unionid, f"sealed-{now}", f"mark-{now}") if openid else None
    session = Session(
        CLOCK.new_id(), "", "wx1", openid, 0, "key", "wechat", now, now, now, now + 1000, now + 1000, "device", "::1"
    )
    return SignIn(session, CLOCK.new_id(), identity, **how)  # type: ignore[arg-type]


def make_sign_ins(database: Database) -> SignIns:
    return SignIns(database, lambda sealed, _merged, _survivor: sealed, 20)


async def rows(database: Database, sql: str) -> list[tuple[object, ...]]:
    return await database.fetch(sql)


async def test_openids_differing_in_case_only_are_two_users(database: Database) -> None:
    sign_ins = make_sign_ins(database)
    one, two = await asyncio.gather(sign_ins.write(sign_in("oABCdef")), sign_ins.write(sign_in("oabcDEF")))
    assert one.user.id != two.user.id


async def test_the_same_openid_under_two_appids_is_two_users(database: Database) -> None:
    other = sign_in("oSame")
    foreign = Identity("wx2", "oSame", "miniprogram", None, "s", "m")
    sign_ins = make_sign_ins(database)
    one = await sign_ins.write(other)
    two = await sign_ins.write(SignIn(sign_in("oSame").session, CLOCK.new_id(), foreign))
    assert one.user.id != two.user.id


async def test_a_refused_sign_in_leaves_its_neighbours_written(database: Database) -> None:
    sign_ins = make_sign_ins(database)
    await sign_ins.write(sign_in(account=NewAccount("taken", "hash"), may_exist=False))
    results = await asyncio.gather(
        sign_ins.write(sign_in("oGood")),
        sign_ins.write(sign_in(account=NewAccount("TAKEN", "hash"), may_exist=False)),
        sign_ins.write(sign_in("oUnknown", may_create=False)),
        sign_ins.write(sign_in("oAlsoGood")),
        return_exceptions=True,
    )
    errors = [result.code.error for result in results if isinstance(result, AppError)]
    assert errors == ["username_taken", "not_registered"]
    assert len(await rows(database, "SELECT id FROM sessions")) == 3


async def test_a_row_the_database_refuses_fails_alone(database: Database) -> None:
    sign_ins = make_sign_ins(database)
    bad = sign_in("oBad")
    bad.session.device = None  # type: ignore[assignment]
    results = await asyncio.gather(
        sign_ins.write(sign_in("oOne")), sign_ins.write(bad), sign_ins.write(sign_in("oTwo")), return_exceptions=True
    )
    assert [isinstance(result, Exception) for result in results] == [False, True, False]
    owners = await rows(database, "SELECT COUNT(*) FROM identities")
    assert owners == [(2,)]


async def test_events_are_numbered_per_user_without_a_gap(database: Database) -> None:
    sign_ins = make_sign_ins(database)
    await asyncio.gather(*(sign_ins.write(sign_in(f"o{n % 3}")) for n in range(30)))
    for user_id, seq in await rows(database, "SELECT id, seq FROM users"):
        found = await database.fetch("SELECT seq, type FROM outbox WHERE user_id = %s ORDER BY seq", [user_id])
        assert [number for number, _ in found] == list(range(1, seq + 1))  # type: ignore[operator]
        assert [kind for _, kind in found].count("user.created") == 1


async def test_the_newest_and_the_previous_session_key_are_kept(database: Database) -> None:
    sign_ins = make_sign_ins(database)
    for number in (1, 2, 2, 3):
        identity = Identity("wx1", "oKeys", "miniprogram", None, f"sealed{number}", f"mark{number}")
        await sign_ins.write(SignIn(sign_in("oKeys").session, CLOCK.new_id(), identity))
    kept = await rows(database, "SELECT session_key, previous_session_key FROM identities")
    texts = [part.decode() if isinstance(part, bytes) else part for part in kept[0]]
    assert texts == ["sealed3", "sealed2"]


async def test_two_writers_of_one_new_user_end_in_one_user(database: Database) -> None:
    writers = [make_sign_ins(database), make_sign_ins(database)]
    results = await asyncio.gather(*(writers[n % 2].write(sign_in("oRace", "uRace")) for n in range(20)))
    assert len({result.user.id for result in results}) == 1
    assert sum(result.is_new_user for result in results) == 1
    assert await rows(database, "SELECT COUNT(*) FROM users") == [(1,)]
