"""``/api/user/devices``."""

from handlers.base import ApiHandler


class DevicesHandler(ApiHandler):
    """``GET /api/user/devices``."""

    async def get(self) -> None:
        """The devices that partners bound to the user."""
        claims = await self.authenticate()
        self.reply(await self.kaimen.devices.of(claims.sub))
