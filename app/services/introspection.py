"""Token introspection (RFC 7662): what a token stands for, without changing anything."""

from typing import Any

from app.auth.guard import SessionGuard
from app.auth.tokens import Claims, Tokens
from core.clock import Clock
from core.errors import AppError
from models import refreshes
from models.db import Database
from models.refreshes import Refresh, Refreshed

INACTIVE: dict[str, Any] = {"active": False}
NOT_GOOD = {401, 403}  # as HTTP statuses: forged, expired, revoked, its user disabled


class Introspection:
    """``await introspect(token)``; raises 5001 when nobody can tell."""

    def __init__(self, database: Database, clock: Clock, guard: SessionGuard, tokens: Tokens) -> None:
        self._database = database
        self._clock = clock
        self._guard = guard
        self._tokens = tokens

    async def introspect(self, token: str) -> dict[str, Any]:
        """The members of RFC 7662 §2.2, and ``roles``, ``sid``, ``appid``."""
        is_jwt = token.count(".") == 2 and token.startswith("eyJ")
        try:
            return await (self._access(token) if is_jwt else self._refresh(token))
        except AppError as error:
            if error.code.value.status in NOT_GOOD:
                return INACTIVE
            raise

    async def _access(self, token: str) -> dict[str, Any]:
        claims = await self._guard.authenticate(token)
        if claims.exp <= self._clock.now_ms() // 1000:
            return INACTIVE  # no leeway here: ``exp`` would contradict ``active``
        return self._active(claims, "Bearer", scope=" ".join(claims.roles), roles=list(claims.roles))

    async def _refresh(self, token: str) -> dict[str, Any]:
        parsed = self._tokens.parse_refresh(token)
        now = self._clock.now_ms()
        found = await refreshes.peek(
            self._database, Refresh(parsed.session_id, parsed.generation, parsed.key_id, now, 0)
        )
        return self._active(_claims(found), "refresh_token") if found else INACTIVE

    def _active(self, claims: Claims, token_type: str, **more: Any) -> dict[str, Any]:
        found = {
            "active": True,
            "token_type": token_type,
            "sub": claims.sub,
            "sid": claims.sid,
            "iss": self._tokens.issuer,
            "aud": self._tokens.audience,
            "iat": claims.iat,
            "exp": claims.exp,
            "auth_time": claims.auth_time,
            **more,
        }
        return {**found, "client_id": claims.appid, "appid": claims.appid} if claims.appid else found


def _claims(found: Refreshed) -> Claims:
    user, session = found.user, found.session
    issued, expires = session.rotated_at // 1000, min(session.expires_at, session.ends_at) // 1000
    return Claims(user.id, session.id, user.roles, session.appid, session.auth_at // 1000, expires, issued)
