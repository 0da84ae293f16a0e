"""Where every kind of sign-in ends: a session is written, and becomes what the client gets."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from app.auth.devices import device_mark
from app.auth.revocation import Revocations
from app.auth.tokens import Claims, Tokens
from app.crypto.sealing import Sealer
from app.users.views import UserViews, reseal_phone
from core.clock import Clock
from core.errors import AppError
from core.settings import Settings
from models.db import Database
from models.identities import Identity
from models.sessions import Session
from models.sign_ins import SignedIn, SignIn, SignIns

DEVICE_MAX = 255


@dataclass(frozen=True, slots=True)
class Client:
    """Who calls: address as shown, ``network`` as compared (exact IPv4, IPv6 /64), device as it names itself."""

    address: str
    network: str
    device: str


@dataclass(slots=True)
class Grant:
    """A successful sign-in, before it becomes tokens; ``warnings`` are errors of what came along with it."""

    signed_in: SignedIn
    warnings: list[AppError] = field(default_factory=list)

    @property
    def claims(self) -> Claims:
        """As its access token will say."""
        user, session = self.signed_in.user, self.signed_in.session
        return Claims(user.id, session.id, user.roles, session.appid, session.auth_at // 1000, 0)


class Grants:
    """Begins sessions; ``reply`` is the ``data`` of api/auth."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        sealer: Sealer,
        tokens: Tokens,
        revocations: Revocations,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._tokens = tokens
        self._revocations = revocations
        self._views = UserViews(sealer)
        self._sign_ins = SignIns(database, partial(reseal_phone, sealer), settings.max_sessions)

    async def close(self) -> None:
        """Waits for writes under way."""
        await self._sign_ins.close()

    async def begin(
        self, client: Client, method: str, identity: Identity | None = None, session_id: str = "", **how: Any
    ) -> SignedIn:
        """A new session of whom ``identity`` or ``how`` names, see ``SignIn``; raises what ``SignIns.write`` does.

        ``session_id`` where the session's id is fixed already: it is opened once.
        """
        signed_in = await self._sign_ins.write(self._sign_in(client, method, identity, session_id, **how))
        self._revocations.add(list(signed_in.ended), "too_many")
        return signed_in

    def _sign_in(self, client: Client, method: str, identity: Identity | None, session_id: str, **how: Any) -> SignIn:
        now = self._clock.now_ms()
        ends_at = now + self._settings.session_max_s * 1000
        session = Session(
            id=session_id or self._clock.new_id(),
            user_id="",
            appid=identity.appid if identity else None,
            openid=identity.openid if identity else None,
            generation=0,
            refresh_key=self._tokens.refresh_key,
            auth_method=method,
            auth_at=now,
            created_at=now,
            rotated_at=now,
            expires_at=min(now + self._settings.refresh_ttl_s * 1000, ends_at),
            ends_at=ends_at,
            device=client.device[:DEVICE_MAX],
            address=client.address,
        )
        mark = device_mark(client.device, client.address)
        return SignIn(session, self._clock.new_id(), identity, device_mark=mark, **how)

    def reply(self, grant: Grant) -> dict[str, Any]:
        """Its tokens and its user; ``warnings`` only where there are any."""
        user, session = grant.signed_in.user, grant.signed_in.session
        data: dict[str, Any] = {
            "accessToken": self._tokens.sign_access(user, session),
            "tokenType": "Bearer",
            "expiresIn": min(self._tokens.ttl_s, (session.ends_at - self._clock.now_ms()) // 1000),
            "refreshToken": self._tokens.make_refresh(session),
            "refreshExpiresIn": (session.expires_at - self._clock.now_ms() + 500) // 1000,
            "sessionId": session.id,
            "isNewUser": grant.signed_in.is_new_user,
            "user": self._views.public(user),
        }
        if grant.warnings:
            data["warnings"] = [_warning(error) for error in grant.warnings]
        return data


def _warning(error: AppError) -> dict[str, Any]:
    warning: dict[str, Any] = {"code": error.code.value.number, "error": error.code.error}
    return {**warning, "data": error.data} if error.data else warning
