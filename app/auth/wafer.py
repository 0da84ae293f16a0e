"""Tencent's retired Wafer SDK: the login and the session of its clients (wafer2-client-sdk 1.x and 2.x).

A skey is built like the browser's cookie. Its client keeps it as it is and never gets another: the session slides on
at the checks all the same.
"""

from typing import Any

from app.auth.cookies import Cookies
from app.auth.grants import Client
from app.auth.sign_in import Auth
from app.auth.tokens import Claims
from app.commands import Login
from app.users.profile import Profiles
from core.errors import AppError


class Wafer:
    """``/weapp/login`` and ``/weapp/user``."""

    def __init__(self, auth: Auth, skeys: Cookies, profiles: Profiles) -> None:
        self._auth = auth
        self._skeys = skeys
        self._profiles = profiles

    async def login(self, command: Login, client: Client) -> dict[str, Any]:
        """``{skey, userinfo}``; raises what a login raises."""
        data = await self._auth.login(command, client)
        skey, _ = self._skeys.instead_of_tokens(data)
        return {"skey": skey.value, "userinfo": _userinfo(data["user"])}

    async def authenticate(self, skey: str) -> Claims:
        """Whose skey it is; raises 4010, 4015, 4034, 5001."""
        claims, _ = await self._skeys.read(skey)
        return claims

    async def userinfo(self, claims: Claims) -> dict[str, Any]:
        """The user in WeChat's form; raises 4010, 5001."""
        return _userinfo(await self._profiles.get(claims.sub))

    async def close(self) -> None:
        """Waits for checks under way."""
        await self._skeys.close()


def is_stale(error: AppError) -> bool:
    """Whether another login cures it."""
    return error.code.value.status == 401


def _userinfo(user: dict[str, Any]) -> dict[str, Any]:
    """As ``wx.getUserInfo`` has it since 2022, without openId and unionId."""
    return {
        "id": user["id"],
        "nickName": user["nickname"],
        "avatarUrl": user["avatarUrl"],
        "gender": 0,
        "language": "zh_CN",
        "city": "",
        "province": "",
        "country": "",
    }
