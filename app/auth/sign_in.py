"""Register, login, autoLogin, logout: the story of each, in the order in which it happens."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from app.accounts.proof import proven_identity
from app.apps import Apps
from app.auth.devices import device_mark
from app.auth.exchange import CodeExchange
from app.auth.limits import Limits
from app.auth.password_check import PasswordCheck
from app.auth.revocation import Revocations
from app.auth.tokens import Claims, Tokens
from app.commands import AutoLogin, Login, Logout, OpenDataFields, Register
from app.crypto.passwords import Passwords
from app.crypto.sealing import BlindIndex, Sealer
from app.users import rules
from app.users.profile import Profiles
from app.users.views import UserViews, reseal_phone
from app.wechat.client import WeChatClient
from core.clock import Clock, Deadline
from core.errors import AppError, Code
from core.settings import Settings
from models import codes, sessions
from models.db import Database
from models.identities import Identity
from models.refreshes import Refresh, Refreshed, Refreshes
from models.sessions import Session
from models.sign_ins import NewAccount, SignedIn, SignIn, SignIns

DEVICE_MAX = 255
BAD_CODES = {Code.INVALID_WX_CODE, Code.WX_CODE_USED, Code.WX_USER_BLOCKED}
BAD_REFRESHES = {Code.REFRESH_INVALID, Code.REFRESH_REUSED}


@dataclass(frozen=True, slots=True)
class Client:
    """Who calls: address as shown, ``network`` as compared (exact IPv4, IPv6 /64), device as it names itself."""

    address: str
    network: str
    device: str


@dataclass(slots=True)
class Grant:
    """A successful sign-in, before it becomes tokens; ``warnings`` are errors of what came along with it."""

    signed_in: SignedIn
    warnings: list[AppError] = field(default_factory=list)


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
        passwords: Passwords,
        revocations: Revocations,
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
        self._revocations = revocations
        self._exchange = exchange
        self._wechat = wechat
        self._profiles = profiles
        self._limits = limits
        self._views = UserViews(sealer)
        self._sign_ins = SignIns(database, partial(reseal_phone, sealer), settings.max_sessions)
        self._refreshes = Refreshes(database)

    async def register(self, command: Register, client: Client) -> dict[str, Any]:
        """A new user by code, by username and password, or both; raises 4001, 4002, 4090, 4091, 4290."""
        account = await self._new_account(command, client)
        if command.code is None:
            sign_in = self._sign_in(client, "password", account=account, may_exist=False)
            grant = Grant(await self._write(sign_in))
            await self._enrich(grant, command, None, self._deadline())
            return self._reply(grant)
        return await self._by_code(command, client, "register", account=account, may_exist=False)

    async def login(self, command: Login, client: Client) -> dict[str, Any]:
        """By code (an unknown user is registered, if the settings allow) or by password.

        Raises 4013, 4034, 4041, 4290, 4291.
        """
        if command.code is not None:
            return await self._by_code(command, client, "login", may_create=self._settings.auto_register)
        async with self._limits.password(command.username or "", client.network):
            user = await self._password_check.get_user(command.username or "", command.password or "")
        sign_in = self._sign_in(client, "password", user_id=user.id, password_hash=user.password_hash)
        grant = Grant(await self._write(sign_in))
        await self._enrich(grant, command, None, self._deadline())
        return self._reply(grant)

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
        return self._reply(grant)

    async def replace(self, session_id: str) -> None:
        """Ends the session of a cookie that another has taken the place of."""
        await self._end(session_id, "replaced")

    async def logout(self, claims: Claims, command: Logout) -> None:
        """Ends this session, or all of the user's; refused everywhere within a second of the answer."""
        ids = None if command.all else [claims.sid]
        await self._end_of(claims.sub, ids, "logout")

    async def authenticate(self, token: str) -> Claims:
        """The claims of an access token that counts now; raises 4010, 4011, 4015, and 5001 if nobody can tell."""
        claims = self._tokens.verify_access(token)
        await self.check_session(claims)
        return claims

    async def check_session(self, claims: Claims) -> None:
        """Raises 4015 if the session has ended, 4011 if it is another user's by now, 5001 if nobody can tell."""
        await self._revocations.check(claims.sid, claims.sub)

    async def close(self) -> None:
        """Waits for writes under way."""
        await self._sign_ins.close()
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
            proven = self._sign_in(
                client,
                "wechat",
                identity=proven_identity(self._sealer, self._index, app, session),
                account=account,
                may_exist=may_exist,
                may_create=may_create,
            )
            return await self._write(proven)

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
        return self._reply(grant)

    async def _write(self, sign_in: SignIn) -> SignedIn:
        signed_in = await self._sign_ins.write(sign_in)
        self._revocations.add(list(signed_in.ended), "too_many")
        return signed_in

    async def _rotate(self, refresh_token: str) -> Refreshed:
        token = self._tokens.parse_refresh(refresh_token)
        now, ttl_ms = self._clock.now_ms(), self._settings.refresh_ttl_s * 1000
        try:
            return await self._refreshes.write(Refresh(token.session_id, token.generation, token.key_id, now, ttl_ms))
        except AppError as error:
            if error.code is Code.REFRESH_REUSED:
                await self._end(token.session_id, "reused")
            raise

    async def _new_account(self, command: Register, client: Client) -> NewAccount | None:
        if command.username is None or command.password is None:
            return None
        username, password = rules.check_username(command.username), rules.check_password(command.password)
        await self._limits.count_registration(client.network)
        return NewAccount(username, await self._passwords.hash(password))

    async def _enrich(self, grant: Grant, command: OpenDataFields, phone_code: str | None, deadline: Deadline) -> None:
        """Profile and phone that came along: the login holds even if one of them fails."""
        claims = _claims(grant.signed_in)
        if command.encrypted_data is not None:
            await self._try(grant, self._profiles.fill(claims, None, command))
        if phone_code is not None:
            await self._try(grant, self._profiles.bind_phone_by_code(claims, None, phone_code, deadline))

    async def _try(self, grant: Grant, change: Any) -> None:
        try:
            grant.signed_in = replace(grant.signed_in, user=await change)
        except AppError as error:
            grant.warnings.append(error)

    def _sign_in(self, client: Client, method: str, identity: Identity | None = None, **how: Any) -> SignIn:
        now = self._clock.now_ms()
        ends_at = now + self._settings.session_max_s * 1000
        session = Session(
            id=self._clock.new_id(),
            user_id="",
            appid=identity.appid if identity else None,
            openid=identity.openid if identity else None,
            generation=0,
            refresh_key=self._tokens.refresh_key,
            auth_method=method,
            auth_at=now,
            created_at=now,
            rotated_at=now,
            expires_at=min(now + self._settings.refresh_ttl_s * 1000, ends_at),
            ends_at=ends_at,
            device=client.device[:DEVICE_MAX],
            address=client.address,
        )
        mark = device_mark(client.device, client.address)
        return SignIn(session, self._clock.new_id(), identity, device_mark=mark, **how)

    def _reply(self, grant: Grant) -> dict[str, Any]:
        user, session = grant.signed_in.user, grant.signed_in.session
        data: dict[str, Any] = {
            "accessToken": self._tokens.sign_access(user, session),
            "tokenType": "Bearer",
            "expiresIn": min(self._tokens.ttl_s, (session.ends_at - self._clock.now_ms()) // 1000),
            "refreshToken": self._tokens.make_refresh(session),
            "refreshExpiresIn": (session.expires_at - self._clock.now_ms() + 500) // 1000,
            "sessionId": session.id,
            "isNewUser": grant.signed_in.is_new_user,
            "user": self._views.public(user),
        }
        if grant.warnings:
            data["warnings"] = [_warning(error) for error in grant.warnings]
        return data

    def _deadline(self) -> Deadline:
        return Deadline.after(self._clock, self._settings.wx_budget_s)

    async def _end(self, session_id: str, reason: str) -> None:
        session = await sessions.find_session(self._database, session_id)
        if session:
            await self._end_of(session.user_id, [session_id], reason)

    async def _end_of(self, user_id: str, ids: list[str] | None, reason: str) -> None:
        ended = await sessions.end_sessions(self._database, user_id, ids, reason, self._clock.now_ms())
        self._revocations.add(ended, reason)


def _claims(signed_in: SignedIn) -> Claims:
    user, session = signed_in.user, signed_in.session
    return Claims(user.id, session.id, user.roles, session.appid, session.auth_at // 1000, 0)


def _warning(error: AppError) -> dict[str, Any]:
    warning: dict[str, Any] = {"code": error.code.value.number, "error": error.code.error}
    return {**warning, "data": error.data} if error.data else warning
