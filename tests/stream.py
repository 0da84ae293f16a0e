"""What other services see: the entries of the stream, as a test reads them."""

import asyncio
import json
from typing import Any

from backend import Backend, Store
from models.event_stream import STREAM
from models.kv import Kv
from rows import fetch

Entry = dict[str, Any]


async def read_stream(kv: Kv) -> list[Entry]:
    """All entries in their order; ``data`` parsed, ``seq`` a number, ``subject`` None where there is none."""
    found: list[Entry] = []
    for _, entry in await kv.run("XRANGE", STREAM, "-", "+"):
        typed = {"seq": int(entry["seq"]), "data": json.loads(entry["data"]), "subject": entry["subject"] or None}
        found.append(entry | typed)
    return found


def kv_of(backend: Backend) -> Kv:
    """The Redis of an instance, which for the embedded one lives inside it."""
    return backend.kaimen.health._kv


async def unpublished(store: Store) -> int:
    return int((await fetch(store, "SELECT COUNT(*) FROM outbox WHERE published_at IS NULL"))[0][0])


async def published_stream(backend: Backend, store: Store, within_s: float = 5.0) -> list[Entry]:
    """The stream, once nothing waits for the relay any more."""
    async with asyncio.timeout(within_s):
        while await unpublished(store):
            await asyncio.sleep(0.02)
    return await read_stream(kv_of(backend))
