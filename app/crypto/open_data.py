"""Open data of a mini-program: what ``wx.getUserInfo``, ``getPhoneNumber`` and others return encrypted.

AES-128-CBC under the session_key, PKCS#7 in blocks of 16; the signature is SHA-1 over rawData and the
session_key's base64 text. See framework/open-ability/signature.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any, NoReturn

from Crypto.Cipher import AES

from core.errors import AppError, Code
from core.observe import metrics

MAX_CIPHERTEXT = 64 * 1024
FRESH_MS = 5 * 60 * 1000
BLOCK = 16


def decrypt_open_data(
    keys: Sequence[str],
    appid: str,
    encrypted_data: str,
    iv: str,
    *,
    now_ms: int,
    raw_data: str | None = None,
    signature: str | None = None,
) -> dict[str, Any]:
    """The decrypted object, watermark included. ``keys`` are the kept session_keys, newest first.

    Raises 4003 with a reason: ``malformed``, ``stale_session_key`` (whatever goes wrong after AES: no kept
    key makes sense of it, or it is over 5 minutes old), ``wrong_app``, ``bad_signature``.
    """
    if (raw_data is None) != (signature is None):
        raise _failure("malformed")
    vector = _decode(iv)
    ciphertext = _decode(encrypted_data)
    if len(vector) != BLOCK or not 0 < len(ciphertext) <= MAX_CIPHERTEXT or len(ciphertext) % BLOCK:
        raise _failure("malformed")
    opened = [(key, _open(key, vector, ciphertext, now_ms)) for key in keys]
    for key, payload in opened:
        if payload is not None:
            return _check(payload, key, appid, raw_data, signature)
    raise _failure("stale_session_key")


def sign_raw_data(raw_data: str, session_key: str) -> str:
    """The ``signature`` beside ``rawData``: lower-hex SHA-1 of both texts, byte for byte."""
    return hashlib.sha1((raw_data + session_key).encode("utf-8", "surrogatepass")).hexdigest()  # noqa: S324


def _check(
    payload: dict[str, Any], key: str, appid: str, raw_data: str | None, signature: str | None
) -> dict[str, Any]:
    if payload["watermark"].get("appid") != appid:
        raise _failure("wrong_app")
    if raw_data is not None and signature is not None:
        expected = sign_raw_data(raw_data, key).encode()
        if not hmac.compare_digest(expected, signature.encode("utf-8", "surrogatepass")):
            raise _failure("bad_signature")
    return payload


def _open(key: str, iv: bytes, ciphertext: bytes, now_ms: int) -> dict[str, Any] | None:
    """The payload if this key makes sense of it, else None; every failure takes the same way."""
    plaintext = AES.new(base64.b64decode(key), AES.MODE_CBC, iv).decrypt(ciphertext)
    payload = _load(_unpad(plaintext))
    watermark = payload.get("watermark") if isinstance(payload, dict) else None
    return payload if isinstance(watermark, dict) and _is_fresh(watermark, now_ms) else None


def _unpad(plaintext: bytes) -> bytes:
    """The text without its padding, empty if the padding is wrong: then parsed all the same."""
    size = plaintext[-1]
    good = 1 <= size <= BLOCK and hmac.compare_digest(plaintext[-size:], bytes([size]) * size)
    return plaintext[:-size] if good else b""


def _load(plaintext: bytes) -> Any:
    try:
        return _whole_characters(json.loads(plaintext.decode(), parse_constant=_refuse))
    except (ValueError, RecursionError):
        return None


def _whole_characters(value: Any) -> Any:
    """A nickname that WeChat cut inside an emoji ends in half a character, which nobody can encode: U+FFFD instead."""
    text = json.dumps(value, ensure_ascii=False)
    return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _is_fresh(watermark: dict[str, Any], now_ms: int) -> bool:
    timestamp = watermark.get("timestamp")
    return type(timestamp) is int and abs(now_ms - timestamp * 1000) <= FRESH_MS


def _decode(text: str) -> bytes:
    """Strict base64. A blank is a "+" that form decoding swallowed: malformed, not repaired."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise _failure("malformed")


def _failure(reason: str) -> AppError:
    metrics.DECRYPT_FAILURES.inc(reason)
    return AppError(Code.DECRYPT_FAILED, reason=reason)
