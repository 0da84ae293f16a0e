"""A user's own sessions: what is open where, and the end of one."""

from typing import Any

from app.auth.devices import name_device
from app.auth.revocation import Revocations
from app.auth.tokens import Claims
from app.users.views import rfc3339
from core.clock import Clock
from core.errors import AppError, Code
from models import sessions
from models.db import Database
from models.sessions import Session


class SessionList:
    """``/api/sessions``."""

    def __init__(self, database: Database, revocations: Revocations, clock: Clock) -> None:
        self._database = database
        self._revocations = revocations
        self._clock = clock

    async def of(self, claims: Claims) -> dict[str, Any]:
        """``{sessions: […]}``, the one used last first."""
        found = await sessions.find_open_sessions(self._database, claims.sub, self._clock.now_ms())
        found.sort(key=_seen_at, reverse=True)
        return {"sessions": [_view(one, claims) for one in found]}

    async def end(self, claims: Claims, session_id: str) -> None:
        """Ends one of the user's own sessions; raises 4040 for any other."""
        reason = "logout"
        ended = await sessions.end_sessions(self._database, claims.sub, [session_id], reason, self._clock.now_ms())
        if not ended:
            raise AppError(Code.NOT_FOUND)
        self._revocations.add(ended, reason)


def _seen_at(session: Session) -> int:
    return max(session.rotated_at, session.seen_at)


def _view(session: Session, claims: Claims) -> dict[str, Any]:
    return {
        "id": session.id,
        "device": name_device(session.device),
        "address": session.address,
        "createdAt": rfc3339(session.created_at),
        "lastSeenAt": rfc3339(_seen_at(session)),
        "current": session.id == claims.sid,
    }
