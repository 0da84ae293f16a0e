"""The ``services`` table: who may ask about tokens and users."""

import json
from dataclasses import dataclass, field

from models import audit
from models.db import Database, DuplicateKey, Row, Tx, rows_of

COLUMNS = "id, name, sealed, scopes, created_at"
SELECT = f"SELECT {COLUMNS} FROM services ORDER BY name"
INSERT = f"INSERT INTO services ({COLUMNS}) VALUES "
DELETE = "DELETE FROM services WHERE name = %s"


@dataclass(frozen=True, slots=True)
class Service:
    """A row; ``sealed`` holds the secret, ``created_at`` is in ms."""

    id: str
    name: str
    sealed: str = field(repr=False)
    scopes: tuple[str, ...]
    created_at: int


async def find_services(database: Database) -> list[Service]:
    """All of them, by name; there are few."""
    return [_service(row) for row in await database.fetch(SELECT)]


async def insert_service(database: Database, service: Service, actor: str) -> bool:
    """Stores it, with its line in the audit; False if the name is taken."""

    async def work(tx: Tx) -> None:
        row = (service.id, service.name, service.sealed, json.dumps(service.scopes), service.created_at)
        lists, args = rows_of([row])
        await tx.execute(INSERT + lists, args)
        detail = {"service": service.name, "scopes": service.scopes}
        await audit.insert_entries(tx, [audit.Entry(service.created_at, "service.added", actor, detail=detail)])

    try:
        await database.run(work)
    except DuplicateKey:
        return False
    return True


async def delete_service(database: Database, name: str, actor: str, at: int) -> bool:
    """Removes it, with its line in the audit; False if there is none of that name."""

    async def work(tx: Tx) -> bool:
        if not await tx.execute(DELETE, [name]):
            return False
        await audit.insert_entries(tx, [audit.Entry(at, "service.removed", actor, detail={"service": name})])
        return True

    return await database.run(work)


def _service(row: Row) -> Service:
    return Service(row[0], row[1], row[2], tuple(json.loads(row[3])), row[4])
