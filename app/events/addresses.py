"""Where webhooks may lead: never into our own network, unless the settings name it."""

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
NAT64 = ipaddress.ip_network("64:ff9b::/96")
URL_MAX = 2000


class TargetRefused(Exception):
    """A URL no webhook may have; the message says why."""


class Allowed:
    """The public Internet, and the networks of ``KAIMEN_WEBHOOK_NETWORKS``."""

    def __init__(self, networks: Sequence[str] = (), *, plain: bool = False) -> None:
        self._networks: list[Network] = [ipaddress.ip_network(one) for one in networks]
        self._schemes = {"https", "http"} if plain else {"https"}

    def takes(self, address: str) -> bool:
        """Whether a connection to this IP address may be made."""
        try:
            found = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
        except ValueError:
            return False
        listed = any(found in network for network in self._networks if network.version == found.version)
        return listed or (found.is_global and not found.is_multicast)

    def check_url(self, url: str) -> None:
        """Raises ``TargetRefused``. A host's name is resolved, and its address checked, at each connection."""
        try:
            parts = urlsplit(url)
            known = parts.port != 0 and url.isascii() and url.isprintable() and " " not in url
        except ValueError:
            known = False
        if not known or len(url) > URL_MAX or not parts.hostname or parts.fragment:
            raise TargetRefused("the URL is malformed")
        if parts.scheme not in self._schemes:
            raise TargetRefused("a webhook's URL begins with https://")
        if parts.username or parts.password:
            raise TargetRefused("a URL must not hold a password: the signature says who calls")
        if _is_address(parts.hostname) and not self.takes(parts.hostname):
            raise TargetRefused("the address is private; KAIMEN_WEBHOOK_NETWORKS says which of those are allowed")


def _unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that leads to it: mapped, 6to4, Teredo, NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    teredo = address.teredo[1] if address.teredo else None
    nat64 = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else None
    return address.ipv4_mapped or address.sixtofour or teredo or nat64 or address


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
