"""A user's own tokens at WeChat: kept sealed beside the identity, refreshed when they are needed.

Only those that open the profile (snsapi_userinfo, snsapi_login) are kept: the token of a silent login opens nothing.
"""

import json
from dataclasses import dataclass, field

from app.crypto.sealing import CannotUnseal, Sealer
from app.wechat.client import WeChatClient
from app.wechat.oauth_wire import OAuthToken
from core.clock import Clock, Deadline
from core.errors import AppError, Code
from core.settings import App
from models import identities
from models.db import Database


def tokens_context(appid: str, openid: str) -> str:
    """Where sealed tokens belong."""
    return f"identities/{appid}/{openid}/oauth"


@dataclass(frozen=True, slots=True)
class _Kept:
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: int


class UserTokens:
    """``seal`` makes what is stored, ``find`` gives an access_token that works."""

    def __init__(self, database: Database, clock: Clock, sealer: Sealer, wechat: WeChatClient) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._wechat = wechat

    def seal(self, app: App, token: OAuthToken) -> str | None:
        """What is stored of a token; None if it opens nothing."""
        return self._seal(app, token) if token.opens_profile else None

    async def find(self, app: App, openid: str, deadline: Deadline) -> str | None:
        """An access_token that opens the user's profile, None if the user has to agree again.

        Raises 5020, 5030, 5040 when WeChat cannot be asked.
        """
        sealed = await identities.find_oauth_tokens(self._database, app.appid, openid)
        kept = self._open(app, openid, sealed) if sealed else None
        if sealed is None or kept is None:
            return None
        is_young = self._clock.now_ms() < kept.expires_at
        if is_young and await self._wechat.check_oauth(app, kept.access_token, openid, deadline):
            return kept.access_token
        return await self._refresh(app, openid, sealed, kept, deadline)

    async def _refresh(self, app: App, openid: str, sealed: str, kept: _Kept, deadline: Deadline) -> str | None:
        try:
            token = await self._wechat.refresh_oauth(app, kept.refresh_token, deadline)
        except AppError as error:
            if error.code is not Code.INVALID_WX_CODE:
                raise
            await identities.replace_oauth_tokens(self._database, (app.appid, openid), sealed, None)
            return None
        if token.openid != openid:
            raise AppError(Code.WX_BAD_REPLY, cause="the refreshed token is another user's")
        await identities.replace_oauth_tokens(self._database, (app.appid, openid), sealed, self._seal(app, token))
        return token.access_token

    def _seal(self, app: App, token: OAuthToken) -> str:
        expires_at = self._clock.now_ms() + token.expires_in_s * 1000
        text = json.dumps([token.access_token, token.refresh_token, expires_at])
        return self._sealer.seal(text, tokens_context(app.appid, token.openid))

    def _open(self, app: App, openid: str, sealed: str) -> _Kept | None:
        try:
            return _Kept(*json.loads(self._sealer.unseal(sealed, tokens_context(app.appid, openid))))
        except CannotUnseal:  # under a master key that is lost
            return None
