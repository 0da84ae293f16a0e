"""Binds a WeChat user to the account that is signed in, and takes a binding away."""

from functools import partial
from typing import Any

from app.accounts.commands import Bind, Unbind
from app.accounts.proof import RecentLogin, proven_identity
from app.apps import Apps
from app.auth.revocation import Revocations
from app.auth.tokens import Claims
from app.crypto.sealing import BlindIndex, Sealer
from app.users.profile import Profiles
from app.users.views import reseal_phone
from app.wechat.client import WeChatClient
from core.clock import Clock, Deadline
from models import bindings
from models.bindings import Unbinding
from models.db import Database
from models.merges import Occasion


class Bindings:
    """``/api/user/bind``; both need a recent login (4035)."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sealer: Sealer,
        index: BlindIndex,
        apps: Apps,
        wechat: WeChatClient,
        revocations: Revocations,
        profiles: Profiles,
    ) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._index = index
        self._apps = apps
        self._wechat = wechat
        self._revocations = revocations
        self._profiles = profiles
        self._recent = RecentLogin(database, clock)

    async def bind(self, claims: Claims, command: Bind, address: str, deadline: Deadline) -> dict[str, Any]:
        """The profile with the binding in it; raises 4092 if it is someone else's.

        The code goes to WeChat without the claims of ``CodeExchange``: they give a repeated call the session of the
        first, and here is none to give. Binding again with a fresh code changes nothing, so a lost reply costs one
        more ``wx.login``; WeChat itself refuses a code that was used before.
        """
        await self._recent.require(claims)
        app = self._apps.get_miniprogram(command.appid)
        session = await self._wechat.code2session(app, command.code, deadline)
        identity = proven_identity(self._sealer, self._index, app, session)
        occasion = Occasion(self._clock.now_ms(), partial(reseal_phone, self._sealer), address)
        user_id = await bindings.bind_identity(self._database, claims.sub, identity, occasion)
        return await self._profiles.get(user_id)

    async def unbind(self, claims: Claims, command: Unbind, address: str) -> dict[str, Any]:
        """The profile without the binding; raises 4040 and 4094. Other sessions that it opened end."""
        session = await self._recent.require(claims)
        usable = self._apps.appids
        what = Unbinding(claims.sub, command.appid, usable, session.id, address, self._clock.now_ms())
        self._revocations.add(await bindings.unbind_identity(self._database, what), "unbound")
        return await self._profiles.get(claims.sub)
