"""Keys change while everything runs: nobody is logged out, no verifier is surprised."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest

from app.auth.rotation import KeyRotation, RotationRefused
from backend import Backend, StartBackend, Store
from cli.compose import keys_kept_ms, make_sealer
from models.db import open_database
from service_client import rows

STEP_S = 30


@asynccontextmanager
async def rotation_of(backend: Backend) -> AsyncIterator[KeyRotation]:
    """What the command line uses, at the time of the instance."""
    settings = backend.kaimen.settings
    database = open_database(settings.database_url.get_secret_value(), backend.clock)
    try:
        yield KeyRotation(database, make_sealer(settings), backend.clock, keys_kept_ms(settings))
    finally:
        await database.close()


async def rotate(backend: Backend, purpose: str = "access", in_s: int | None = None) -> str:
    async with rotation_of(backend) as rotation:
        return (await rotation.rotate(purpose, "cli:test", in_s)).id


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


class CachingVerifier:
    """A service that verifies by itself and keeps the JWKS for as long as its headers allow, to the second."""

    def __init__(self) -> None:
        self.keys: jwt.PyJWKSet | None = None
        self.fetched_at = 0.0
        self.max_age_s = 0

    async def verify(self, backend: Backend, token: str) -> bool:
        now = backend.clock.now_ms() / 1000
        if self.keys is None or now - self.fetched_at >= self.max_age_s:
            reply = await backend.get("/.well-known/jwks.json")
            self.keys, self.fetched_at = jwt.PyJWKSet.from_dict(reply.body), now
            found = re.search(r"max-age=(\d+)", reply.headers["Cache-Control"])
            assert found
            self.max_age_s = int(found[1])
        try:
            options: Any = {"verify_exp": False, "verify_iat": False}  # at the time of the test
            jwt.decode(token, self.keys[kid_of(token)], ["ES256"], audience="http://kaimen.test", options=options)
        except (KeyError, jwt.PyJWTError):
            return False
        return True


async def test_an_hour_with_a_rotation_in_it_shows_no_verifier_an_unknown_key(
    start_backend: StartBackend, server_store: Store
) -> None:
    """Two instances, half a minute a step: each token is verified until it ends, here and by a caching verifier."""
    pair = [await start_backend(server_store), await start_backend(server_store)]
    verifier, refresh_token = CachingVerifier(), (await pair[0].login())["refreshToken"]
    old, alive, refused, new = "", [], [], ""
    for step in range(3600 // STEP_S):
        for backend in pair:
            backend.clock.advance(STEP_S)
            await backend.kaimen.keyring.read()
        if step == 10:
            new = await rotate(pair[0])
        here, there = pair[step % 2], pair[1 - step % 2]
        login = (await here.auth("autoLogin", refreshToken=refresh_token)).data
        refresh_token = login["refreshToken"]
        alive = [*alive[-900 // STEP_S :], login["accessToken"]]
        old = old or kid_of(login["accessToken"])
        for token in alive:
            if not await verifier.verify(here, token):
                refused.append((step, kid_of(token)))
        for token in (alive[0], alive[-1]):
            if (await there.get("/api/token/verify", token)).status != 204:
                refused.append((step, kid_of(token)))
    assert refused == []
    assert kid_of(alive[-1]) == new != old
    jwks = await pair[0].get("/.well-known/jwks.json")
    assert [key["kid"] for key in jwks.body["keys"]] == [new]


async def test_a_new_key_is_published_ten_minutes_before_it_signs_and_the_old_one_stays_sixteen(
    start_backend: StartBackend, embedded_store: Store
) -> None:
    backend = await start_backend(embedded_store)
    old, new = kid_of((await backend.login())["accessToken"]), await rotate(backend)
    seen = []
    for minute in range(1, 30):
        await backend.kaimen.keyring.read()
        published = [key.id for key in backend.kaimen.keyring.access]
        seen.append((minute, sorted(published) == sorted([old, new]), backend.kaimen.keyring.access_signer().id))
        backend.clock.advance(60)
    assert [signer for _, _, signer in seen] == [old] * 10 + [new] * 19
    assert [both for _, both, _ in seen] == [True] * 26 + [False] * 3  # ten minutes and sixteen


async def test_a_rotation_under_load_is_followed_without_a_restart_and_without_a_false_401(
    start_backend: StartBackend, server_store: Store
) -> None:
    """In real time, through the instances' own reading of the keys."""
    one, two = await start_backend(server_store), await start_backend(server_store)
    statuses: list[int] = []
    kids: set[str] = set()
    ends_at = time.monotonic() + 9

    async def client(name: str, here: Backend, there: Backend) -> None:
        refresh_token = (await here.login(name))["refreshToken"]
        while time.monotonic() < ends_at:
            pair = (await here.auth("autoLogin", refreshToken=refresh_token)).data
            refresh_token = pair["refreshToken"]
            kids.add(kid_of(pair["accessToken"]))
            for backend in (there, here):
                statuses.append((await backend.get("/api/token/verify", pair["accessToken"])).status)

    names = ("alice", "bob", "carol")
    clients = [client(name, *pair) for name in names for pair in ((one, two), (two, one))]
    _, new = await asyncio.gather(asyncio.gather(*clients), rotate(one, in_s=0))
    assert set(statuses) == {204}
    assert len(statuses) > 200
    assert new in kids
    assert len(kids) == 2


async def test_a_retired_key_verifies_nothing_any_more_not_even_what_was_verified_before(
    start_backend: StartBackend, embedded_store: Store
) -> None:
    backend = await start_backend(embedded_store)
    before = (await backend.login())["accessToken"]
    assert (await backend.get("/api/token/verify", before)).status == 204
    await rotate(backend, in_s=0)
    backend.clock.advance(6)
    await backend.kaimen.keyring.read()
    after = (await backend.login())["accessToken"]
    async with rotation_of(backend) as rotation:
        with pytest.raises(RotationRefused, match="--force"):
            await rotation.retire(kid_of(before), "cli:test")
        await rotation.retire(kid_of(before), "cli:test", force=True)
    await backend.kaimen.keyring.read()
    assert (await backend.get("/api/token/verify", before)).error == "unauthenticated"
    assert (await backend.get("/api/token/verify", after)).status == 204


async def test_the_key_that_signs_and_the_key_of_blind_indexes_cannot_be_retired(backend: Backend) -> None:
    keyring = backend.kaimen.keyring
    async with rotation_of(backend) as rotation:
        states = {one.key.purpose: one for one in await rotation.states()}
        for key_id in (keyring.access_signer().id, keyring.refresh_signer().id, states["index"].key.id, "unknown"):
            with pytest.raises(RotationRefused):
                await rotation.retire(key_id, "cli:test", force=True)


async def test_a_second_rotation_waits_for_the_first_unless_it_is_urgent(backend: Backend) -> None:
    first = await rotate(backend)
    with pytest.raises(RotationRefused, match=first):
        await rotate(backend)
    urgent = await rotate(backend, in_s=0)
    backend.clock.advance(6)
    await backend.kaimen.keyring.read()
    assert backend.kaimen.keyring.access_signer().id == urgent
    backend.clock.advance(1200)
    await backend.kaimen.keyring.read()
    assert backend.kaimen.keyring.access_signer().id == urgent


async def test_ten_rotations_at_once_are_one(backend: Backend) -> None:
    done = await asyncio.gather(*(rotate(backend) for _ in range(10)), return_exceptions=True)
    assert len([one for one in done if isinstance(one, str)]) == 1
    assert len([one for one in done if isinstance(one, RotationRefused)]) == 9


async def test_sessions_outlive_the_rotation_of_the_refresh_key(backend: Backend) -> None:
    token = (await backend.login())["refreshToken"]
    old, new = backend.kaimen.keyring.refresh_signer().id, await rotate(backend, "refresh", in_s=0)
    backend.clock.advance(6)
    await backend.kaimen.keyring.read()
    fresh = (await backend.login("bob"))["refreshToken"]
    used = {row[0] for row in await rows(backend, "SELECT refresh_key FROM sessions")}
    assert used == {old, new}
    for _ in range(14):
        backend.clock.advance(6 * 86400)
        await backend.kaimen.keyring.read()
        token, fresh = [
            (await backend.auth("autoLogin", refreshToken=one)).data["refreshToken"] for one in (token, fresh)
        ]
    backend.clock.advance(8 * 86400)  # past the 90 days that a session can last
    await backend.kaimen.keyring.read()
    assert [key.id for key in backend.kaimen.keyring.refresh] == [new]
    assert (await backend.auth("autoLogin", refreshToken=token)).error == "refresh_invalid"


async def test_rotations_and_retirements_are_in_the_audit(backend: Backend) -> None:
    new = await rotate(backend)
    async with rotation_of(backend) as rotation:
        await rotation.retire(new, "cli:test")
    audit = await rows(backend, "SELECT action, actor, detail FROM audit ORDER BY at, id")
    assert [row[:2] for row in audit] == [("key.rotated", "cli:test"), ("key.retired", "cli:test")]
    assert all(new in row[2] for row in audit)


async def test_an_instance_keeps_its_keys_while_the_table_cannot_be_read_or_opened(backend: Backend) -> None:
    login = await backend.login()
    keyring = backend.kaimen.keyring
    keys = keyring.keys
    database = open_database(backend.kaimen.settings.database_url.get_secret_value(), backend.clock)
    try:
        foreign = (
            "INSERT INTO signing_keys (id, purpose, generation, algorithm, sealed, created_at, signs_from) VALUES "
        )
        await database.run(lambda tx: tx.execute(foreign + "('x', 'access', 9, 'ES256', 'v1.k9.AAAA', 1, 1)"))
    finally:
        await database.close()
    with pytest.raises(Exception, match="KAIMEN_MASTER_KEYS"):
        await keyring.read()
    assert keyring.keys is keys
    assert (await backend.get("/api/token/verify", login["accessToken"])).status == 204
