"""Whose address it is, and whom we believe."""

import pytest

from handlers.client import find_address, network_of

PROXIES = ("127.0.0.1/32", "10.0.0.0/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "address"),
    [
        ("203.0.113.1", "", PROXIES, "203.0.113.1"),
        ("203.0.113.1", "198.51.100.9", PROXIES, "203.0.113.1"),
        ("127.0.0.1", "198.51.100.9", (), "127.0.0.1"),
        ("127.0.0.1", "198.51.100.9", PROXIES, "198.51.100.9"),
        ("127.0.0.1", "6.6.6.6, 198.51.100.9", PROXIES, "198.51.100.9"),
        ("127.0.0.1", "198.51.100.9, 10.1.2.3", PROXIES, "198.51.100.9"),
        ("127.0.0.1", "nonsense", PROXIES, "127.0.0.1"),
        ("127.0.0.1", "6.6.6.6, nonsense", PROXIES, "127.0.0.1"),
        ("127.0.0.1", "::ffff:198.51.100.9", PROXIES, "198.51.100.9"),
        ("0.0.0.0", "198.51.100.9", ("unix",), "198.51.100.9"),
        ("0.0.0.0", "198.51.100.9", PROXIES, "0.0.0.0"),
    ],
)
def test_the_nearest_address_no_trusted_proxy_vouches_for_is_the_client(
    peer: str, forwarded: str, trusted: tuple[str, ...], address: str
) -> None:
    assert find_address(peer, forwarded, trusted) == address


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.1", "203.0.113.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::9", "2001:db8::/64"),
        ("", ""),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_64(address: str, network: str) -> None:
    assert network_of(address) == network
