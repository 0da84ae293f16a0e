"""The message push's signatures and its safe mode: AES-256-CBC, PKCS#7 in blocks of 32.

See oplatform/developers/dev/push/encryption. The plain ``signature`` covers token, timestamp and nonce, not the body;
``msg_signature`` covers the ciphertext too.
"""

import base64
import binascii
import hashlib
import hmac
import struct

from Crypto.Cipher import AES

BLOCK = 32
RANDOM = 16
HEAD = RANDOM + 4  # 16 random bytes, then the length of the message, big-endian
ENCRYPTED_MAX = 64 * 1024


class PushUnreadable(ValueError):
    """The ciphertext is not one of ours; deliberately says no more."""


def sign_push(token: str, *parts: str) -> str:
    """Lower-hex SHA-1 of the token and the parts, sorted as text and joined."""
    return hashlib.sha1("".join(sorted((token, *parts))).encode()).hexdigest()  # noqa: S324 - WeChat's choice


def is_signed(signature: str, token: str, *parts: str) -> bool:
    """Whether that is their signature, compared in constant time."""
    return hmac.compare_digest(signature.encode(), sign_push(token, *parts).encode())


class PushCipher:
    """The safe mode of one app; ``encoding_aes_key`` is 43 characters of base64."""

    def __init__(self, appid: str, encoding_aes_key: str) -> None:
        self._appid = appid.encode()
        self._key = base64.b64decode(encoding_aes_key + "=")

    def decrypt(self, encrypted: str) -> bytes:
        """The message; raises ``PushUnreadable``, also for another app's."""
        plain = self._unpad(self._cipher().decrypt(_decode(encrypted)))
        if len(plain) < HEAD:
            raise PushUnreadable
        (length,) = struct.unpack(">I", plain[RANDOM:HEAD])
        message, appid = plain[HEAD : HEAD + length], plain[HEAD + length :]
        if len(message) != length or not hmac.compare_digest(appid, self._appid):
            raise PushUnreadable
        return message

    def encrypt(self, message: bytes, random: bytes) -> str:
        """The ciphertext of a reply; ``random`` is 16 bytes."""
        plain = random + struct.pack(">I", len(message)) + message + self._appid
        padding = BLOCK - len(plain) % BLOCK
        return base64.b64encode(self._cipher().encrypt(plain + bytes([padding]) * padding)).decode()

    def _cipher(self) -> "AES.CbcMode":  # type: ignore[name-defined]
        return AES.new(self._key, AES.MODE_CBC, self._key[:16])

    @staticmethod
    def _unpad(padded: bytes) -> bytes:
        """By hand: a library's unpadder for blocks of 16 refuses paddings above 16."""
        padding = padded[-1]
        if not 1 <= padding <= BLOCK or padded[-padding:] != bytes([padding]) * padding:
            raise PushUnreadable
        return padded[:-padding]


def _decode(encrypted: str) -> bytes:
    try:
        raw = base64.b64decode(encrypted, validate=True)
    except (binascii.Error, ValueError):
        raise PushUnreadable from None
    if not raw or len(raw) % BLOCK or len(raw) > ENCRYPTED_MAX:
        raise PushUnreadable
    return raw
