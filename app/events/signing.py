"""Signatures of webhooks, by the Standard Webhooks specification.

``webhook-signature: v1,<base64 of HMAC-SHA256 over id.timestamp.body>``; while a secret is being replaced, one for each
secret, separated by blanks. See: https://www.standardwebhooks.com, "Signature scheme".
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"
SECRET_BYTES = 32


def make_secret(random_bytes: bytes) -> str:
    """The secret as both sides keep it."""
    return PREFIX + base64.b64encode(random_bytes).decode()


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature; ``timestamp`` in seconds."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    digest = hmac.digest(key, b"%s.%d." % (message_id.encode(), timestamp) + body, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()


def headers_of(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a delivery."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(secret, message_id, timestamp, body) for secret in secrets),
    }
