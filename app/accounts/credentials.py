"""Sets and changes the password of the account that is signed in."""

from typing import Any

from app.accounts.commands import SetPassword
from app.accounts.proof import RecentLogin
from app.auth.grants import Client
from app.auth.limits import Limits
from app.auth.revocation import Revocations
from app.auth.tokens import Claims
from app.crypto.passwords import Passwords
from app.crypto.sealing import Sealer
from app.users import rules
from app.users.views import UserViews
from core.clock import Clock
from core.errors import AppError, Code
from models import credentials, users
from models.credentials import PasswordChange
from models.db import Database
from models.users import User


class Credentials:
    """``/api/user/password``."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sealer: Sealer,
        passwords: Passwords,
        revocations: Revocations,
        limits: Limits,
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._revocations = revocations
        self._limits = limits
        self._recent = RecentLogin(database, clock)
        self._views = UserViews(sealer)

    async def set_password(self, claims: Claims, command: SetPassword, client: Client) -> dict[str, Any]:
        """The user; its other sessions have ended. Raises 4000, 4001, 4002, 4013, 4035, 4090, 4291.

        Without the old password only soon after a WeChat login: the way back from a forgotten one.
        """
        rules.check_password(command.new_password)
        user = users.present((await users.find_users(self._database, [claims.sub])).get(claims.sub))
        username = _username(user, command.username)
        async with self._limits.password(user.username or user.id, client.network):
            verified = await self._prove(claims, user, command.old_password)
        hashed = await self._passwords.hash(command.new_password)
        change = PasswordChange(user.id, username, hashed, verified, claims.sid, client.address, self._clock.now_ms())
        user, ended = await credentials.change_password(self._database, change)
        self._revocations.add(ended, "password")
        return self._views.public(user)

    async def _prove(self, claims: Claims, user: User, old_password: str | None) -> str | None:
        """The hash that the old password was right for; None when a recent WeChat login is the proof."""
        if old_password is None:
            await self._recent.require(claims, "wechat")
            return None
        if not await self._passwords.verify(user.password_hash, old_password):
            raise AppError(Code.WRONG_CREDENTIALS)
        return user.password_hash


def _username(user: User, given: str | None) -> str | None:
    """The name to give a user who has none; raises 4000 without one, or where it is not the user's."""
    if given is not None:
        rules.check_username(given)
    if user.username is None:
        if given is None:
            raise AppError(Code.INVALID_REQUEST, cause="a first password needs a username", field="username")
        return given
    if given is not None and users.username_key(given) != users.username_key(user.username):
        raise AppError(Code.INVALID_REQUEST, cause="a username cannot be changed", field="username")
    return None
