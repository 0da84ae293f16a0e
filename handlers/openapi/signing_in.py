"""Signing in and out."""

from app.commands import Logout
from app.oauth.login import StartLogin
from app.oauth.tickets import RedeemTicket
from app.replies import CookieSession, Nothing, TokenSession
from core.errors import Code
from handlers.auth import ACTIONS
from handlers.openapi.operation import OF_WECHAT, Access, Form, Operation, Reply, data, query, query_of

SIGNED_IN = data(TokenSession | CookieSession, "Signed in: with tokens, or with cookies where `cookie` asked for them.")

LOCATION = {"Location": "where to"}

OF_LOGIN = (
    *OF_WECHAT,
    Code.BAD_ORIGIN,
    Code.WEAK_PASSWORD,
    Code.INVALID_USERNAME,
    Code.INVALID_WX_CODE,
    Code.WX_CODE_USED,
    Code.UNAUTHENTICATED,
    Code.REFRESH_INVALID,
    Code.WRONG_CREDENTIALS,
    Code.REFRESH_REUSED,
    Code.WX_USER_BLOCKED,
    Code.ACCOUNT_DISABLED,
    Code.NOT_REGISTERED,
    Code.USERNAME_TAKEN,
    Code.ALREADY_REGISTERED,
    Code.RATE_LIMITED,
    Code.TOO_MANY_ATTEMPTS,
    Code.OVERLOADED,
)

OPERATIONS = {
    "POST /api/auth": Operation(
        summary="Register, log in, refresh",
        says="`action` chooses. `register` and `login` take a `code` of `wx.login` or `username` and `password`; "
        "`autoLogin` takes a refresh token and gives a new pair. With `cookie`, a page of the team's own is signed in "
        "by cookies instead.",
        body={name: action.model for name, action in ACTIONS.items()},
        example={"action": "login", "code": "33dc6878ec2c81cc3d77e3892925b27a"},
        replies=(SIGNED_IN,),
        raises=OF_LOGIN,
    ),
    "POST /api/auth/ticket": Operation(
        summary="Redeem the ticket of a sign-in by redirect",
        says="Once and within a minute; `kaimenTicket` is in the query of the page that the login returned to.",
        body=RedeemTicket,
        example={"ticket": "01a1fa5ba7e173288adab63bcab0a6d1.qVXIHVAfJewtPJZjQDiuarLmm2E9DmcmYVZdaSgjFvg"},
        replies=(SIGNED_IN,),
        raises=(Code.REFRESH_INVALID, Code.ACCOUNT_DISABLED, Code.RATE_LIMITED, Code.DATABASE_UNAVAILABLE),
    ),
    "GET /oauth/{appid}/login": Operation(
        summary="Begin a sign-in through WeChat's OAuth",
        says="For an official account or a website app. The state is bound to the browser by a cookie.",
        parameters=query_of(
            StartLogin,
            scope="`userinfo` asks for nickname and avatar, with WeChat's consent page",
            return_to="where to return to: a local path, or an address of a listed origin",
            mode="`ticket` appends a `kaimenTicket` instead of setting cookies",
        ),
        replies=(Reply("To WeChat.", status=302, headers=LOCATION),),
        raises=(Code.UNKNOWN_APP, Code.RATE_LIMITED, Code.CACHE_UNAVAILABLE),
        failures=Form.PAGE,
    ),
    "GET /oauth/{appid}/callback": Operation(
        summary="Where WeChat sends the browser back to",
        parameters=(query("code", "WeChat's"), query("state", "ours")),
        replies=(Reply("To where the login was to return to, signed in.", status=302, headers=LOCATION),),
        raises=(
            *OF_WECHAT,
            Code.INVALID_WX_CODE,
            Code.WX_CODE_USED,
            Code.FORBIDDEN,
            Code.WX_USER_BLOCKED,
            Code.ACCOUNT_DISABLED,
            Code.NOT_REGISTERED,
            Code.RATE_LIMITED,
        ),
        failures=Form.PAGE,
    ),
    "POST /api/auth/logout": Operation(
        summary="Log out, here or everywhere",
        says="Ends this session, or all of the user's; every instance refuses them within a second.",
        access=Access.USER,
        body=Logout,
        example={"all": False},
        replies=(data(Nothing, "The session has ended."),),
    ),
}
