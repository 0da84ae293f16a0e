"""``POST /api/auth`` and ``/api/auth/logout``."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from app.auth.grants import Client
from app.auth.sign_in import Auth
from app.commands import AutoLogin, Command, Login, Logout, Register, parse_command
from core.errors import AppError, Code
from core.observe import metrics
from handlers.base import ApiHandler


class Action(NamedTuple):
    """What an ``action`` takes and what it runs."""

    model: type[Command]
    run: Callable[[Auth, Any, Client], Awaitable[dict[str, Any]]]


ACTIONS = {
    "register": Action(Register, Auth.register),
    "login": Action(Login, Auth.login),
    "autoLogin": Action(AutoLogin, Auth.auto_login),
}


class AuthHandler(ApiHandler):
    """Register, login, autoLogin."""

    async def post(self) -> None:
        """The action named in the body."""
        body = self.json()
        name = body.pop("action", None)
        action = ACTIONS.get(name) if isinstance(name, str) else None
        if action is None:
            raise AppError(Code.INVALID_REQUEST, field="action")
        command: Any = parse_command(action.model, body)
        if command.cookie:
            self.browsers.check_origin(self.request.headers)
        try:
            data = await action.run(self.kaimen.auth, command, self.client)
        except AppError as error:
            metrics.LOGINS.inc(str(name), _method_of(command), error.code.error)
            self.kaimen.trail.refused(str(name), error, self.client.address, self.client.device)
            raise
        metrics.LOGINS.inc(str(name), _method_of(command), "new" if data["isNewUser"] else "ok")
        self.subject = data["user"]["id"], data["sessionId"]
        self.reply(await self.sign_in_browser(data) if command.cookie else data)


def _method_of(command: Command) -> str:
    if isinstance(command, AutoLogin):
        return "refresh"
    return "wechat" if getattr(command, "code", None) else "password"


class LogoutHandler(ApiHandler):
    """Logout, here or everywhere."""

    async def post(self) -> None:
        """Ends the session of the token, or all."""
        claims = await self.authenticate()
        await self.kaimen.guard.logout(claims, parse_command(Logout, self.json()))
        self.forget_browser()
        self.reply({})
