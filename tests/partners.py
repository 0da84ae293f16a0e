"""A partner, as it calls Kaimen: signs with its own key, written after the documentation and not after the code."""

import base64
import json
import secrets
import time
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from backend import Backend, Reply

KEY = rsa.generate_private_key(65537, 2048)
PUBLIC = (
    KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
)
SETTING = [{"name": "acme", "publicKey": PUBLIC}]
FORM = "application/x-www-form-urlencoded"


def signed(key: rsa.RSAPrivateKey = KEY, **parameters: Any) -> dict[str, Any]:
    """The parameters with a fresh timestamp and nonce unless given, and ``sign``."""
    given = {"timestamp": str(int(time.time())), "nonce": secrets.token_hex(8), **parameters}
    text = "&".join(f"{name}={given[name]}" for name in sorted(given))
    signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return {**given, "sign": base64.b64encode(signature).decode()}


async def send(backend: Backend, parameters: dict[str, Any], *, form: bool = False, name: str = "acme") -> Reply:
    """As JSON or as a form."""
    body = urlencode(parameters) if form else json.dumps(parameters)
    content_type = FORM if form else "application/json"
    return await backend.call("POST", f"/callback/partner/{name}", body, Content_Type=content_type)
