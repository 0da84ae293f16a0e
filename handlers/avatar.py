"""Avatars: ``/api/user/avatar`` and ``/avatar/{name}``."""

from handlers.base import ApiHandler

BODY_MAX = 512 * 1024
BODY_S = 30.0
YEAR_S = 31_536_000


class UploadHandler(ApiHandler):
    """``/api/user/avatar``."""

    body_max = BODY_MAX
    body_s = BODY_S

    async def post(self) -> None:
        """The picture as it is; its content says what it is, not its Content-Type."""
        claims = await self.authenticate()
        self.reply(await self.kaimen.avatars.upload(claims.sub, self.raw_body()))


class AvatarHandler(ApiHandler):
    """``/avatar/{name}``: never changes, so whoever has it may keep it."""

    async def get(self, name: str) -> None:
        """The picture, of a fixed type, for pages of any site."""
        media_type, data = await self.kaimen.avatars.find(name)
        self.set_header("Content-Type", media_type)
        self.set_header("Cache-Control", f"public, max-age={YEAR_S}, immutable")
        self.set_header("Cross-Origin-Resource-Policy", "cross-origin")
        self.finish(data)
