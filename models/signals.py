"""Redis pub/sub: what one process tells the others at once. Lost messages are no harm, the database has the truth.

``kaimen:revocations``  ``{"ids": [session id, …], "reason": "…"}``
``kaimen:updates``      a user id
``kaimen:outbox``       nothing: there are new events for who relays them
"""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from models.kv import Kv

REVOCATIONS = "kaimen:revocations"
UPDATES = "kaimen:updates"
OUTBOX = "kaimen:outbox"
ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
REASON = re.compile(r"[a-z_]{0,16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Revoked:
    """These sessions have ended, for this reason."""

    session_ids: list[str]
    reason: str


@dataclass(frozen=True, slots=True)
class Updated:
    """Something about this user has changed."""

    user_id: str


@dataclass(frozen=True, slots=True)
class Written:
    """Events were written."""


Signal = Revoked | Updated | Written


async def publish_written(kv: Kv) -> None:
    """Tells the process that relays; raises 5002."""
    await kv.run("PUBLISH", OUTBOX, "")


async def publish_revoked(kv: Kv, session_ids: list[str], reason: str) -> None:
    """Tells every process; raises 5002."""
    await kv.run("PUBLISH", REVOCATIONS, json.dumps({"ids": session_ids, "reason": reason}))


async def publish_updated(kv: Kv, user_id: str) -> None:
    """Tells every process; raises 5002."""
    await kv.run("PUBLISH", UPDATES, user_id)


async def listen(kv: Kv) -> AsyncIterator[Signal]:
    """What is told from now on; ends with 5002. Whatever is not of our form is passed over."""
    async for channel, message in kv.listen(REVOCATIONS, UPDATES, OUTBOX):
        signal = parse_signal(channel, message)
        if signal is not None:
            yield signal


def parse_signal(channel: str, message: str) -> Signal | None:
    """The signal in a message, or None."""
    if channel == OUTBOX:
        return Written()
    if channel == UPDATES:
        return Updated(message) if ID.fullmatch(message) else None
    try:
        said: Any = json.loads(message) if channel == REVOCATIONS else None
        ids, reason = [one for one in said["ids"] if ID.fullmatch(one)], said["reason"]
        return Revoked(ids, reason) if REASON.fullmatch(reason) else None
    except (ValueError, KeyError, TypeError):
        return None
