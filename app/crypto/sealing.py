"""Sealing at rest: AES-256-GCM under a master key, bound to the place where the sealed text belongs.

The form is ``v1.<key id>.<base64url(nonce 12 ‖ ciphertext ‖ tag 16)>``; the context (such as ``appid/openid``) is
the associated data, so a sealed value that is moved to another row does not open there.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class CannotUnseal(Exception):
    """The key is not configured, or the text was changed or moved; never says what is inside."""


class Sealer:
    """Seals under the first key, opens under any."""

    def __init__(self, keys: Sequence[tuple[str, bytes]]) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys}
        self._newest = keys[0][0]

    @property
    def prefix(self) -> str:
        """How everything sealed under the newest key begins."""
        return f"v1.{self._newest}."

    def seal(self, text: str, context: str) -> str:
        """The sealed form of ``text``, good only together with ``context``."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[self._newest].encrypt(nonce, text.encode(), context.encode())
        return f"v1.{self._newest}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def unseal(self, sealed: str, context: str) -> str:
        """The text; raises ``CannotUnseal``."""
        version, key_id, encoded = (*sealed.split("."), "", "")[:3]
        cipher = self._ciphers.get(key_id)
        if version != "v1" or cipher is None:
            raise CannotUnseal(f"sealed under key {key_id!r}, which is not configured")
        try:
            raw = base64.urlsafe_b64decode(encoded)
            return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], context.encode()).decode()
        except (InvalidTag, ValueError):
            raise CannotUnseal(f"does not open under key {key_id!r} here") from None


class BlindIndex:
    """A keyed hash that finds equal values without storing them: who lacks the key learns nothing from it."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, text: str) -> str:
        """22 characters, the same for the same text."""
        digest = hmac.digest(self._key, text.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()
