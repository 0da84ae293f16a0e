"""Who calls: the client's address, believed from a proxy only if the settings name it."""

import ipaddress
from functools import lru_cache

from tornado.httputil import HTTPServerRequest

from app.auth.grants import Client

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def client_of(request: HTTPServerRequest, trusted: tuple[str, ...]) -> Client:
    """The client behind a request. ``trusted`` are networks or ``unix``, as in ``KAIMEN_TRUSTED_PROXIES``."""
    peer = request.remote_ip or ""
    forwarded = request.headers.get("X-Forwarded-For", "") if trusted else ""
    address = find_address(peer, forwarded, trusted)
    return Client(address, network_of(address), request.headers.get("User-Agent", ""))


def is_from_proxy(request: HTTPServerRequest, trusted: tuple[str, ...]) -> bool:
    """Whether the settings name whoever is at the other end of the connection."""
    return _is_trusted(request.remote_ip or "", trusted)


def find_address(peer: str, forwarded: str, trusted: tuple[str, ...]) -> str:
    """The right-most address of ``X-Forwarded-For`` that no trusted proxy wrote about itself."""
    address = peer
    for hop in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
        if not _is_trusted(address, trusted) or _parse(hop) is None:
            break
        address = hop
    parsed = _parse(address)
    return str(parsed) if parsed else address


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """What counts as the same client: an IPv4 address, or the /64 of an IPv6 one."""
    parsed = _parse(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address


@lru_cache(maxsize=4096)
def _is_trusted(address: str, trusted: tuple[str, ...]) -> bool:
    parsed = _parse(address)
    if parsed is None or address == "0.0.0.0":  # noqa: S104 - how Tornado names the peer of a Unix socket
        return "unix" in trusted
    return any(parsed in ipaddress.ip_network(network) for network in trusted if network != "unix")


@lru_cache(maxsize=4096)
def _parse(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0] if text.isascii() else "")
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
