"""``/api/user`` and below: what an account is reached by, consent, export, deletion."""

from app.accounts.commands import Bind, GiveConsent, SetPassword, Unbind
from app.commands import Command, parse_command
from core.clock import Deadline
from handlers.base import ApiHandler


class AccountHandler(ApiHandler):
    """``/api/user``."""

    async def delete(self) -> None:
        """Deletes the account for good."""
        claims = await self.authenticate()
        parse_command(Command, self.json())
        await self.kaimen.privacy.delete(claims)
        self.reply({})


class BindHandler(ApiHandler):
    """``/api/user/bind``."""

    async def post(self) -> None:
        """Binds the WeChat user behind a code."""
        claims = await self.authenticate()
        command = parse_command(Bind, self.json())
        deadline = Deadline.after(self.kaimen.clock, self.kaimen.settings.wx_budget_s)
        self.reply(await self.kaimen.bindings.bind(claims, command, self.client.address, deadline))

    async def delete(self) -> None:
        """Takes the binding of an app away."""
        claims = await self.authenticate()
        command = parse_command(Unbind, self.json())
        self.reply(await self.kaimen.bindings.unbind(claims, command, self.client.address))


class PasswordHandler(ApiHandler):
    """``/api/user/password``."""

    async def post(self) -> None:
        """Sets or changes the password."""
        claims = await self.authenticate()
        command = parse_command(SetPassword, self.json())
        self.reply(await self.kaimen.credentials.set_password(claims, command, self.client))


class ConsentHandler(ApiHandler):
    """``/api/user/consent``."""

    async def post(self) -> None:
        """Keeps a word on a policy."""
        claims = await self.authenticate()
        command = parse_command(GiveConsent, self.json())
        self.reply(await self.kaimen.privacy.consent(claims, command, self.client.address))


class ExportHandler(ApiHandler):
    """``/api/user/export``."""

    async def get(self) -> None:
        """Everything stored about the user."""
        self.reply(await self.kaimen.privacy.export(await self.authenticate()))
