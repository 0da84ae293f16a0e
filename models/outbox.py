"""The ``outbox`` table: what other services will be told, written in the transaction of the change itself."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import uuid_utils

from models.db import Tx, rows_of

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
INSERT = "INSERT INTO outbox (id, user_id, seq, type, data, occurred_at) VALUES "


@dataclass(frozen=True, slots=True)
class Event:
    """One event; ``seq`` counts the user's events, ``data`` holds no secret, ``occurred_at`` is in ms."""

    user_id: str
    seq: int
    type: str
    data: dict[str, Any]
    occurred_at: int


async def insert_events(tx: Tx, events: Sequence[Event]) -> None:
    """Writes events in one statement; the caller holds the lock of each user's row, which orders ``seq``."""
    if events:
        lists, args = rows_of(_row(event) for event in events)
        await tx.execute(INSERT + lists, args)


def dump(data: dict[str, Any]) -> str:
    """The data of an event as it is stored."""
    return _encode(data)


def _row(event: Event) -> tuple[Any, ...]:
    return uuid_utils.uuid7().hex, event.user_id, event.seq, event.type, dump(event.data), event.occurred_at
