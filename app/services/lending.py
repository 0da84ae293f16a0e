"""The one central access_token of an app, lent to other deployments and services."""

import base64
from typing import Any

from app.apps import Apps
from app.wechat.access_token import AccessTokens
from app.wechat.client import TokenRefused, WeChatClient
from core.clock import Deadline
from core.errors import AppError
from core.settings import App

NO_SESSION_KEY = base64.b64encode(bytes(16)).decode()


class TokenLending:
    """``await lend(appid, stale, deadline)``."""

    def __init__(self, apps: Apps, wechat: WeChatClient, access_tokens: AccessTokens) -> None:
        self._apps = apps
        self._wechat = wechat
        self._access_tokens = access_tokens

    async def lend(self, appid: str, stale: str | None, deadline: Deadline) -> dict[str, Any]:
        """A token and the seconds it lives; raises 4042, 5020, 5030, 5040.

        A caller's word alone ends no token: if ``stale`` is still ours, WeChat is asked, and a new one is fetched (or
        forced, see ``AccessTokens``) only if WeChat itself refuses it.
        """
        app = self._apps.get(appid)
        if stale is None:
            await self._access_tokens.get(app, deadline)
        else:
            await self._access_tokens.call(app, deadline, lambda token: self._probe(app, token, stale, deadline))
        held = self._access_tokens.held(appid)
        return {"accessToken": held.token, "expiresIn": held.expires_in_s}

    async def _probe(self, app: App, token: str, stale: str, deadline: Deadline) -> None:
        """Raises ``TokenRefused`` if WeChat refuses the token; whatever else it says of this empty question."""
        if token != stale:
            return
        try:
            await self._wechat.check_session(app, token, "probe", NO_SESSION_KEY, deadline)
        except TokenRefused:
            raise
        except AppError:
            return
