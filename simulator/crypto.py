"""What WeChat computes on its side: open data, its signatures, the proof of holding a session_key.

See: https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/signature.html
"""

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode

from Crypto.Cipher import AES
from Crypto.Util.Padding import pad, unpad


def new_session_key() -> str:
    """A fresh session_key: base64 of 16 random bytes, 24 characters."""
    return b64encode(secrets.token_bytes(16)).decode()


def encrypt(session_key: str, iv: str, text: str) -> str:
    """AES-128-CBC with PKCS#7 over UTF-8; key, iv and result are base64."""
    cipher = AES.new(b64decode(session_key), AES.MODE_CBC, b64decode(iv))
    return b64encode(cipher.encrypt(pad(text.encode(), AES.block_size))).decode()


def decrypt(session_key: str, iv: str, encrypted: str) -> str:
    """Undo ``encrypt``; ValueError when the key does not fit."""
    cipher = AES.new(b64decode(session_key), AES.MODE_CBC, b64decode(iv))
    return unpad(cipher.decrypt(b64decode(encrypted)), AES.block_size).decode()


def sign_raw_data(raw_data: str, session_key: str) -> str:
    """The ``signature`` beside open data: hex SHA-1 of rawData followed by the key as text."""
    return hashlib.sha1((raw_data + session_key).encode(), usedforsecurity=False).hexdigest()


def sign_session(session_key: str, message: str = "") -> str:
    """Hex HMAC-SHA256 under the key *as text*; for GET calls the message is empty."""
    return hmac.new(session_key.encode(), message.encode(), hashlib.sha256).hexdigest()
