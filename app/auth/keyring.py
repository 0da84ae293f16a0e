"""The keys that sign: made on first start, kept sealed in the database, shared by all instances."""

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from app.crypto.sealing import CannotUnseal, Sealer
from core.clock import Clock
from models import keys
from models.db import Database
from models.keys import StoredKey


class KeyringUnusable(Exception):
    """A key in the database cannot be unsealed; it is never replaced silently, for that would end every session."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An ES256 key: ``id`` is its ``kid``; ``public_jwk`` is what JWKS publishes."""

    id: str
    private: ec.EllipticCurvePrivateKey
    public_jwk: dict[str, Any]

    @property
    def public(self) -> ec.EllipticCurvePublicKey:
        """For verifying."""
        return self.private.public_key()


@dataclass(frozen=True, slots=True)
class Keyring:
    """All keys of this deployment, the newest of each purpose first."""

    access: tuple[SigningKey, ...]
    refresh: tuple[tuple[str, bytes], ...]
    index: bytes

    def jwks(self) -> dict[str, Any]:
        """RFC 7517: the public halves, and nothing else."""
        return {"keys": [key.public_jwk for key in self.access]}


async def open_keyring(database: Database, sealer: Sealer, clock: Clock) -> Keyring:
    """Reads the keys, making those that are missing; raises ``KeyringUnusable``."""
    stored = await keys.find_keys(database)
    missing = [purpose for purpose in MAKERS if purpose not in {key.purpose for key in stored}]
    for purpose in missing:
        await keys.insert_key(database, _make(purpose, sealer, clock))
    if missing:
        stored = await keys.find_keys(database)
    newest_first = [(key, _unseal(key, sealer)) for key in reversed(stored)]
    return await asyncio.to_thread(_assemble, newest_first)


def _assemble(unsealed: list[tuple[StoredKey, str]]) -> Keyring:
    access = [_signing_key(key, pem) for key, pem in unsealed if key.purpose == "access"]
    refresh = [(key.id, base64.b64decode(secret)) for key, secret in unsealed if key.purpose == "refresh"]
    index = next(base64.b64decode(secret) for key, secret in unsealed if key.purpose == "index")
    return Keyring(tuple(access), tuple(refresh), index)


def _make(purpose: str, sealer: Sealer, clock: Clock) -> StoredKey:
    algorithm, make = MAKERS[purpose]
    key_id = clock.token(96)
    secret, public_jwk = make(key_id, clock)
    now = clock.now_ms()
    sealed = sealer.seal(secret, key_context(key_id))
    return StoredKey(key_id, purpose, 1, algorithm, sealed, public_jwk, now, now)


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
    return SigningKey(key.id, private, json.loads(key.public_jwk or "{}"))


def key_context(key_id: str) -> str:
    """Where a sealed signing key belongs."""
    return f"signing_keys/{key_id}"


MAKERS: dict[str, tuple[str, Callable[[str, Clock], tuple[str, str | None]]]] = {
    "access": ("ES256", _make_es256),
    "refresh": ("HS256", _make_hmac),
    "index": ("HS256", _make_hmac),
}
