"""The keys that sign: made on first start, kept sealed in the database, shared and re-read by all instances.

A new key is published at once and signs from its ``signs_from`` on; the newest that may sign does. A key that
stopped signing verifies for as long as what it signed may live. Time alone decides, so instances need not agree on
more than the clock and the table.
"""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from app.crypto.sealing import CannotUnseal, Sealer
from core.clock import Clock
from core.errors import AppError
from core.observe.logs import get_logger
from core.tasks import end_task
from models import keys
from models.db import Database
from models.keys import StoredKey

PERIOD_S = 2.0
KEEP_MS = {"access": 16 * 60_000, "refresh": 91 * 86_400_000}  # after a key stopped signing, at the least


class KeyringUnusable(Exception):
    """A key in the database cannot be unsealed; it is never replaced silently, for that would end every session."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An ES256 key: ``id`` is its ``kid``; ``public_jwk`` is what JWKS publishes; ``signs_from`` in ms."""

    id: str
    private: ec.EllipticCurvePrivateKey
    public: ec.EllipticCurvePublicKey
    public_jwk: dict[str, Any]
    signs_from: int


@dataclass(frozen=True, slots=True)
class MacKey:
    """An HMAC key; ``signs_from`` in ms."""

    id: str
    secret: bytes = field(repr=False)
    signs_from: int


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys in use at one moment, the newest of each purpose first."""

    access: tuple[SigningKey, ...]
    refresh: tuple[MacKey, ...]
    index: bytes = field(repr=False)


Material = SigningKey | MacKey
K = TypeVar("K", SigningKey, MacKey)


class Keyring:
    """The keys of this deployment, as of the last reading; ``start`` and ``stop`` run the reading."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock, keep_ms: Mapping[str, int]) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._keep_ms = keep_ms
        self._opened: dict[str, Material] = {}
        self._task: asyncio.Task[None] | None = None
        self.keys = Keys((), (), b"")

    @property
    def access(self) -> tuple[SigningKey, ...]:
        """Keys that verify access tokens, the newest first; it may not sign yet."""
        return self.keys.access

    @property
    def refresh(self) -> tuple[MacKey, ...]:
        """Keys that verify refresh tokens, the newest first."""
        return self.keys.refresh

    @property
    def index(self) -> bytes:
        """The key of blind indexes, which never changes."""
        return self.keys.index

    def jwks(self) -> dict[str, Any]:
        """RFC 7517: the public halves, and nothing else."""
        return {"keys": [key.public_jwk for key in self.access]}

    def access_signer(self) -> SigningKey:
        """The key that signs access tokens now."""
        return _signer(self.access, self._clock.now_ms())

    def refresh_signer(self) -> MacKey:
        """The key that new sessions get."""
        return _signer(self.refresh, self._clock.now_ms())

    async def read(self) -> None:
        """Reads the table; ``keys`` is another object only if they changed. Raises 5001, ``KeyringUnusable``."""
        stored = keys.in_use(await keys.find_keys(self._database), self._clock.now_ms(), self._keep_ms)
        fresh = [key for key in stored if key.id not in self._opened]
        opened = await asyncio.to_thread(_open_all, fresh, self._sealer) if fresh else {}
        self._opened = {key.id: self._opened.get(key.id) or opened[key.id] for key in stored}
        found = _assemble(list(reversed(stored)), self._opened)
        if found != self.keys:
            self.keys = found

    async def start(self) -> None:
        """Keeps reading: a rotation needs no restart."""
        self._task = asyncio.create_task(self._keep_reading())

    async def stop(self) -> None:
        """Ends the reading."""
        if self._task:
            await end_task(self._task)

    async def _keep_reading(self) -> None:
        while True:
            await asyncio.sleep(PERIOD_S)
            try:
                await self.read()
            except (AppError, KeyringUnusable) as error:  # the keys at hand stay good meanwhile
                get_logger().warning("keys not read", cause=str(error))


async def open_keyring(
    database: Database, sealer: Sealer, clock: Clock, keep_ms: Mapping[str, int] = KEEP_MS
) -> Keyring:
    """Reads the keys, making those that are missing; raises ``KeyringUnusable``."""
    present = {key.purpose for key in await keys.find_keys(database)}
    for purpose in MAKERS:
        if purpose not in present:
            await keys.insert_key(database, make_key(purpose, sealer, clock))
    keyring = Keyring(database, sealer, clock, keep_ms)
    await keyring.read()
    return keyring


def make_key(purpose: str, sealer: Sealer, clock: Clock, generation: int = 1, signs_in_s: int = 0) -> StoredKey:
    """A new key, sealed, not stored yet."""
    algorithm, make = MAKERS[purpose]
    key_id = clock.token(96)
    secret, public_jwk = make(key_id, clock)
    now = clock.now_ms()
    sealed = sealer.seal(secret, key_context(key_id))
    return StoredKey(key_id, purpose, generation, algorithm, sealed, public_jwk, now, now + signs_in_s * 1000)


def _signer(newest_first: Sequence[K], now: int) -> K:
    return next((key for key in newest_first if key.signs_from <= now), newest_first[-1])


def _assemble(newest_first: list[StoredKey], opened: Mapping[str, Material]) -> Keys:
    def of(purpose: str) -> list[Material]:
        return [opened[key.id] for key in newest_first if key.purpose == purpose]

    access = tuple(key for key in of("access") if isinstance(key, SigningKey))
    refresh = tuple(key for key in of("refresh") if isinstance(key, MacKey))
    index = next(key.secret for key in of("index") if isinstance(key, MacKey))
    return Keys(access, refresh, index)


def _open_all(stored: list[StoredKey], sealer: Sealer) -> dict[str, Material]:
    return {key.id: _open(key, _unseal(key, sealer)) for key in stored}


def _open(key: StoredKey, secret: str) -> Material:
    if key.algorithm == "ES256":
        return _signing_key(key, secret)
    return MacKey(key.id, base64.b64decode(secret), key.signs_from)


def _make_es256(key_id: str, _clock: Clock) -> tuple[str, str | None]:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    jwk = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    return pem.decode(), json.dumps({**jwk, "kid": key_id, "alg": "ES256", "use": "sig"})


def _make_hmac(_key_id: str, clock: Clock) -> tuple[str, str | None]:
    return base64.b64encode(clock.random_bytes(32)).decode(), None


def _unseal(key: StoredKey, sealer: Sealer) -> str:
    try:
        return sealer.unseal(key.sealed, key_context(key.id))
    except CannotUnseal as error:
        raise KeyringUnusable(f"signing key {key.id} ({key.purpose}): {error}; see KAIMEN_MASTER_KEYS") from error


def _signing_key(key: StoredKey, pem: str) -> SigningKey:
    private = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise KeyringUnusable(f"signing key {key.id} is not an EC key")
    return SigningKey(key.id, private, private.public_key(), json.loads(key.public_jwk or "{}"), key.signs_from)


def key_context(key_id: str) -> str:
    """Where a sealed signing key belongs."""
    return f"signing_keys/{key_id}"


MAKERS: dict[str, tuple[str, Callable[[str, Clock], tuple[str, str | None]]]] = {
    "access": ("ES256", _make_es256),
    "refresh": ("HS256", _make_hmac),
    "index": ("HS256", _make_hmac),
}
