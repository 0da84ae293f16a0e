"""The ``devices`` table: what partners bound to users."""

from collections.abc import Sequence
from dataclasses import dataclass

from models import outbox, users
from models.db import Database, Tx, rows_of, text

SELECT = "SELECT partner, device_id, name, bound_at FROM devices WHERE user_id = %s ORDER BY bound_at DESC, id DESC"
SELECT_OWNER = "SELECT user_id FROM devices WHERE partner = %s AND device_id = %s"
INSERT = "INSERT INTO devices (id, user_id, partner, device_id, name, bound_at) VALUES "


@dataclass(frozen=True, slots=True)
class Device:
    """A device by its partner's id; ``bound_at`` in ms."""

    partner: str
    device_id: str
    name: str
    bound_at: int


async def find_devices(database: Database, user_id: str) -> Sequence[Device]:
    """The user's, the newest first."""
    rows = await database.fetch(SELECT, [user_id])
    return [Device(row[0], str(text(row[1])), row[2], row[3]) for row in rows]


async def bind_device(tx: Tx, user: users.User, device: Device) -> bool:
    """Binds a device to the locked user and tells of it; True too if it was bound to that user before, and False if
    it is another's.
    """
    rows = await tx.fetch(SELECT_OWNER, [device.partner, device.device_id])
    if rows:
        return bool(rows[0][0] == user.id)
    row = (outbox.new_id(), user.id, device.partner, device.device_id, device.name, device.bound_at)
    lists, args = rows_of([row])
    await tx.execute(INSERT + lists, args)
    data = {"partner": device.partner, "deviceId": device.device_id}
    await users.note_change(tx, user, "device.bound", data, device.bound_at)
    return True
