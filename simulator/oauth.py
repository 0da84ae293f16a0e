"""OAuth 2.0: the consent pages' rules, and the tokens of users.

See: https://developers.weixin.qq.com/doc/service/guide/h5/auth.html and
https://developers.weixin.qq.com/doc/oplatform/developers/dev/auth/web.html
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote, urlsplit

from simulator.apps import App
from simulator.codes import Codes
from simulator.errors import ConsentError, WechatError
from simulator.users import User, Users, make_id

ORDER = ["appid", "redirect_uri", "response_type", "scope", "state"]
STATE = re.compile(r"[A-Za-z0-9]{1,128}")
FRAGMENT = "wechat_redirect"
SCOPES = {"official": ("snsapi_base", "snsapi_userinfo"), "website": ("snsapi_login",)}
PATHS = {"/connect/oauth2/authorize": "official", "/connect/qrconnect": "website"}
MISSING = {"appid": 10012, "redirect_uri": 10011, "response_type": 10005, "scope": 10010, "state": 10013}
SILENT = "snsapi_base"
OFFICIAL_CODE_S, WEBSITE_CODE_S = 300, 600
ACCESS_S = 7200
REFRESH_S = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Asked:
    """A consent page's query, once it passed all checks."""

    app: App
    redirect_uri: str
    scope: str
    state: str

    @property
    def is_silent(self) -> bool:
        """Whether WeChat goes on without asking the user."""
        return self.scope == SILENT


@dataclass(frozen=True, slots=True)
class Grant:
    """A user's tokens for one app; times in seconds of the simulator's clock."""

    appid: str
    user: str
    openid: str
    scope: str
    access_token: str
    refresh_token: str
    access_until: float
    refresh_until: float


class OAuth:
    """Codes and tokens of all web apps."""

    def __init__(self, users: Users, clock: Callable[[], float]) -> None:
        self._users = users
        self._clock = clock
        self._codes = {
            "official": Codes(clock, 32, used_errcode=40163, life_s=OFFICIAL_CODE_S),
            "website": Codes(clock, 32, used_errcode=40163, life_s=WEBSITE_CODE_S),
        }
        self._by_access: dict[str, Grant] = {}
        self._by_refresh: dict[str, Grant] = {}

    def answer(self, asked: Asked, user: User, allow: bool) -> str:
        """Where the browser goes on: with a code, or with the state alone when the user refuses."""
        joint = "&" if urlsplit(asked.redirect_uri).query else "?"
        if not allow:
            return f"{asked.redirect_uri}{joint}state={asked.state}"
        code = self._codes[asked.app.kind].issue(asked.app.appid, user.name, asked.scope)
        return f"{asked.redirect_uri}{joint}code={code}&state={asked.state}"

    def exchange(self, app: App, code: str) -> tuple[Grant, User]:
        """The tokens behind a code; 40029, 40163."""
        found = self._codes[app.kind].find(code, app.appid)
        found.used = True
        user, now = self._users.get(found.user), self._clock()
        openid = self._openid(app, user, found.scope)
        grant = Grant(
            app.appid, user.name, openid, found.scope, new_token(), new_token(), now + ACCESS_S, now + REFRESH_S
        )
        self._keep(grant)
        return grant, user

    def refresh(self, app: App, refresh_token: str) -> Grant:
        """A token that still works lives longer, another takes the place of one that does not; 40030, 42002."""
        grant, now = self._by_refresh.get(refresh_token), self._clock()
        if grant is None or grant.appid != app.appid:
            raise WechatError(40030)
        if now >= grant.refresh_until:
            raise WechatError(42002)
        access = grant.access_token if now < grant.access_until else new_token()
        return self._keep(replace(grant, access_token=access, access_until=now + ACCESS_S))

    def check(self, access_token: str, openid: str) -> tuple[Grant, User]:
        """Whose token it is; 40001, 42001, 40003."""
        grant = self._by_access.get(access_token)
        if grant is None:
            raise WechatError(40001)
        if self._clock() >= grant.access_until:
            raise WechatError(42001)
        if grant.openid != openid:
            raise WechatError(40003)
        return grant, self._users.get(grant.user)

    def _keep(self, grant: Grant) -> Grant:
        self._by_access[grant.access_token] = grant
        self._by_refresh[grant.refresh_token] = grant
        return grant

    def _openid(self, app: App, user: User, scope: str) -> str:
        if is_snapshot(user, scope):
            return make_id(app.appid, f"snapshot {secrets.token_hex(8)}")
        return self._users.openid(app.appid, user)


def is_snapshot(user: User, scope: str) -> bool:
    """Whether the user is on a snapshot page, and all that is told of them made up."""
    return user.snapshot and scope == "snsapi_userinfo"


def read_url(url: str, find_app: Callable[[str], App | None]) -> Asked:
    """The whole URL that a browser opens, fragment included; raises ``ConsentError``."""
    parts = urlsplit(url)
    if parts.path not in PATHS:
        raise ConsentError(0, f"not a consent page; those are {' and '.join(PATHS)}")
    if parts.fragment != FRAGMENT:
        raise ConsentError(0, f"the URL must end in #{FRAGMENT}")
    return read_query(PATHS[parts.path], parts.query, find_app)


def read_query(kind: str, query: str, find_app: Callable[[str], App | None]) -> Asked:
    """What the query asks for; WeChat compares it as text, so order and case count. Raises ``ConsentError``."""
    pairs = parse_qsl(query, keep_blank_values=True)
    given = dict(pairs)
    for name in ORDER:
        if not given.get(name):
            raise ConsentError(MISSING[name], f"{name} is missing")
    if [name for name, _ in pairs] != ORDER:
        raise ConsentError(0, f"the parameters must be {', '.join(ORDER)}, in this order")
    app = find_app(given["appid"])
    if app is None:
        raise ConsentError(10012, "unknown appid")
    if app.kind != kind:
        raise ConsentError(10016, f"{app.appid} is a {app.kind} app: the other page is for it")
    if given["response_type"] != "code" or given["scope"] not in SCOPES[kind]:
        raise ConsentError(10005, f"response_type must be code, scope {' or '.join(SCOPES[kind])}")
    if not STATE.fullmatch(given["state"]):
        raise ConsentError(10013, "state must be up to 128 letters and digits")
    check_redirect(app, given["redirect_uri"], query)
    return Asked(app, given["redirect_uri"], given["scope"], given["state"])


def check_redirect(app: App, redirect_uri: str, query: str) -> None:
    """10003 unless it is a URL on the app's domain, percent-encoded in the query."""
    parts = urlsplit(redirect_uri)
    is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.fragment
    if not is_url or (app.domain and parts.hostname != app.domain):
        raise ConsentError(10003, f"redirect_uri is not on the domain of {app.appid}: {app.domain or 'no URL'}")
    if f"redirect_uri={quote(redirect_uri, safe='')}&" not in query:
        raise ConsentError(10003, "redirect_uri must be percent-encoded as a whole")


def new_token() -> str:
    """Like WeChat's: a number, an underscore, URL-safe characters."""
    return f"{70 + secrets.randbelow(30)}_{secrets.token_urlsafe(72)}"
