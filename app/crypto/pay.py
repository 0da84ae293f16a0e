"""WeChat Pay v3 notifications: who sent one, and what is in it.

Signed with RSASSA-PKCS1-v1_5 and SHA-256 over ``timestamp\\nnonce\\nbody\\n``, the body's bytes as they came; the key
is a platform certificate's or, since 2024, WeChat Pay's public key (serial ``PUB_KEY_ID_…``): both occur side by side
while a merchant changes over. The content is AES-256-GCM under the APIv3 key.
See: pay.weixin.qq.com, wechatpay4_1 (signatures) and wechatpay4_2 (decryption).
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

WINDOW_S = 300
SIGNTEST = "WECHATPAY/SIGNTEST/"  # deliberately wrong: WeChat looks whether we notice
SIGNATURE_TYPE = "WECHATPAY2-SHA256-RSA2048"
ALGORITHM = "AEAD_AES_256_GCM"
TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)


class PayForged(Exception):
    """WeChat Pay did not sign this, or not now; the message says why, and holds nothing of it."""


class PayUnreadable(Exception):
    """Signed, and yet it does not decrypt: most often the APIv3 key is another."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The headers ``Wechatpay-…`` of a notification; empty where one is missing."""

    serial: str
    timestamp: str
    nonce: str
    signature: str
    kind: str = SIGNATURE_TYPE


def verify(keys: Mapping[str, RSAPublicKey], given: Signature, body: bytes, now_s: int) -> None:
    """Raises ``PayForged``; ``keys`` by serial."""
    if not TIMESTAMP.fullmatch(given.timestamp) or abs(now_s - int(given.timestamp)) >= WINDOW_S:
        raise PayForged("stale")
    if given.signature.startswith(SIGNTEST):
        raise PayForged("a signature test of WeChat Pay")
    if given.kind not in ("", SIGNATURE_TYPE):
        raise PayForged("an unknown type of signature")
    key = keys.get(given.serial)
    if key is None:
        raise PayForged("an unknown serial")
    message = b"%s\n%s\n%s\n" % (given.timestamp.encode(), given.nonce.encode(), body)
    try:
        key.verify(base64.b64decode(given.signature, validate=True), message, PKCS1v15(), SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        raise PayForged("the signature is wrong") from None


def decrypt(api_key: str, algorithm: str, nonce: str, associated_data: str, ciphertext: str) -> bytes:
    """What a ``resource`` holds; ``ciphertext`` is base64 of the encrypted bytes and their 16-byte tag.

    Raises ``PayUnreadable``.
    """
    if algorithm != ALGORITHM:
        raise PayUnreadable("an unknown algorithm")
    try:
        sealed = base64.b64decode(ciphertext, validate=True)
        return AESGCM(api_key.encode()).decrypt(nonce.encode(), sealed, associated_data.encode())
    except (InvalidTag, binascii.Error, ValueError):
        raise PayUnreadable("does not decrypt") from None
