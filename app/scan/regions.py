"""Where an address is, from a MaxMind-format file of the operator's; without one nothing is said."""

import ipaddress
from pathlib import Path
from typing import Any

import maxminddb

from core.settings import SettingsInvalid

NAMES = {"zh": ("zh-CN", "en"), "en": ("en", "zh-CN")}


class Regions:
    """``await``-free: the file is mapped into memory."""

    def __init__(self, path: Path | None) -> None:
        """Raises ``SettingsInvalid`` for a file that cannot be read."""
        self._reader: maxminddb.Reader | None = None
        if path:
            try:
                self._reader = maxminddb.open_database(path)
            except (OSError, maxminddb.InvalidDatabaseError, ValueError):
                raise SettingsInvalid(["KAIMEN_GEOIP_FILE: is not a MaxMind-format file that can be read"]) from None

    def close(self) -> None:
        """Lets go of the file."""
        if self._reader:
            self._reader.close()

    def find(self, address: str, language: str) -> str | None:
        """Such as ``广东 深圳`` or ``Shenzhen, Guangdong``; None for what the file does not know."""
        if self._reader is None:
            return None
        try:
            record: Any = self._reader.get(ipaddress.ip_address(address))
        except (ValueError, maxminddb.InvalidDatabaseError):
            return None
        return _describe(record, language) if isinstance(record, dict) else None


def _describe(record: dict[str, Any], language: str) -> str | None:
    """Region and city, or the country where neither is known; a name only once (as for Beijing)."""
    subdivisions = record.get("subdivisions") or [{}]
    parts = [_name(subdivisions[0], language), _name(record.get("city"), language)]
    named = list(dict.fromkeys(part for part in parts if part)) or [_name(record.get("country"), language)]
    return (" ".join(named) if language == "zh" else ", ".join(reversed(named))) or None


def _name(place: Any, language: str) -> str:
    names = place.get("names", {}) if isinstance(place, dict) else {}
    return next((str(names[one]) for one in NAMES[language] if names.get(one)), "")
