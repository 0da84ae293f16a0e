"""From a database URL to the database."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from core.clock import Clock
from models.db.base import Database
from models.db.mysql import MySQL
from models.db.sqlite import SQLite


def open_database(url: str, clock: Clock) -> Database:
    """``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``mysql://…``; connects on first use."""
    if url.startswith("sqlite:"):
        return SQLite(sqlite_path(url), clock)
    return MySQL(url, clock)


def sqlite_path(url: str) -> Path:
    """The file behind ``sqlite:///path``."""
    return Path(urlsplit(url).path.removeprefix("/"))


def describe(url: str) -> dict[str, Any]:
    """What may be shown of a database URL: everything but user and password."""
    parts = urlsplit(url)
    return {"kind": parts.scheme, "host": parts.hostname, "port": parts.port, "name": parts.path.lstrip("/")}
