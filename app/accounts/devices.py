"""Devices that partners bound to a user."""

from typing import Any

from app.users.views import rfc3339
from models import devices
from models.db import Database


class Devices:
    """``GET /api/user/devices``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, user_id: str) -> dict[str, Any]:
        """``{devices: [{partner, deviceId, name, boundAt}]}``, the newest first."""
        return {
            "devices": [
                {
                    "partner": one.partner,
                    "deviceId": one.device_id,
                    "name": one.name,
                    "boundAt": rfc3339(one.bound_at),
                }
                for one in await devices.find_devices(self._database, user_id)
            ]
        }
