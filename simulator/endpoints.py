"""WeChat's endpoints for servers, as functions over the state, and the table that names them.

Each takes the state and a ``Call`` and returns the JSON of the reply, or raises ``WechatError``.
See: https://developers.weixin.qq.com/miniprogram/dev/server/API/
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any

from simulator.crypto import sign_session
from simulator.errors import WechatError
from simulator.keys import SessionKey
from simulator.oauth import ACCESS_S, SILENT, Grant, is_snapshot
from simulator.pictures import draw_code
from simulator.tokens import TOKEN_LIFE_S
from simulator.users import User
from simulator.wechat import Wechat

MINIPROGRAM = ("miniprogram",)
WEB = ("official", "website")
WITH_TOKEN = ("miniprogram", "official")


@dataclass(frozen=True, slots=True)
class Call:
    """One request: the last value of each query parameter, and the body as it came."""

    method: str
    query: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Picture:
    """A reply that is no JSON."""

    content_type: str
    data: bytes


class NoPicture(Exception):
    """A ticket that leads nowhere: the one error that is an HTTP status."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A row of the table; ``required`` maps a query parameter to the errcode of its absence."""

    path: str
    method: str
    answer: Callable[[Wechat, Call], dict[str, Any] | Picture]
    required: dict[str, int]
    content_type: str = "application/json; charset=UTF-8"

    @property
    def api(self) -> str:
        """The last path segment: the name in faults and in the log of calls."""
        return self.path.rsplit("/", 1)[-1]

    def check(self, call: Call) -> None:
        """Method and parameters in WeChat's order: GET endpoints look at the query first."""
        wrong = 0 if call.method == self.method else (43001 if self.method == "GET" else 43002)
        if wrong == 43002:
            raise WechatError(wrong)
        for name, errcode in self.required.items():
            if not call.query.get(name):
                raise WechatError(errcode)
        if wrong:
            raise WechatError(wrong)


def jscode2session(wechat: Wechat, call: Call) -> dict[str, Any]:
    """Exchange a login code for openid and session_key; the code is consumed only on success."""
    query = call.query
    if query.get("grant_type") != "authorization_code":
        raise WechatError(40002)
    app = wechat.apps.authenticate(query["appid"], query["secret"], MINIPROGRAM)
    code = wechat.login_codes.find(query["js_code"], app.appid)
    user = wechat.users.get(code.user)
    if user.blocked:
        raise WechatError(40226)
    code.used = True
    key = wechat.keys.find(app.appid, user.name) or wechat.keys.login(app.appid, user.name)
    reply = {"session_key": key.value, "openid": wechat.users.openid(app.appid, user)}
    return {**reply, "unionid": user.unionid} if user.unionid else reply


def checksession(wechat: Wechat, call: Call) -> dict[str, Any]:
    """Say whether the signer holds the user's current session_key."""
    verified_key(wechat, call)
    return {"errcode": 0, "errmsg": "ok"}


def resetusersessionkey(wechat: Wechat, call: Call) -> dict[str, Any]:
    """Replace the session_key at once; its end of life stays."""
    appid, user, key = verified_key(wechat, call)
    fresh = wechat.keys.reset(appid, user.name, key)
    return {"errcode": 0, "errmsg": "ok", "openid": call.query["openid"], "session_key": fresh.value}


def verified_key(wechat: Wechat, call: Call) -> tuple[str, User, SessionKey]:
    """(appid, user, current key) once token, openid and signature hold; else 40003, 87007 to 87009."""
    appid = wechat.tokens.check(call.query["access_token"])
    user = wechat.users.find_by_openid(appid, call.query["openid"])
    if user is None:
        raise WechatError(40003)
    if call.query.get("sig_method") != "hmac_sha256":
        raise WechatError(87008)
    key = wechat.keys.find(appid, user.name)
    if key is None:
        raise WechatError(87007)
    if not compare_digest(sign_session(key.value).encode(), call.query.get("signature", "").encode()):
        raise WechatError(87009)
    return appid, user, key


def getuserphonenumber(wechat: Wechat, call: Call) -> dict[str, Any]:
    """Exchange a phone code; the openid is checked against it where given."""
    appid = wechat.tokens.check(call.query["access_token"])
    body = parse_body(call.body)
    if not body.get("code"):
        raise WechatError(41008)
    if not isinstance(body["code"], str) or not isinstance(body.get("openid", ""), str):
        raise WechatError(47001)
    if body["code"] in wechat.login_codes:
        raise WechatError(40029)
    code = wechat.phone_codes.find(body["code"], appid)
    user = wechat.users.get(code.user)
    if body.get("openid") and wechat.users.find_by_openid(appid, body["openid"]) is not user:
        raise WechatError(40003)
    code.used = True
    mark = {"timestamp": int(wechat.clock()), "appid": appid}
    return {"errcode": 0, "errmsg": "ok", "phone_info": {**wechat.phone_info(user), "watermark": mark}}


RISKY, DOUBTFUL = "违规", "可疑"  # the words that make a text risky, or one for people to look at
ACTIVE_S = 7200  # the openid of a check was in the mini-program within two hours


def msg_sec_check(wechat: Wechat, call: Call) -> dict[str, Any]:
    """Say whether a text is fit to be shown; version 2 of the API."""
    appid = wechat.tokens.check(call.query["access_token"])
    body = parse_body(call.body)
    if body.get("version") != 2 or not isinstance(body.get("content"), str) or not 0 < len(body["content"]) <= 2500:
        raise WechatError(47001)
    if body.get("scene") not in (1, 2, 3, 4):
        raise WechatError(40129)
    user = wechat.users.find_by_openid(appid, str(body.get("openid", "")))
    if user is None:
        raise WechatError(40003)
    if not wechat.keys.was_active(appid, user.name, ACTIVE_S):
        raise WechatError(61010)
    suggest, label = judge(body["content"])
    return {"errcode": 0, "errmsg": "ok", "result": {"suggest": suggest, "label": label}, "detail": []}


def judge(text: str) -> tuple[str, int]:
    """(suggest, label) as WeChat gives them."""
    if RISKY in text:
        return "risky", 20006
    return ("review", 21000) if DOUBTFUL in text else ("pass", 100)


def token(wechat: Wechat, call: Call) -> dict[str, Any]:
    """A new access_token on every call."""
    check_client_credential(call.query.get("grant_type"))
    app = wechat.apps.authenticate(call.query["appid"], call.query["secret"], WITH_TOKEN)
    return {"access_token": wechat.tokens.issue_plain(app.appid), "expires_in": TOKEN_LIFE_S}


def stable_token(wechat: Wechat, call: Call) -> dict[str, Any]:
    """The same access_token until its last five minutes, unless forced."""
    body = parse_body(call.body)
    check_client_credential(body.get("grant_type"))
    for name, errcode in (("appid", 41002), ("secret", 41004)):
        if not body.get(name):
            raise WechatError(errcode)
    force = body.get("force_refresh", False)
    if not isinstance(force, bool):
        raise WechatError(47001)
    app = wechat.apps.authenticate(str(body["appid"]), str(body["secret"]), WITH_TOKEN)
    value, expires_in = wechat.tokens.issue_stable(app.appid, force)
    return {"access_token": value, "expires_in": expires_in}


def getticket(wechat: Wechat, call: Call) -> dict[str, Any]:
    """The jsapi_ticket of an official account."""
    app = wechat.apps.with_kind(wechat.tokens.check(call.query["access_token"]), "official")
    if call.query.get("type") != "jsapi":
        raise WechatError(40097)
    ticket, expires_in = wechat.tickets.issue(app.appid)
    return {"errcode": 0, "errmsg": "ok", "ticket": ticket, "expires_in": expires_in}


def oauth_access_token(wechat: Wechat, call: Call) -> dict[str, Any]:
    """Exchange the code of a consent page; unionid only where more than the openid was agreed to."""
    check_grant(call, "authorization_code")
    app = wechat.apps.authenticate(call.query["appid"], call.query["secret"], WEB)
    grant, user = wechat.oauth.exchange(app, call.query["code"])
    reply = show_grant(grant)
    if is_snapshot(user, grant.scope):
        return {**reply, "is_snapshotuser": 1}
    return {**reply, "unionid": user.unionid} if user.unionid and grant.scope != SILENT else reply


def oauth_refresh_token(wechat: Wechat, call: Call) -> dict[str, Any]:
    """The user's token, good for another two hours."""
    check_grant(call, "refresh_token")
    app = wechat.apps.find(call.query["appid"])
    if app is None or app.kind not in WEB:
        raise WechatError(40013)
    return show_grant(wechat.oauth.refresh(app, call.query["refresh_token"]))


def sns_auth(wechat: Wechat, call: Call) -> dict[str, Any]:
    """Say whether a user's token works."""
    wechat.oauth.check(call.query["access_token"], call.query["openid"])
    return {"errcode": 0, "errmsg": "ok"}


def sns_userinfo(wechat: Wechat, call: Call) -> dict[str, Any]:
    """Nickname and avatar; sex and places are empty since 2021."""
    grant, user = wechat.oauth.check(call.query["access_token"], call.query["openid"])
    if grant.scope == SILENT:
        raise WechatError(48001)
    is_unreal = is_snapshot(user, grant.scope)
    reply: dict[str, Any] = {
        "openid": grant.openid,
        "nickname": "微信用户" if is_unreal else user.nickname,
        "sex": 0,
        "language": "",
        "city": "",
        "province": "",
        "country": "",
        "headimgurl": "" if is_unreal else wechat.users.avatar_url(user),
        "privilege": [],
    }
    return {**reply, "unionid": user.unionid} if user.unionid and not is_unreal else reply


def show_grant(grant: Grant) -> dict[str, Any]:
    """A user's tokens, as both endpoints tell them."""
    return {
        "access_token": grant.access_token,
        "expires_in": ACCESS_S,
        "refresh_token": grant.refresh_token,
        "openid": grant.openid,
        "scope": grant.scope,
    }


def check_grant(call: Call, expected: str) -> None:
    """40002 for any other grant_type."""
    if call.query.get("grant_type") != expected:
        raise WechatError(40002)


def getwxacodeunlimit(wechat: Wechat, call: Call) -> Picture:
    """A mini-program code; a body that is no JSON is 40169 here."""
    app = wechat.apps.with_kind(wechat.tokens.check(call.query["access_token"]), "miniprogram")
    try:
        body = parse_body(call.body)
    except WechatError:
        raise WechatError(40169) from None
    code = wechat.qr.make_miniprogram(app.appid, app.page, body)
    return Picture("image/jpeg", draw_code(f"weapp://{code.appid}/{code.page}?scene={code.scene}"))


def create_qrcode(wechat: Wechat, call: Call) -> dict[str, Any]:
    """A temporary QR code of an official account."""
    app = wechat.apps.with_kind(wechat.tokens.check(call.query["access_token"]), "official")
    ticket, life_s = wechat.qr.make_ticket(app.appid, parse_body(call.body))
    return {"ticket": ticket.value, "expire_seconds": life_s, "url": ticket.url}


def showqrcode(wechat: Wechat, call: Call) -> Picture:
    """The picture of such a code; no token is asked for."""
    ticket = wechat.qr.find_ticket(call.query["ticket"])
    if ticket is None:
        raise NoPicture
    return Picture("image/jpg", draw_code(ticket.url))


def check_client_credential(grant_type: object) -> None:
    """Both token endpoints know one grant_type; 40002."""
    if grant_type != "client_credential":
        raise WechatError(40002)


def parse_body(body: bytes) -> dict[str, Any]:
    """The JSON object of a POST; 44002 when empty, 47001 when it is none."""
    if not body.strip():
        raise WechatError(44002)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise WechatError(47001) from None
    if not isinstance(value, dict):
        raise WechatError(47001)
    return value


APP = {"appid": 41002, "secret": 41004}
TOKEN = {"access_token": 41001}
OPENID = {**TOKEN, "openid": 41009}
TEXT = "text/plain; charset=utf-8"

ENDPOINTS = (
    Endpoint("/sns/jscode2session", "GET", jscode2session, {**APP, "js_code": 41008}, TEXT),
    Endpoint("/wxa/checksession", "GET", checksession, OPENID),
    Endpoint("/wxa/resetusersessionkey", "GET", resetusersessionkey, OPENID),
    Endpoint("/wxa/business/getuserphonenumber", "POST", getuserphonenumber, TOKEN),
    Endpoint("/wxa/msg_sec_check", "POST", msg_sec_check, TOKEN),
    Endpoint("/cgi-bin/token", "GET", token, APP),
    Endpoint("/cgi-bin/stable_token", "POST", stable_token, {}),
    Endpoint("/cgi-bin/ticket/getticket", "GET", getticket, TOKEN),
    Endpoint("/sns/oauth2/access_token", "GET", oauth_access_token, {**APP, "code": 41008}, TEXT),
    Endpoint("/sns/oauth2/refresh_token", "GET", oauth_refresh_token, {"appid": 41002, "refresh_token": 41003}, TEXT),
    Endpoint("/sns/auth", "GET", sns_auth, OPENID, TEXT),
    Endpoint("/sns/userinfo", "GET", sns_userinfo, OPENID, TEXT),
    Endpoint("/wxa/getwxacodeunlimit", "POST", getwxacodeunlimit, TOKEN),
    Endpoint("/cgi-bin/qrcode/create", "POST", create_qrcode, TOKEN),
    Endpoint("/cgi-bin/showqrcode", "GET", showqrcode, {"ticket": 40097}),
)
APIS = tuple(endpoint.api for endpoint in ENDPOINTS)
