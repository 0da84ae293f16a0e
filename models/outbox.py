"""The ``outbox`` table: what other services will be told, written in the transaction of the change itself."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import uuid_utils

from models.db import Tx, rows_of

INSERT = "INSERT INTO outbox (id, user_id, seq, type, data, occurred_at) VALUES "
NO_USER = 0  # the seq of an event that concerns nobody known; its own id stands where the user's would


@dataclass(frozen=True, slots=True)
class Event:
    """One event; ``seq`` counts the user's events from 1, ``data`` holds no secret, ``occurred_at`` is in ms.

    Without a user (None) it is in no order with any other, and its ``seq`` is ``NO_USER``.
    """

    user_id: str | None
    seq: int
    type: str
    data: dict[str, Any]
    occurred_at: int


async def insert_events(tx: Tx, events: Sequence[Event]) -> None:
    """Writes events in one statement; the caller holds the lock of each user's row, which orders ``seq``."""
    if events:
        lists, args = rows_of(_row(event) for event in events)
        await tx.execute(INSERT + lists, args)
        tx.has_events = True


def new_id() -> str:
    """The id of a new row."""
    return uuid_utils.uuid7().hex


def public_names(columns: Iterable[str]) -> list[str]:
    """Columns as the API names them, such as ``avatarUrl``, in order."""
    return sorted(_camel(column) for column in columns)


def dump(data: dict[str, Any]) -> str:
    """The data of an event as it is stored."""
    return orjson.dumps(data).decode()


def _camel(column: str) -> str:
    first, *rest = column.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _row(event: Event) -> tuple[Any, ...]:
    event_id = new_id()
    user_id = event_id if event.user_id is None else event.user_id
    return event_id, user_id, event.seq, event.type, dump(event.data), event.occurred_at
