"""Proofs that an account's owner is at hand: a recent login, and identities as WeChat's reply gave them."""

from app.auth.tokens import Claims
from app.crypto.sealing import BlindIndex, Sealer
from app.users.open_data import session_key_context
from app.wechat.wire import Code2Session
from core.clock import Clock
from core.errors import AppError, Code
from core.settings import App
from models import sessions
from models.db import Database
from models.identities import Identity
from models.sessions import Session

RECENT_MS = 5 * 60_000


class RecentLogin:
    """What cannot be undone asks for a login of the last 5 minutes; a stolen token is not enough."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def require(self, claims: Claims, method: str | None = None) -> Session:
        """The session; raises 4035 unless it was opened in the last 5 minutes (by ``method``), 4015 and 4011."""
        session = await sessions.find_session(self._database, claims.sid)
        if session is None or session.ended_at is not None:
            raise AppError(Code.SESSION_REVOKED)
        if session.user_id != claims.sub:
            raise AppError(Code.TOKEN_EXPIRED, cause="the user was merged into another")
        if self._clock.now_ms() - session.auth_at > RECENT_MS or method not in (None, session.auth_method):
            raise AppError(Code.REAUTH_REQUIRED)
        return session


def proven_identity(sealer: Sealer, index: BlindIndex, app: App, session: Code2Session) -> Identity:
    """The identity behind a code, its session_key sealed."""
    sealed = sealer.seal(session.session_key, session_key_context(app.appid, session.openid))
    return Identity(app.appid, session.openid, app.kind, session.unionid, sealed, index.of(session.session_key))
