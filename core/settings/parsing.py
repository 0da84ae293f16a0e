"""One value of a setting, from text; each raises ``ValueError`` that says what is wanted and never the value."""

import base64
import binascii
import ipaddress
import re
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+", re.ASCII)
DEFAULT_PORTS = {"http": 80, "https": 443}
RETAINED = ("audit", "sessions", "outbox", "callbacks")
DAYS_MAX = 36500


def split(value: Any) -> list[Any]:
    """The items of a list that may be text separated by commas."""
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else list(value or ())


def parse_proxy(item: str) -> str:
    """``unix``, or an address or network as ``ipaddress`` writes it."""
    try:
        return item if item == "unix" else str(ipaddress.ip_network(item))
    except ValueError:
        raise ValueError("must be addresses, networks or unix") from None


def parse_network(item: str) -> str:
    """A network, or an address as a network of one."""
    try:
        return str(ipaddress.ip_network(item))
    except ValueError:
        raise ValueError("must be addresses or networks, such as 10.0.0.0/8") from None


def parse_origin(item: str) -> str:
    """RFC 6454 §6.2: scheme and host in lower case, the port only if it is not the scheme's own."""
    try:
        parts = urlsplit(item)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("must be origins, such as https://www.example.com") from None
    extra = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme not in {"http", "https"} or not HOST.fullmatch(host) or extra:
        raise ValueError("must be origins, such as https://www.example.com, without wildcards")
    named = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{named}" + (f":{port}" if port and port != DEFAULT_PORTS[parts.scheme] else "")


def parse_master_key(item: Any) -> tuple[str, str]:
    """``id:base64`` of 32 random bytes, as (id, base64)."""
    key_id, _, encoded = item.partition(":") if isinstance(item, str) else item
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a key must be id:base64") from None
    if not key_id.isalnum() or len(key) != 32 or len(set(key)) < 8:
        raise ValueError("a key must be id:base64 of 32 random bytes, its id letters and digits")
    return key_id, encoded


def is_certificate(text: str) -> bool:
    """Whether the PEM holds a certificate, not a bare key."""
    return text.strip().startswith("-----BEGIN CERTIFICATE-----")


def serial_of(text: str) -> int:
    """The serial of a PEM certificate."""
    return load_pem_x509_certificate(text.strip().encode()).serial_number


def parse_rsa_key(text: str) -> RSAPublicKey:
    """The RSA key of a PEM public key or certificate, 2048 bits at least."""
    try:
        pem = text.strip().encode()
        key = load_pem_x509_certificate(pem).public_key() if is_certificate(text) else load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("must be a public key or a certificate in PEM") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < 2048:
        raise ValueError("must be an RSA key of 2048 bits at least")
    return key


def parse_retention(value: str) -> dict[str, int]:
    """``audit=190,sessions=30`` as days by name."""
    found = {}
    for item in split(value):
        name, _, days = item.partition("=")
        if name not in RETAINED or not days.isascii() or not days.isdigit() or not 1 <= int(days[:6]) <= DAYS_MAX:
            raise ValueError(f"must be name=days, separated by commas; names: {', '.join(RETAINED)}; at least 1 day")
        found[name] = int(days)
    return found


def is_token_url(url: str) -> bool:
    """Whether it is another deployment's access-token call, with service credentials."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return known and bool(parts.username and parts.password) and parts.path.endswith("/access-token")
