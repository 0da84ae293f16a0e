"""Requests signed with HMAC-SHA256: what is signed, and how the header is written.

``Authorization: Kaimen-HMAC-SHA256 service=shop, timestamp=1763666085, nonce=…, signature=…``, the signature as hex,
over these lines joined by LF: the scheme, the method, the path with its query as sent, the SHA-256 of the body as
hex, the timestamp in seconds, the nonce.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field

SCHEME = "Kaimen-HMAC-SHA256"
HEADER = re.compile(
    r"service=([a-z0-9-]{1,32}), ?timestamp=([0-9]{10}), ?nonce=([A-Za-z0-9_-]{16,64}), ?signature=([0-9a-f]{64})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """What a service sent: ``target`` is the path with its query, ``address`` the client's, for the audit."""

    authorization: str = field(repr=False)
    method: str
    target: str
    body: bytes = field(repr=False)
    address: str


@dataclass(frozen=True, slots=True)
class Signature:
    """The parts of the header; ``timestamp`` in seconds."""

    service: str
    timestamp: int
    nonce: str
    mac: str


def parse_signature(parameters: str) -> Signature | None:
    """The header behind its scheme; None if it is not written as it must be."""
    match = HEADER.fullmatch(parameters.strip())
    return Signature(match[1], int(match[2]), match[3], match[4]) if match else None


def sign(secret: str, method: str, target: str, body: bytes, timestamp: int, nonce: str) -> str:
    """The signature of a request."""
    lines = (SCHEME, method, target, hashlib.sha256(body).hexdigest(), str(timestamp), nonce)
    return hmac.new(secret.encode(), "\n".join(lines).encode(), hashlib.sha256).hexdigest()
