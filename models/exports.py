"""Everything stored about a user, as rows by column name; no session_key, no password hash, no key."""

from typing import Any, NamedTuple

from models import users
from models.db import Database, Tx, marks

Record = dict[str, Any]


class Part(NamedTuple):
    """One table: its columns, which of them names the user, and the order."""

    table: str
    columns: tuple[str, ...]
    order: str
    of: str = "user_id"


USERS = Part(
    "users",
    (
        "id",
        "username",
        "nickname",
        "avatar_url",
        "phone_sealed",
        "email",
        "external_id",
        "roles",
        "disabled_at",
        "merged_into",
        "password_changed_at",
        "created_at",
        "updated_at",
        "last_login_at",
    ),
    "created_at",
    of="id",
)
PARTS = {
    "identities": Part("identities", ("appid", "openid", "unionid", "kind", "bound_at"), "bound_at"),
    "unionids": Part("unionids", ("unionid", "bound_at"), "bound_at"),
    "sessions": Part(
        "sessions",
        (
            "id",
            "appid",
            "openid",
            "auth_method",
            "auth_at",
            "created_at",
            "rotated_at",
            "expires_at",
            "ends_at",
            "ended_at",
            "end_reason",
            "device",
            "address",
        ),
        "created_at",
    ),
    "consents": Part("consents", ("policy", "version", "accepted", "at", "address"), "at"),
    "avatars": Part("avatars", ("name", "created_at"), "created_at"),
    "devices": Part("devices", ("partner", "device_id", "name", "bound_at"), "bound_at"),
    "events": Part("outbox", ("id", "user_id", "seq", "type", "data", "occurred_at"), "occurred_at"),
    "audit": Part("audit", ("at", "action", "actor", "address", "detail"), "at"),
}


async def find_everything(database: Database, user_id: str) -> tuple[list[Record], dict[str, list[Record]]]:
    """The rows of the user and its aliases (the user first; none if it is gone), and the other tables by name."""

    async def work(tx: Tx) -> tuple[list[Record], dict[str, list[Record]]]:
        group = await users.find_group(tx, user_id)
        if not group:
            return [], {}
        found = {row["id"]: row for row in await _find(tx, USERS, group)}
        return [found[one] for one in group], {name: await _find(tx, part, group) for name, part in PARTS.items()}

    return await database.run(work)


async def _find(tx: Tx, part: Part, ids: list[str]) -> list[Record]:
    sql = f"SELECT {', '.join(part.columns)} FROM {part.table} WHERE {part.of} IN ({marks(len(ids))}) "
    rows = await tx.fetch(f"{sql} ORDER BY {part.order}", ids)
    return [dict(zip(part.columns, map(_decoded, row), strict=True)) for row in rows]


def _decoded(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value  # exactly compared columns are bytes in MySQL
