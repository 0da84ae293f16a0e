"""Open data of a signed-in user: finds the right session_keys and decrypts."""

from typing import Any

from app.apps import Apps
from app.auth.tokens import Claims
from app.crypto.open_data import decrypt_open_data
from app.crypto.sealing import CannotUnseal, Sealer
from core.clock import Clock
from models import identities, sessions
from models.db import Database

HIDDEN = ("openId", "unionId", "watermark")


def session_key_context(appid: str, openid: str) -> str:
    """Where a sealed session_key belongs."""
    return f"identities/{appid}/{openid}"


class OpenData:
    """``decrypt`` raises 4003 with its reason, 4042 and 5001."""

    def __init__(self, database: Database, sealer: Sealer, apps: Apps, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._apps = apps
        self._clock = clock

    async def decrypt(
        self,
        claims: Claims,
        appid: str | None,
        encrypted_data: str,
        iv: str,
        raw_data: str | None = None,
        signature: str | None = None,
    ) -> dict[str, Any]:
        """The open data whole, under the keys of the session's identity or of the user's identity in ``appid``."""
        app = self._apps.get_miniprogram(appid or claims.appid)
        openid = await self._find_openid(claims, app.appid)
        keys = await self._find_keys(app.appid, openid) if openid else []
        now_ms = self._clock.now_ms()
        return decrypt_open_data(
            keys, app.appid, encrypted_data, iv, now_ms=now_ms, raw_data=raw_data, signature=signature
        )

    async def _find_openid(self, claims: Claims, appid: str) -> str | None:
        if claims.appid == appid:
            session = await sessions.find_session(self._database, claims.sid)
            if session and session.openid:
                return session.openid
        return await identities.find_openid(self._database, claims.sub, appid)

    async def _find_keys(self, appid: str, openid: str) -> list[str]:
        keys = []
        for sealed in await identities.find_session_keys(self._database, appid, openid):
            try:
                keys.append(self._sealer.unseal(sealed, session_key_context(appid, openid)))
            except CannotUnseal:  # reads as "no kept key": the next wx.login brings one that can be opened
                continue
        return keys


def without_identity(data: dict[str, Any]) -> dict[str, Any]:
    """What may be shown to the client."""
    return {name: value for name, value in data.items() if name not in HIDDEN}
