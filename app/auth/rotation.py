"""Key rotation: a new key is published first and signs later, the old one verifies until nothing of it is left."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.auth.keyring import PERIOD_S, make_key
from app.crypto.sealing import Sealer
from core.clock import Clock
from models import keys
from models.db import Database
from models.keys import StoredKey

PURPOSES = ("access", "refresh")  # the key of blind indexes stays: stored hashes depend on it
PUBLISHED_S = 600  # before it signs: twice what a copy of the JWKS may be old
SETTLED_S = int(PERIOD_S * 2) + 1  # the least: until every instance has read the new key


class RotationRefused(Exception):
    """What was asked would log people out, or names no key; the message says what to do instead."""


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key and what it does now: ``published``, ``signs``, ``verifies``, ``over`` or ``retired``; times in ms."""

    key: StoredKey
    state: str
    verifies_until: int | None


class KeyRotation:
    """What ``kaimen keys`` does; ``keep_ms`` says by purpose how long a key verifies after it stopped signing."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock, keep_ms: Mapping[str, int]) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._keep_ms = keep_ms

    async def states(self) -> list[KeyState]:
        """Every key that was ever made, the oldest of each purpose first."""
        stored = await keys.find_keys(self._database, with_retired=True)
        return [self._state(key, stored) for key in stored]

    async def rotate(self, purpose: str, actor: str, in_s: int | None = None) -> StoredKey:
        """A new key that signs ``in_s`` seconds from now; raises ``RotationRefused`` while another one waits."""
        sooner = in_s is not None

        def make(stored: list[StoredKey]) -> StoredKey:
            if not stored:
                raise RotationRefused("there are no keys yet: the first start makes them")
            waiting = next((key for key in stored if self._state(key, stored).state == "published"), None)
            if waiting and not sooner:
                raise RotationRefused(f"key {waiting.id} is published already and has not signed yet")
            signs_in_s = PUBLISHED_S if in_s is None else max(in_s, SETTLED_S)
            return make_key(purpose, self._sealer, self._clock, stored[-1].generation + 1, signs_in_s)

        return await keys.rotate_key(self._database, purpose, make, actor)

    async def retire(self, key_id: str, actor: str, *, force: bool = False) -> None:
        """Ends a key now; raises ``RotationRefused`` for one that signs, and without ``force`` for one still needed."""
        found = next((one for one in await self.states() if one.key.id == key_id), None)
        if found is None or found.state == "retired" or found.key.purpose not in PURPOSES:
            raise RotationRefused(f"no key {key_id} that could be retired")
        if found.state == "signs":
            raise RotationRefused(f"key {key_id} signs; rotate first")
        if found.state == "verifies" and not force:
            raise RotationRefused(f"key {key_id} still verifies; --force ends what it signed at once")
        await keys.retire_key(self._database, key_id, actor, self._clock.now_ms())

    def _state(self, key: StoredKey, stored: list[StoredKey]) -> KeyState:
        if key.retired_at is not None:
            return KeyState(key, "retired", key.retired_at)
        now, alive = self._clock.now_ms(), [one for one in stored if one.retired_at is None]
        stop = keys.stops_at(key, alive)
        until = stop + self._keep_ms[key.purpose] if stop is not None and key.purpose in self._keep_ms else None
        if stop is None or now < stop:
            return KeyState(key, "signs" if key.signs_from <= now else "published", until)
        return KeyState(key, "verifies" if until is None or now <= until else "over", until)
