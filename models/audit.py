"""The ``audit`` table: who did what to whom, written in the transaction of the deed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import uuid_utils

from models.db import Tx, rows_of

INSERT = "INSERT INTO audit (id, at, action, actor, user_id, address, detail) VALUES "


@dataclass(frozen=True, slots=True)
class Entry:
    """One deed. ``at`` in ms; ``actor`` is ``user:<id>``, ``service:<name>``, ``cli:<system user>``, ``system`` or
    ``anonymous`` (a refused sign-in);
    ``detail`` becomes JSON and holds no secret, openid, phone or name.
    """

    at: int
    action: str
    actor: str
    user_id: str | None = None
    address: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


async def insert_entries(tx: Tx, entries: Sequence[Entry]) -> None:
    """Writes entries in one statement."""
    if entries:
        lists, args = rows_of(_row(entry) for entry in entries)
        await tx.execute(INSERT + lists, args)


def _row(entry: Entry) -> tuple[Any, ...]:
    detail = json.dumps(entry.detail, ensure_ascii=False, separators=(",", ":"))
    return uuid_utils.uuid7().hex, entry.at, entry.action, entry.actor, entry.user_id, entry.address, detail
