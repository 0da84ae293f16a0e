"""Register, login, autoLogin: the story of each, in the order in which it happens."""

from dataclasses import replace
from typing import Any

from app.accounts.proof import proven_identity
from app.apps import Apps
from app.auth.exchange import CodeExchange
from app.auth.grants import Client, Grant, Grants
from app.auth.guard import SessionGuard
from app.auth.limits import Limits
from app.auth.password_check import PasswordCheck
from app.auth.tokens import Tokens
from app.commands import AutoLogin, Login, OpenDataFields, Register
from app.crypto.passwords import Passwords
from app.crypto.sealing import BlindIndex, Sealer
from app.users import rules
from app.users.profile import Profiles
from app.wechat.client import WeChatClient
from core.clock import Clock, Deadline
from core.errors import AppError, Code
from core.observe import metrics
from core.settings import Settings
from models import codes
from models.db import Database
from models.refreshes import Refresh, Refreshed, Refreshes
from models.sign_ins import NewAccount, SignedIn

DEVICE_MAX = 255
BAD_CODES = {Code.INVALID_WX_CODE, Code.WX_CODE_USED, Code.WX_USER_BLOCKED}
BAD_REFRESHES = {Code.REFRESH_INVALID, Code.REFRESH_REUSED}


class Auth:
    """The actions of ``POST /api/auth``; each returns the ``data`` of the reply."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        apps: Apps,
        sealer: Sealer,
        index: BlindIndex,
        tokens: Tokens,
        grants: Grants,
        guard: SessionGuard,
        passwords: Passwords,
        exchange: CodeExchange,
        wechat: WeChatClient,
        profiles: Profiles,
        limits: Limits,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._apps = apps
        self._sealer = sealer
        self._index = index
        self._tokens = tokens
        self._passwords = passwords
        self._password_check = PasswordCheck(database, passwords)
        self._grants = grants
        self._guard = guard
        self._exchange = exchange
        self._wechat = wechat
        self._profiles = profiles
        self._limits = limits
        self._refreshes = Refreshes(database)

    async def register(self, command: Register, client: Client) -> dict[str, Any]:
        """A new user by code, by username and password, or both; raises 4001, 4002, 4090, 4091, 4290."""
        account = await self._new_account(command, client)
        if command.code is None:
            grant = Grant(await self._grants.begin(client, "password", account=account, may_exist=False))
            await self._enrich(grant, command, None, self._deadline())
            return self._grants.reply(grant)
        return await self._by_code(command, client, "register", account=account, may_exist=False)

    async def login(self, command: Login, client: Client) -> dict[str, Any]:
        """By code (an unknown user is registered, if the settings allow) or by password.

        Raises 4013, 4034, 4041, 4290, 4291.
        """
        if command.code is not None:
            return await self._by_code(command, client, "login", may_create=self._settings.auto_register)
        async with self._limits.password(command.username or "", client.network):
            user = await self._password_check.get_user(command.username or "", command.password or "")
        grant = Grant(await self._grants.begin(client, "password", user_id=user.id, password_hash=user.password_hash))
        await self._enrich(grant, command, None, self._deadline())
        return self._grants.reply(grant)

    async def auto_login(self, command: AutoLogin, client: Client) -> dict[str, Any]:
        """A refresh token for its successor; raises 4012, and 4014 after revoking the session of a token reused."""
        try:
            done = await self._rotate(command.refresh_token)
        except AppError as error:
            if error.code in BAD_REFRESHES:
                await self._limits.count_bad_refresh(client.network)
            raise
        grant = Grant(SignedIn(done.user, done.session, is_new_user=False))
        await self._enrich(grant, command, None, self._deadline())
        return self._grants.reply(grant)

    async def close(self) -> None:
        """Waits for writes under way."""
        await self._refreshes.close()
        self._passwords.close()

    async def _by_code(
        self,
        command: Register,
        client: Client,
        action: str,
        *,
        account: NewAccount | None = None,
        may_exist: bool = True,
        may_create: bool = True,
    ) -> dict[str, Any]:
        app, code, deadline = self._apps.get_miniprogram(command.appid), command.code or "", self._deadline()

        async def exchange() -> SignedIn:
            await self._limits.check_code(app.appid, client.network)
            session = await self._wechat.code2session(app, code, deadline)
            identity = proven_identity(self._sealer, self._index, app, session)
            return await self._grants.begin(
                client, "wechat", identity, account=account, may_exist=may_exist, may_create=may_create
            )

        purpose = action if account is None else f"{action} {codes.code_key(app.appid, account.username.lower())}"
        try:
            done = await self._exchange.once(app.appid, code, purpose, client.network, exchange)
        except AppError as error:
            if error.code in BAD_CODES:
                self._limits.count_bad_code(client.network)
            raise
        grant = Grant(done.signed_in)
        if not done.joined:
            await self._enrich(grant, command, command.phone_code, deadline)
        return self._grants.reply(grant)

    async def _rotate(self, refresh_token: str) -> Refreshed:
        token = self._tokens.parse_refresh(refresh_token)
        now, ttl_ms = self._clock.now_ms(), self._settings.refresh_ttl_s * 1000
        try:
            return await self._refreshes.write(Refresh(token.session_id, token.generation, token.key_id, now, ttl_ms))
        except AppError as error:
            if error.code is Code.REFRESH_REUSED:
                metrics.REFRESH_REUSED.inc()
                await self._guard.end(token.session_id, "reused")
            raise

    async def _new_account(self, command: Register, client: Client) -> NewAccount | None:
        if command.username is None or command.password is None:
            return None
        username, password = rules.check_username(command.username), rules.check_password(command.password)
        await self._limits.count_registration(client.network)
        return NewAccount(username, await self._passwords.hash(password))

    async def _enrich(self, grant: Grant, command: OpenDataFields, phone_code: str | None, deadline: Deadline) -> None:
        """Profile and phone that came along: the login holds even if one of them fails."""
        claims = grant.claims
        if command.encrypted_data is not None:
            await self._try(grant, self._profiles.fill(claims, None, command))
        if phone_code is not None:
            await self._try(grant, self._profiles.bind_phone_by_code(claims, None, phone_code, deadline))

    async def _try(self, grant: Grant, change: Any) -> None:
        try:
            grant.signed_in = replace(grant.signed_in, user=await change)
        except AppError as error:
            grant.warnings.append(error)

    def _deadline(self) -> Deadline:
        return Deadline.after(self._clock, self._settings.wx_budget_s)
