"""Nicknames, checked by WeChat where the settings ask for it."""

from app.apps import Apps
from app.auth.tokens import Claims
from app.wechat.access_token import AccessTokens
from app.wechat.client import WeChatClient
from core.clock import Deadline
from core.errors import AppError, Code
from core.settings import App
from models import identities
from models.db import Database

RISKY = "risky"


class NicknameCheck:
    """``check`` does nothing with ``on=False``, nor for users whom no mini-program knows: WeChat asks for an openid."""

    def __init__(
        self, database: Database, apps: Apps, wechat: WeChatClient, access_tokens: AccessTokens, *, on: bool
    ) -> None:
        self._database = database
        self._apps = apps
        self._wechat = wechat
        self._access_tokens = access_tokens
        self._on = on

    async def check(self, claims: Claims, nickname: str, deadline: Deadline) -> None:
        """Raises 4000 (``reason: risky_content``), 4035 for somebody who was not in the mini-program for two hours,
        and 5020, 5030, 5040: what cannot be checked is not taken.
        """
        app = self._apps.find_miniprogram(claims.appid) if self._on else None
        openid = await identities.find_openid(self._database, claims.sub, app.appid) if app else None
        if app is None or openid is None:
            return
        if await self._ask(app, openid, nickname, deadline) == RISKY:
            raise AppError(Code.INVALID_REQUEST, field="nickname", reason="risky_content")

    async def _ask(self, app: App, openid: str, nickname: str, deadline: Deadline) -> str:
        return await self._access_tokens.call(
            app, deadline, lambda token: self._wechat.msg_sec_check(app, token, openid, nickname, deadline)
        )
