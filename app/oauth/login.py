"""OAuth 2.0 sign-in in browsers (RFC 6749 §4.1, hardened as RFC 9700 §4.5 and §4.7 say).

A login begins with a state that only this browser can bring back, and ends in the same users as any other sign-in:
(appid, openid) from WeChat's reply, and the unionid where it tells one.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from app.apps import Apps
from app.auth.exchange import CodeExchange
from app.auth.grants import Client, Grant, Grants
from app.auth.limits import Limits
from app.auth.sign_in import BAD_CODES
from app.commands import Command
from app.oauth.addresses import RETURN_MAX, check_return
from app.oauth.user_tokens import UserTokens
from app.users.profile import Profiles
from app.wechat.client import WeChatClient
from app.wechat.oauth_wire import OAuthToken, UserInfo, authorize_url
from core.clock import Clock, Deadline
from core.errors import AppError, Code
from core.settings import App, Settings
from models import oauth_states
from models.identities import Identity
from models.kv import Kv
from models.oauth_states import LoginState
from models.sign_ins import SignedIn

STATE = re.compile(r"[0-9a-f]{64}", re.ASCII)
CODE = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
BROWSER = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
CHECKS = (("state", "state", STATE), ("browser", "state", BROWSER), ("code", "code", CODE))
SCOPES = {"base": "snsapi_base", "userinfo": "snsapi_userinfo"}
WEBSITE_SCOPE = "snsapi_login"


class StartLogin(Command):
    """The query of a login."""

    scope: Literal["base", "userinfo"] = "base"
    return_to: Annotated[str, Field(alias="return", max_length=RETURN_MAX)] = "/"
    mode: Literal["cookie", "ticket"] = "cookie"


@dataclass(frozen=True, slots=True)
class Callback:
    """What WeChat sends the browser back with, and the browser's own secret; each may be missing."""

    appid: str
    state: str
    code: str
    browser: str


class OAuthLogin:
    """``begin``, then ``take`` and ``sign_in``."""

    def __init__(
        self,
        settings: Settings,
        kv: Kv,
        clock: Clock,
        apps: Apps,
        wechat: WeChatClient,
        exchange: CodeExchange,
        grants: Grants,
        limits: Limits,
        profiles: Profiles,
        user_tokens: UserTokens,
    ) -> None:
        self._settings = settings
        self._kv = kv
        self._clock = clock
        self._apps = apps
        self._wechat = wechat
        self._exchange = exchange
        self._grants = grants
        self._limits = limits
        self._profiles = profiles
        self._user_tokens = user_tokens

    def browser_secret(self, known: str | None) -> str:
        """The browser's own secret, or a new one: it outlives a single login, so that two tabs do not collide."""
        return known if known and BROWSER.fullmatch(known) else self._clock.token(256)

    async def begin(self, appid: str, asked: StartLogin, browser: str, client: Client) -> str:
        """Where the browser goes: WeChat's consent page. Raises 4000, 4042, 4290 and 5002."""
        app = self._apps.get_web(appid)
        return_to = check_return(asked.return_to, self._settings.returns)
        await self._limits.count_oauth(client.network)
        state = self._clock.random_bytes(32).hex()
        await oauth_states.keep_state(
            self._kv, state, app.appid, browser, LoginState(return_to, asked.scope, asked.mode)
        )
        scope = WEBSITE_SCOPE if app.kind == "website" else SCOPES[asked.scope]
        callback = f"{self._settings.public_url}{self._settings.path_prefix}/oauth/{app.appid}/callback"
        return authorize_url(self._settings.wechat_open_url, app, app.kind == "website", callback, scope, state)

    async def take(self, back: Callback) -> LoginState:
        """What this login asked for; raises 4000 without a call to WeChat unless it is this browser's, and once.

        The same code again within 30 s is the same callback: browsers and WeChat repeat requests.
        """
        self._apps.get_web(back.appid)
        for name, field, form in CHECKS:
            if not form.fullmatch(getattr(back, name)):
                raise AppError(Code.INVALID_REQUEST, cause=f"no {name}", field=field)
        taken = await oauth_states.take_state(self._kv, back.state, back.appid, back.browser, back.code)
        if taken is None:
            raise AppError(Code.INVALID_REQUEST, cause="an unknown, foreign, used or expired state", field="state")
        return taken

    async def sign_in(self, back: Callback, client: Client) -> SignedIn:
        """The session of a callback whose state was taken, one for all its repeats.

        Raises 4004, 4005, 4030 (a snapshot page), 4031, 4034, 4041, 4290, 4292, 5020, 5030, 5040.
        """
        app = self._apps.get_web(back.appid)
        deadline = Deadline.after(self._clock, self._settings.wx_budget_s)

        async def start() -> SignedIn:
            await self._limits.check_code(app.appid, client.network)
            return await self._exchange_code(app, back.code, client, deadline)

        try:
            done = await self._exchange.once(app.appid, back.code, "oauth", _joined_by(back.browser), start)
        except AppError as error:
            if error.code in BAD_CODES:
                self._limits.count_bad_code(client.network)
            raise
        return done.signed_in

    def reply(self, signed_in: SignedIn) -> dict[str, Any]:
        """The ``data`` of api/auth, which the cookie is made of."""
        return self._grants.reply(Grant(signed_in))

    async def _exchange_code(self, app: App, code: str, client: Client, deadline: Deadline) -> SignedIn:
        token = await self._wechat.exchange_oauth_code(app, code, deadline)
        if token.is_snapshot:
            raise AppError(Code.FORBIDDEN, cause="a snapshot page: openid and nickname are made up", reason="snapshot")
        info = await self._find_profile(app, token, deadline)
        unionid = token.unionid or (info.unionid if info else None)
        sealed = self._user_tokens.seal(app, token)
        identity = Identity(app.appid, token.openid, app.kind, unionid, None, None, sealed)
        may_create = self._settings.auto_register
        signed_in = await self._grants.begin(client, "wechat", identity, may_create=may_create)
        if info:
            await self._profiles.fill_gaps(signed_in.user, info.nickname, info.avatar_url)
        return signed_in

    async def _find_profile(self, app: App, token: OAuthToken, deadline: Deadline) -> UserInfo | None:
        """Nickname and avatar are worth a wait, not a failed login; a unionid that only they would tell is."""
        if not token.opens_profile:
            return None
        try:
            info = await self._wechat.get_userinfo(app, token.access_token, token.openid, deadline)
        except AppError:
            if token.unionid is None:
                raise
            return None
        if info.openid != token.openid or (token.unionid and info.unionid not in (None, token.unionid)):
            raise AppError(Code.WX_BAD_REPLY, cause="the profile is another user's")
        return info


def _joined_by(browser: str) -> str:
    """Repeats are told by the browser, not by its address: phones change networks between two requests."""
    return f"browser {oauth_states.hash_of(browser)}"
