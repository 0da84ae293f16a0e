"""Reads the settings, completes them for development, checks them as a whole."""

import base64
import contextlib
import os
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError

from core.settings.faults import find_faults
from core.settings.secret_files import PREFIX, SettingsInvalid
from core.settings.table import TOML, Settings

DEVELOPMENT_DATA = Path("var")
OF_SCRIPTS = {"KAIMEN_PYTHON", "KAIMEN_TEST_WORKERS"}  # for scripts/, not for us


def load_settings(**overrides: Any) -> Settings:
    """The checked settings; raises ``SettingsInvalid``. ``overrides`` are command-line options and win."""
    try:
        settings = Settings(**{key: value for key, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise SettingsInvalid([_fault_line(fault) for fault in error.errors(include_input=False)]) from None
    except SettingsError as error:
        raise SettingsInvalid([_source_fault(error)]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise SettingsInvalid(["kaimen.toml or .env: is not valid TOML or UTF-8"]) from None
    if settings.env == "development":
        settings = settings.model_copy(update=development_defaults(settings))
    faults = find_faults(settings)
    if faults and (DEVELOPMENT_DATA / "master.key").exists() and not settings.apps:
        faults.append(f"{PREFIX}ENV: set it to development to work on the data of scripts/run, in {DEVELOPMENT_DATA}/")
    if faults:
        raise SettingsInvalid(faults)
    return settings


def development_defaults(settings: Settings) -> dict[str, Any]:
    """What development fills in where nothing is set: SQLite, in-process Redis, a key kept in the data folder."""
    given: dict[str, Any] = {
        "public_url": settings.public_url or f"http://127.0.0.1:{settings.port}",
        "database_url": settings.database_url.get_secret_value() or f"sqlite:///{settings.data_dir}/kaimen.db",
        "redis_url": settings.redis_url.get_secret_value() or "memory://",
    }
    given["audience"] = settings.audience or given["public_url"]
    given["database_url"] = SecretStr(given["database_url"])
    given["redis_url"] = SecretStr(given["redis_url"])
    given["master_keys"] = settings.master_keys or (_development_key(settings.data_dir),)
    return given


def unknown_settings() -> list[str]:
    """Names that look like ours but are not: most often a slip of the pen."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    known |= {f"{name}_FILE" for name in known} | OF_SCRIPTS
    in_toml = tomllib.loads(TOML.read_text("utf-8")) if TOML.exists() else {}
    given = {name for name in os.environ if name.startswith(PREFIX)} | {PREFIX + name.upper() for name in in_toml}
    return sorted(given - known)


def _development_key(data_dir: Path) -> tuple[str, SecretStr]:
    path = data_dir / "master.key"
    if not path.exists():
        _make_key_file(path)
    return "dev", SecretStr(path.read_text().strip())


def _make_key_file(path: Path) -> None:
    """There at once and whole: of two processes that start at a time, one makes it and both read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, made = tempfile.mkstemp(dir=path.parent)  # 0600
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(os.urandom(32)))
    with contextlib.suppress(FileExistsError):
        os.link(made, path)
    Path(made).unlink()


def _fault_line(fault: Any) -> str:
    name, *path = (str(part) for part in fault["loc"])
    where = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in path)
    return f"{PREFIX}{name.upper()}{where}: {fault['msg'].removeprefix('Value error, ')}"


def _source_fault(error: SettingsError) -> str:
    words = str(error).split('"')
    name = words[1] if len(words) > 1 else "settings"
    return f"{PREFIX}{name.upper()}: is not valid JSON"
