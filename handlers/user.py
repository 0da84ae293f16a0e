"""``/api/user/…``: the signed-in user."""

from app.commands import BindPhone, Decrypt, UpdateInfo, parse_command
from app.users.open_data import without_identity
from core.clock import Deadline
from core.errors import AppError, Code
from handlers.base import ApiHandler


class InfoHandler(ApiHandler):
    """``/api/user/info``."""

    async def get(self) -> None:
        """The user's own profile; somebody else's is 4030."""
        claims = await self.authenticate()
        asked = self.get_query_argument("userId", claims.sub)
        if asked != claims.sub and not await self.kaimen.profiles.is_alias(asked, claims.sub):
            raise AppError(Code.FORBIDDEN)
        self.reply(await self.kaimen.profiles.get(claims.sub))

    async def patch(self) -> None:
        """Nickname, avatar, e-mail."""
        claims = await self.authenticate()
        command = parse_command(UpdateInfo, self.json())
        deadline = Deadline.after(self.kaimen.clock, self.kaimen.settings.wx_budget_s)
        self.reply(await self.kaimen.profiles.update(claims, command, deadline))

    put = patch  # wx.request knows no PATCH


class PhoneHandler(ApiHandler):
    """``/api/user/phone``."""

    async def post(self) -> None:
        """Binds the phone that WeChat vouches for."""
        claims = await self.authenticate()
        command = parse_command(BindPhone, self.json())
        deadline = Deadline.after(self.kaimen.clock, self.kaimen.settings.wx_budget_s)
        self.reply(await self.kaimen.profiles.bind_phone(claims, command, deadline))


class DecryptHandler(ApiHandler):
    """``/api/user/decrypt``."""

    async def post(self) -> None:
        """The open data, without what identifies the user to WeChat."""
        claims = await self.authenticate()
        given = parse_command(Decrypt, self.json())
        opened = await self.kaimen.open_data.open(
            claims, given.appid, given.encrypted_data, given.iv, given.raw_data, given.signature
        )
        self.reply(without_identity(opened.data))
