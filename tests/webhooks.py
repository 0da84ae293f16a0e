"""Webhooks of a test: added as an operator does, received by the simulator's sinks."""

import asyncio
from collections.abc import Callable
from typing import Any

from app.events.registry import WebhookRegistry
from backend import Backend
from cli.compose import allowed_targets, make_sealer
from models.db import open_database
from simulator.sinks import Received

NETWORKS = "127.0.0.1"


async def add_webhook(backend: Backend, name: str, *types: str, **sink: Any) -> str:
    """Adds one that leads to the sink of that name; the sink checks the secret unless it is told otherwise."""
    settings = backend.kaimen.settings
    database = open_database(settings.database_url.get_secret_value(), backend.clock)
    registry = WebhookRegistry(database, make_sealer(settings), backend.clock, allowed_targets(settings))
    secret = await registry.add(name, f"{backend.simulator.url}/sink/{name}", types, "test")
    await database.close()
    backend.simulator.sinks.set_up(name, **{"secret": secret, **sink})
    return secret


def received(backend: Backend, name: str, *, taken: bool = True) -> list[Received]:
    """What the sink got, or of that what it took."""
    found = list(backend.simulator.sinks.get(name).received)
    return [one for one in found if one.status in (200, 204)] if taken else found


async def until(done: Callable[[], Any], within_s: float = 12.0) -> None:
    async with asyncio.timeout(within_s):
        while not done():
            await asyncio.sleep(0.02)


def seqs(entries: list[Received], user_id: str | None = None) -> list[int]:
    """The numbers of a user's events as they came."""
    return [one.event["seq"] for one in entries if user_id in (None, one.event["subject"])]
