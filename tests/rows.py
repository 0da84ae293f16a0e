"""A look into the database of a test, past the services."""

import json
from typing import Any

from backend import Store
from core.clock import Clock
from models import migrations
from models.db import open_database

TABLES = (
    "users",
    "identities",
    "unionids",
    "sessions",
    "revocations",
    "outbox",
    "signing_keys",
    "audit",
    "consents",
    "merges",
    "services",
    "leases",
    "notes",
    "inbox",
    "webhooks",
    "deliveries",
    "avatars",
    "devices",
)


async def migrate(url: str) -> None:
    """Make all tables."""
    database = open_database(url, Clock())
    await migrations.migrate(database, Clock())
    await database.close()


async def fetch(store: Store, sql: str, *args: Any) -> list[tuple[Any, ...]]:
    """The rows of a SELECT, bytes as text."""
    database = open_database(store.database_url, Clock())
    rows = await database.fetch(sql, args)
    await database.close()
    return [tuple(value.decode() if isinstance(value, bytes) else value for value in row) for row in rows]


async def execute(store: Store, sql: str, *args: Any) -> None:
    """One write."""
    database = open_database(store.database_url, Clock())
    await database.run(lambda tx: tx.execute(sql, args))
    await database.close()


async def age_logins(store: Store) -> None:
    """As if every login had been 5 minutes and a second ago, and only refreshed since."""
    await execute(store, "UPDATE sessions SET auth_at = auth_at - 301000")


async def events_of(store: Store, user_id: str) -> list[tuple[int, str, dict[str, Any]]]:
    """(seq, type, data) of the user's events in order."""
    sql = "SELECT seq, type, data FROM outbox WHERE user_id = %s ORDER BY seq"
    return [(seq, kind, json.loads(data)) for seq, kind, data in await fetch(store, sql, user_id)]
