"""Regions of addresses, from a file made for the test."""

from pathlib import Path

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from app.scan.regions import Regions
from core.settings import SettingsInvalid

SHENZHEN = {
    "country": {"names": {"en": "China", "zh-CN": "中国"}},
    "subdivisions": [{"names": {"en": "Guangdong", "zh-CN": "广东"}}],
    "city": {"names": {"en": "Shenzhen", "zh-CN": "深圳"}},
}
BEIJING = {"subdivisions": [{"names": {"en": "Beijing"}}], "city": {"names": {"en": "Beijing"}}}


@pytest.fixture(scope="module")
def geoip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    writer = MMDBWriter(6, "GeoIP2-City", languages=["zh-CN", "en"], ipv4_compatible=True)
    writer.insert_network(IPSet(["203.0.113.0/24", "2001:db8::/32"]), SHENZHEN)
    writer.insert_network(IPSet(["198.51.100.0/24"]), BEIJING)
    writer.insert_network(IPSet(["192.0.2.0/24"]), {"country": {"names": {"en": "France"}}})
    path = tmp_path_factory.mktemp("geoip") / "city.mmdb"
    writer.to_db_file(str(path))
    return path


@pytest.mark.parametrize(
    ("address", "language", "region"),
    [
        ("203.0.113.7", "zh", "广东 深圳"),
        ("203.0.113.7", "en", "Shenzhen, Guangdong"),
        ("2001:db8::1", "zh", "广东 深圳"),
        ("198.51.100.1", "zh", "Beijing"),
        ("192.0.2.1", "en", "France"),
        ("127.0.0.1", "zh", None),
        ("not an address", "zh", None),
        ("", "en", None),
    ],
)
def test_an_address_is_named_in_the_language_of_the_phone(
    geoip_file: Path, address: str, language: str, region: str | None
) -> None:
    regions = Regions(geoip_file)
    assert regions.find(address, language) == region
    regions.close()


def test_without_a_file_nothing_is_said() -> None:
    assert Regions(None).find("203.0.113.7", "zh") is None


def test_a_file_of_another_form_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "city.mmdb").write_text("not a database")
    for path in (tmp_path / "city.mmdb", tmp_path / "missing.mmdb"):
        with pytest.raises(SettingsInvalid):
            Regions(path)
