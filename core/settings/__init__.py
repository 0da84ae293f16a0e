"""The settings: read once at the start and checked before anything else starts.

Read, the earlier winning: environment (``KAIMEN_PORT``), secret files (``KAIMEN_MASTER_KEYS_FILE=/path``),
``.env``, ``kaimen.toml`` (``port = 8000``). Values are never part of a message: they may be secrets.
"""

from core.settings.loading import load_settings, unknown_settings
from core.settings.secret_files import PREFIX, SettingsInvalid
from core.settings.table import App, Merchant, Partner, Settings

__all__ = ["PREFIX", "App", "Merchant", "Partner", "Settings", "SettingsInvalid", "load_settings", "unknown_settings"]
