"""Where webhooks may lead: the public Internet, and what the settings name."""

import pytest

from app.events.addresses import Allowed, TargetRefused

PRIVATE = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "100.100.100.200", "198.18.0.1", "192.0.2.1", "224.0.0.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1",
    "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "2002:a00:1::", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "nonsense", "",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "8.8.8.8", "119.29.29.29", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_inside_is_refused_however_it_is_written(address: str) -> None:
    assert not Allowed().takes(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_taken(address: str) -> None:
    assert Allowed().takes(address)


def test_the_settings_may_name_networks_and_nothing_beside_them() -> None:
    allowed = Allowed(["10.1.0.0/16", "fd00::/64", "127.0.0.1/32"])
    taken = ["10.1.9.9", "fd00::9", "127.0.0.1", "::ffff:10.1.0.1", "1.1.1.1"]
    refused = ["10.2.0.1", "127.0.0.2", "fd00:0:0:1::1"]
    assert all(map(allowed.takes, taken))
    assert not any(map(allowed.takes, refused))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://hooks.example.com/", "https://"),
        ("ftp://hooks.example.com/", "https://"),
        ("file:///etc/passwd", "malformed"),
        ("https:///path", "malformed"),
        ("//hooks.example.com", "https://"),
        ("https://user:secret@hooks.example.com/", "password"),
        ("https://127.0.0.1/", "private"),
        ("https://[::1]/", "private"),
        ("https://169.254.169.254/latest/meta-data/", "private"),
        ("https://[::ffff:10.0.0.1]/", "private"),
        ("https://hooks.example.com:0/", "malformed"),
        ("https://hooks.example.com:99999/", "malformed"),
        ("https://hooks.example.com/#part", "malformed"),
        ("https://hooks.example.com/a b", "malformed"),
        ("https://hooks.example.com/\r\nX: y", "malformed"),
        ("https://例子.example.com/", "malformed"),
        ("https://hooks.example.com/" + "x" * 2000, "malformed"),
    ],
)
def test_a_url_no_webhook_may_have_is_refused_with_its_reason(url: str, words: str) -> None:
    with pytest.raises(TargetRefused, match=words):
        Allowed().check_url(url)


@pytest.mark.parametrize("url", ["https://hooks.example.com/a?b=c", "https://1.1.1.1:8443/", "https://[2606:4700::1]/"])
def test_a_usual_url_is_taken(url: str) -> None:
    Allowed().check_url(url)
