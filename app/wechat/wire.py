"""What goes over the wire to api.weixin.qq.com: requests built, replies parsed, no sockets.

Replies are often labelled ``text/plain``, so they are parsed by content. Whatever does not have the
documented shape is ``5020 wx_bad_reply``: nobody is logged in on half a reply.
"""

import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

from core.errors import AppError, Code


class App(Protocol):
    """An app registered with WeChat."""

    @property
    def appid(self) -> str:
        """Public: ``wx`` and 16 hex digits."""

    @property
    def secret(self) -> str:
        """The AppSecret."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One API. ``spends_code``: the request uses up a one-time code, so once sent it is never sent again.

    ``repeatable``: sending it twice does no harm.
    """

    name: str
    method: str
    path: str
    needs_token: bool = False
    spends_code: bool = False
    repeatable: bool = False


CODE2SESSION = Endpoint("jscode2session", "GET", "/sns/jscode2session", spends_code=True)
CHECK_SESSION = Endpoint("checksession", "GET", "/wxa/checksession", needs_token=True, repeatable=True)
RESET_SESSION_KEY = Endpoint(
    "resetusersessionkey", "GET", "/wxa/resetusersessionkey", needs_token=True, repeatable=True
)
PHONE_NUMBER = Endpoint(
    "getuserphonenumber", "POST", "/wxa/business/getuserphonenumber", needs_token=True, spends_code=True
)
MSG_SEC_CHECK = Endpoint("msg_sec_check", "POST", "/wxa/msg_sec_check", needs_token=True, repeatable=True)
TOKEN = Endpoint("token", "GET", "/cgi-bin/token", repeatable=True)
STABLE_TOKEN = Endpoint("stable_token", "POST", "/cgi-bin/stable_token")
ENDPOINTS = (CODE2SESSION, CHECK_SESSION, RESET_SESSION_KEY, PHONE_NUMBER, MSG_SEC_CHECK, TOKEN, STABLE_TOKEN)


PROFILE = 1  # the scene of a text that is part of a profile


@dataclass(frozen=True, slots=True)
class Request:
    """A request to be sent; its query and body hold secrets and stay out of its repr."""

    endpoint: Endpoint
    query: str = field(default="", repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Code2Session:
    """Who logged in. ``session_key`` is base64 of 16 bytes; ``unionid`` may appear only later."""

    openid: str
    session_key: str = field(repr=False)
    unionid: str | None = None


@dataclass(frozen=True, slots=True)
class PhoneInfo:
    """``phone_number`` carries the country prefix of numbers from abroad, ``pure_phone_number`` does not."""

    phone_number: str = field(repr=False)
    pure_phone_number: str = field(repr=False)
    country_code: str


@dataclass(frozen=True, slots=True)
class AccessToken:
    """WeChat's access_token and the seconds it still lives."""

    token: str = field(repr=False)
    expires_in_s: int


def sign_session(session_key: str, body: str = "") -> str:
    """Proof of a session_key to WeChat: lower-hex HMAC-SHA256 of the POST body ("" for GET).

    The key is the base64 text as it stands, not decoded. See /framework/open-ability/signature.
    """
    return hmac.new(session_key.encode(), body.encode(), hashlib.sha256).hexdigest()


def code2session_request(app: App, code: str) -> Request:
    """``code`` is from ``wx.login``. See user-login/api_code2session."""
    credentials = f"appid={_q(app.appid)}&secret={_q(app.secret)}"
    return Request(CODE2SESSION, f"{credentials}&js_code={_q(code)}&grant_type=authorization_code")


def check_session_request(access_token: str, openid: str, session_key: str) -> Request:
    """Asks whether this very key is the current one. See user-login/api_checksessionkey."""
    return Request(CHECK_SESSION, _session_query(access_token, openid, session_key))


def reset_session_key_request(access_token: str, openid: str, session_key: str) -> Request:
    """Replaces the key at once; the expiry stays. See user-login/api_resetusersessionkey."""
    return Request(RESET_SESSION_KEY, _session_query(access_token, openid, session_key))


def phone_number_request(access_token: str, code: str, openid: str | None) -> Request:
    """``code`` is from ``bindgetphonenumber``. See user-info/phone-number/api_getphonenumber."""
    body = {"code": code} if openid is None else {"code": code, "openid": openid}
    return Request(PHONE_NUMBER, f"access_token={_q(access_token)}", _json(body))


def msg_sec_check_request(access_token: str, openid: str, text: str) -> Request:
    """``text`` as part of a profile (scene 1). See sec-center/sec-check/api_msgseccheck."""
    body = {"version": 2, "scene": PROFILE, "openid": openid, "content": text, "nickname": text}
    return Request(MSG_SEC_CHECK, f"access_token={_q(access_token)}", _json(body))


def token_request(app: App) -> Request:
    """A new token each time; the one before lives 5 more minutes. See base/api_getaccesstoken."""
    query = f"grant_type=client_credential&appid={_q(app.appid)}&secret={_q(app.secret)}"
    return Request(TOKEN, query)


def stable_token_request(app: App, force_refresh: bool) -> Request:
    """The same token for everybody until its last 5 minutes. See base/api_getstableaccesstoken."""
    body: dict[str, Any] = {"grant_type": "client_credential", "appid": app.appid, "secret": app.secret}
    if force_refresh:
        body["force_refresh"] = True
    return Request(STABLE_TOKEN, body=_json(body))


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a reply. Raises 5020."""
    payload = _load(body)
    if not isinstance(payload, dict):
        raise bad_reply("not a JSON object")
    return payload


def parse_code2session(payload: dict[str, Any]) -> Code2Session:
    """Raises 5020 unless openid and session_key are there and well-formed."""
    unionid = payload.get("unionid")
    return Code2Session(
        openid=_match(_ID, payload.get("openid"), "openid"),
        session_key=_match(_SESSION_KEY, payload.get("session_key"), "session_key"),
        unionid=None if unionid in (None, "") else _match(_ID, unionid, "unionid"),
    )


def parse_session_key(payload: dict[str, Any]) -> str:
    """The new session_key of a reset. Raises 5020."""
    return _match(_SESSION_KEY, payload.get("session_key"), "session_key")


def parse_phone_info(payload: dict[str, Any]) -> PhoneInfo:
    """Raises 5020. ``countryCode`` is documented as text and shown as a number: both are taken."""
    info = payload.get("phone_info")
    if not isinstance(info, dict):
        raise bad_reply("phone_info")
    country = info.get("countryCode")
    return PhoneInfo(
        phone_number=_match(_PHONE, info.get("phoneNumber"), "phoneNumber"),
        pure_phone_number=_match(_PHONE, info.get("purePhoneNumber"), "purePhoneNumber"),
        country_code=_match(_COUNTRY, str(country) if type(country) is int else country, "countryCode"),
    )


def parse_suggestion(payload: dict[str, Any]) -> str:
    """``pass``, ``review`` or ``risky``. Raises 5020."""
    result = payload.get("result")
    return _match(_SUGGESTION, result.get("suggest") if isinstance(result, dict) else None, "suggest")


def parse_access_token(payload: dict[str, Any]) -> AccessToken:
    """Raises 5020."""
    return AccessToken(_match(_TOKEN, payload.get("access_token"), "access_token"), parse_life(payload))


def parse_life(payload: dict[str, Any]) -> int:
    """``expires_in``, in seconds. Raises 5020."""
    expires_in_s = payload.get("expires_in")
    if type(expires_in_s) is not int or not 0 < expires_in_s <= 86_400:
        raise bad_reply("expires_in")
    return expires_in_s


def bad_reply(what: str) -> AppError:
    """5020 naming the part that was unusable, never its value."""
    return AppError(Code.WX_BAD_REPLY, cause=f"unusable reply: {what}")


_SUGGESTION = re.compile(r"pass|review|risky")
_ID = re.compile(r"[!-~]{1,64}")
_SESSION_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
_PHONE = re.compile(r"\+?[0-9 -]{3,32}")
_COUNTRY = re.compile(r"\+?[0-9-]{1,8}")
_TOKEN = re.compile(r"[!-~]{1,2048}")


def _match(pattern: re.Pattern[str], value: Any, name: str) -> str:
    if isinstance(value, str) and pattern.fullmatch(value):
        return value
    raise bad_reply(name)


def _load(body: bytes) -> Any:
    # Not re-raised from the except clause: the parser's error carries the whole document.
    try:
        return json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None


def _session_query(access_token: str, openid: str, session_key: str) -> str:
    signature = sign_session(session_key)
    return f"access_token={_q(access_token)}&openid={_q(openid)}&signature={signature}&sig_method=hmac_sha256"


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def _q(text: str) -> str:
    return quote(text, safe="")
