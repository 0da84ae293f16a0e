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
from simulator.tokens import TOKEN_LIFE_S
from simulator.users import User
from simulator.wechat import Wechat

MINIPROGRAM = ("miniprogram",)
WITH_TOKEN = ("miniprogram", "official")


@dataclass(frozen=True, slots=True)
class Call:
    """One request: the last value of each query parameter, and the body as it came."""

    method: str
    query: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A row of the table; ``required`` maps a query parameter to the errcode of its absence."""

    path: str
    method: str
    answer: Callable[[Wechat, Call], dict[str, Any]]
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
    Endpoint("/cgi-bin/token", "GET", token, APP),
    Endpoint("/cgi-bin/stable_token", "POST", stable_token, {}),
)
APIS = tuple(endpoint.api for endpoint in ENDPOINTS)
