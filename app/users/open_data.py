"""Open data of a signed-in user: finds the right session_keys and decrypts."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from app.apps import Apps
from app.auth.tokens import Claims
from app.crypto.open_data import decrypt_open_data
from app.crypto.sealing import CannotUnseal, Sealer
from app.users.views import reseal_phone
from core.clock import Clock
from models import bindings, identities, sessions, users
from models.db import Database
from models.merges import Occasion

HIDDEN = ("openId", "unionId", "watermark")


def session_key_context(appid: str, openid: str) -> str:
    """Where a sealed session_key belongs."""
    return f"identities/{appid}/{openid}"


@dataclass(frozen=True, slots=True)
class Opened:
    """Open data whole, and the user it belongs to: another than before when its unionid merged two users."""

    data: dict[str, Any]
    user_id: str


class OpenData:
    """``open`` raises 4003 with its reason, 4042 and 5001."""

    def __init__(self, database: Database, sealer: Sealer, apps: Apps, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._apps = apps
        self._clock = clock

    async def open(
        self,
        claims: Claims,
        appid: str | None,
        encrypted_data: str,
        iv: str,
        raw_data: str | None = None,
        signature: str | None = None,
    ) -> Opened:
        """The open data under the keys of the session's identity or of the user's identity in ``appid``."""
        app = self._apps.get_miniprogram(appid or claims.appid)
        openid = await self._find_openid(claims, app.appid)
        keys = await self._find_keys(app.appid, openid) if openid else []
        now_ms = self._clock.now_ms()
        data = decrypt_open_data(
            keys, app.appid, encrypted_data, iv, now_ms=now_ms, raw_data=raw_data, signature=signature
        )
        return Opened(data, await self._learn(claims.sub, app.appid, openid, data))

    async def _learn(self, user_id: str, appid: str, openid: str | None, data: dict[str, Any]) -> str:
        """Notes the unionid in the data if the data is the identity's own; the id of the user then."""
        unionid = data.get("unionId")
        if not openid or data.get("openId") != openid or not isinstance(unionid, str) or not unionid:
            return user_id
        occasion = Occasion(self._clock.now_ms(), partial(reseal_phone, self._sealer))
        await bindings.learn_unionid(self._database, (appid, openid), unionid, occasion)
        survivors = await users.find_survivors(self._database, [user_id])
        return survivors[user_id].id if user_id in survivors else user_id

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
