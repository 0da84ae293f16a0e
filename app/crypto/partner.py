"""Signatures of partners: RSA-SHA256 (PKCS #1 v1.5) over the parameters.

Signed are all parameters but ``sign``, sorted by name, as ``name=value`` joined with ``&``, in UTF-8. So that no two
sets of parameters have the same text, names are plain words and no value holds ``&``.
"""

import base64
import binascii
import re
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)


def text_of(parameters: Mapping[str, str]) -> str | None:
    """What is signed; None if it would not be unambiguous."""
    signed = {name: value for name, value in parameters.items() if name != "sign"}
    if not all(NAME.fullmatch(name) and "&" not in value for name, value in signed.items()):
        return None
    return "&".join(f"{name}={signed[name]}" for name in sorted(signed))


def is_signed(key: RSAPublicKey, text: str, signature: str) -> bool:
    """Whether the base64 signature is the key's over the text."""
    try:
        key.verify(base64.b64decode(signature, validate=True), text.encode(), PKCS1v15(), SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
