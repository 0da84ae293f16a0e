"""OAuth 2.0 of official accounts and website apps, and the JS-SDK's ticket, without sockets.

See offiaccount/OA_Web_Apps/Wechat_webpage_authorization and oplatform Website_App/WeChat_Login.
"""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from app.wechat.wire import AccessToken, App, Endpoint, Request, bad_reply, parse_life

EXCHANGE = Endpoint("access_token", "GET", "/sns/oauth2/access_token", spends_code=True)
REFRESH = Endpoint("refresh_token", "GET", "/sns/oauth2/refresh_token", repeatable=True)
CHECK = Endpoint("auth", "GET", "/sns/auth", repeatable=True)
USERINFO = Endpoint("userinfo", "GET", "/sns/userinfo", needs_token=True, repeatable=True)
JSAPI_TICKET = Endpoint("getticket", "GET", "/cgi-bin/ticket/getticket", needs_token=True, repeatable=True)
ENDPOINTS = (EXCHANGE, REFRESH, CHECK, USERINFO, JSAPI_TICKET)
PROFILE_SCOPES = {"snsapi_userinfo", "snsapi_login"}  # those whose tokens open /sns/userinfo

_ID = re.compile(r"[!-~]{1,64}")
_TOKEN = re.compile(r"[!-~]{1,1024}")
_SCOPE = re.compile(r"[a-z_]+(,[a-z_]+)*")


@dataclass(frozen=True, slots=True)
class OAuthToken:
    """A user's tokens at WeChat; not the app's access_token. ``scopes`` are those that were granted.

    ``is_snapshot``: the person looks at a snapshot page, and openid and nickname are made up by WeChat.
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in_s: int
    openid: str
    scopes: frozenset[str]
    unionid: str | None = None
    is_snapshot: bool = False

    @property
    def opens_profile(self) -> bool:
        """Whether /sns/userinfo takes it."""
        return bool(self.scopes & PROFILE_SCOPES)


@dataclass(frozen=True, slots=True)
class UserInfo:
    """Nickname and avatar as WeChat has them; both may be empty."""

    openid: str
    nickname: str = field(repr=False)
    avatar_url: str = field(repr=False)
    unionid: str | None = None


def authorize_url(open_url: str, app: App, is_website: bool, redirect_uri: str, scope: str, state: str) -> str:
    """Where the user is sent. WeChat compares the query as text: this order, this case, and the fragment."""
    path = "qrconnect" if is_website else "oauth2/authorize"
    return (
        f"{open_url}/connect/{path}?appid={_q(app.appid)}&redirect_uri={_q(redirect_uri)}"
        f"&response_type=code&scope={scope}&state={state}#wechat_redirect"
    )


def exchange_request(app: App, code: str) -> Request:
    """``code`` is from the redirect. See webdev/access/api_snsaccesstoken."""
    credentials = f"appid={_q(app.appid)}&secret={_q(app.secret)}"
    return Request(EXCHANGE, f"{credentials}&code={_q(code)}&grant_type=authorization_code")


def refresh_request(app: App, refresh_token: str) -> Request:
    """For 30 days after the user agreed. See webdev/access/api_snsrefreshtoken."""
    return Request(REFRESH, f"appid={_q(app.appid)}&grant_type=refresh_token&refresh_token={_q(refresh_token)}")


def check_request(access_token: str, openid: str) -> Request:
    """Whether the token still works for this user."""
    return Request(CHECK, f"access_token={_q(access_token)}&openid={_q(openid)}")


def userinfo_request(access_token: str, openid: str) -> Request:
    """See webdev/access/api_snsuserinfo."""
    return Request(USERINFO, f"access_token={_q(access_token)}&openid={_q(openid)}&lang=zh_CN")


def jsapi_ticket_request(access_token: str) -> Request:
    """What the JS-SDK's signatures are made with. See offiaccount/OA_Web_Apps/JS-SDK, appendix 1."""
    return Request(JSAPI_TICKET, f"access_token={_q(access_token)}&type=jsapi")


def parse_token(payload: dict[str, Any]) -> OAuthToken:
    """Raises 5020 unless tokens, openid and scope are there and well-formed."""
    return OAuthToken(
        access_token=_match(_TOKEN, payload, "access_token"),
        refresh_token=_match(_TOKEN, payload, "refresh_token"),
        expires_in_s=parse_life(payload),
        openid=_match(_ID, payload, "openid"),
        scopes=frozenset(_match(_SCOPE, payload, "scope").split(",")),
        unionid=_unionid(payload),
        is_snapshot=payload.get("is_snapshotuser") not in (None, 0),
    )


def parse_userinfo(payload: dict[str, Any]) -> UserInfo:
    """Raises 5020 unless the openid is there; a nickname or avatar of another type is none."""
    nickname, avatar_url = payload.get("nickname"), payload.get("headimgurl")
    return UserInfo(
        openid=_match(_ID, payload, "openid"),
        nickname=nickname if isinstance(nickname, str) else "",
        avatar_url=avatar_url if isinstance(avatar_url, str) else "",
        unionid=_unionid(payload),
    )


def parse_jsapi_ticket(payload: dict[str, Any]) -> AccessToken:
    """The ticket and how long it lives. Raises 5020."""
    return AccessToken(_match(_TOKEN, payload, "ticket"), parse_life(payload))


def _unionid(payload: dict[str, Any]) -> str | None:
    return None if payload.get("unionid") in (None, "") else _match(_ID, payload, "unionid")


def _match(pattern: re.Pattern[str], payload: dict[str, Any], name: str) -> str:
    value = payload.get(name)
    if isinstance(value, str) and pattern.fullmatch(value):
        return value
    raise bad_reply(name)


def _q(text: str) -> str:
    return quote(text, safe="")
