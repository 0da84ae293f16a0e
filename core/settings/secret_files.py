"""Secrets that are given as files."""

import os
from pathlib import Path
from typing import Any

from pydantic_settings import EnvSettingsSource

PREFIX = "KAIMEN_"


class SettingsInvalid(Exception):
    """The start is refused; ``faults`` holds one line for each fault, naming the setting and never its value."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class SecretFileSource(EnvSettingsSource):
    """``KAIMEN_X_FILE`` names a file that holds the value of ``KAIMEN_X`` (systemd credentials, Docker secrets)."""

    def __call__(self) -> dict[str, Any]:
        """The settings given as files, by field name."""
        found: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            path = os.environ.get(f"{PREFIX}{name.upper()}_FILE")
            if path:
                value = _read_secret(name, path)
                _, _, complex_ = self.get_field_value(field, name)
                try:
                    found[name] = self.prepare_field_value(name, field, value, self.field_is_complex(field) or complex_)
                except ValueError:
                    raise SettingsInvalid([f"{PREFIX}{name.upper()}_FILE: is not valid JSON"]) from None
        return found


def _read_secret(name: str, path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise SettingsInvalid([f"{PREFIX}{name.upper()}_FILE: cannot be read ({reason})"]) from None
