"""Sessions that exist: whether one still counts, and its end."""

from app.auth.revocation import REPLACED, Revocations
from app.auth.tokens import Claims, Tokens
from app.commands import Logout
from core.clock import Clock
from models import sessions
from models.db import Database


class SessionGuard:
    """Asks the revocation feed, and feeds it."""

    def __init__(self, database: Database, clock: Clock, tokens: Tokens, revocations: Revocations) -> None:
        self._database = database
        self._clock = clock
        self._tokens = tokens
        self._revocations = revocations

    async def authenticate(self, token: str) -> Claims:
        """The claims of an access token that counts now; raises 4010, 4011, 4015, and 5001 if nobody can tell."""
        claims = self._tokens.verify_access(token)
        await self.check_session(claims)
        return claims

    async def check_session(self, claims: Claims) -> None:
        """Raises 4015 if the session has ended, 4011 if it is another user's by now, 5001 if nobody can tell."""
        await self._revocations.check(claims.sid, claims.sub)

    async def logout(self, claims: Claims, command: Logout) -> None:
        """Ends this session, or all of the user's; refused everywhere within a second of the answer."""
        ids = None if command.all else [claims.sid]
        await self._end_of(claims.sub, ids, "logout")

    async def replace(self, session_id: str) -> None:
        """Ends the session of a cookie that another has taken the place of."""
        await self.end(session_id, REPLACED)

    async def end(self, session_id: str, reason: str) -> None:
        """Ends this one, if there is such a session."""
        session = await sessions.find_session(self._database, session_id)
        if session:
            await self._end_of(session.user_id, [session_id], reason)

    async def _end_of(self, user_id: str, ids: list[str] | None, reason: str) -> None:
        ended = await sessions.end_sessions(self._database, user_id, ids, reason, self._clock.now_ms())
        self._revocations.add(ended, reason)
