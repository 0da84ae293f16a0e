"""The group commit of refreshes: compare and increment the generation of many sessions in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.errors import AppError, Code
from models import sessions, users
from models.batch import Batcher
from models.db import Database, Tx
from models.sessions import Session
from models.users import User

GRACE_MS = 10_000
LINGER_S = 0.004


@dataclass(frozen=True, slots=True)
class Refresh:
    """A refresh token whose MAC was right, brought at ``at`` (ms); ``ttl_ms`` is the sliding life it gains."""

    session_id: str
    generation: int
    refresh_key: str
    at: int
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The session after the rotation, and its user."""

    session: Session
    user: User


class Refreshes:
    """``await write(refresh)``; raises 4012, 4014 (the caller then ends the session), 4034 and 5001."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batcher: Batcher[Refresh, Refreshed] = Batcher(
            self._commit, name="refresh", max_items=64, linger_s=LINGER_S
        )

    async def write(self, refresh: Refresh) -> Refreshed:
        """Durable when it returns."""
        return await self._batcher.submit(refresh)

    async def close(self) -> None:
        """Waits for what is under way."""
        await self._batcher.close()

    async def _commit(self, items: list[Refresh]) -> Sequence[Refreshed | Exception]:
        return await self._database.run(lambda tx: _rotate(tx, items))


async def peek(database: Database, item: Refresh) -> Refreshed | None:
    """The session behind a refresh token as it is, None where a refresh would be refused; changes nothing."""
    session = await sessions.find_session(database, item.session_id)
    if session is None:
        return None
    owners = await users.find_users(database, [session.user_id])
    decided = _decide(item, replace(session), owners, {})
    return Refreshed(session, decided.user) if isinstance(decided, Refreshed) else None


async def _rotate(tx: Tx, items: list[Refresh]) -> list[Refreshed | Exception]:
    locked = await sessions.lock_sessions(tx, [item.session_id for item in items])
    owners = await users.find_users(tx, list({session.user_id for session in locked.values()}))
    rotated: dict[str, Session] = {}
    now = max(item.at for item in items)  # one moment for all, so that one statement serves all
    results = [_decide(replace(item, at=now), locked.get(item.session_id), owners, rotated) for item in items]
    if rotated:
        await sessions.rotate_sessions(tx, list(rotated.values()))
    return results


def _decide(
    item: Refresh, session: Session | None, owners: dict[str, User], rotated: dict[str, Session]
) -> Refreshed | Exception:
    if session is None or _is_over(item, session) or item.refresh_key != session.refresh_key:
        return AppError(Code.REFRESH_INVALID, cause="unknown, expired or revoked")
    user = owners.get(session.user_id)
    if user is None or user.disabled_at is not None:
        return AppError(Code.ACCOUNT_DISABLED if user else Code.REFRESH_INVALID, user_id=session.user_id)
    behind = session.generation - item.generation
    if behind == 0:
        session.generation += 1
        session.rotated_at = item.at
        session.expires_at = min(item.at + item.ttl_ms, session.ends_at)
        rotated[session.id] = session
    elif behind != 1 or item.at - session.rotated_at > GRACE_MS:
        code = Code.REFRESH_REUSED if behind > 0 else Code.REFRESH_INVALID
        cause = f"generation {item.generation} of {session.generation}"
        return AppError(code, cause=cause, user_id=session.user_id)
    return Refreshed(session, user)


def _is_over(item: Refresh, session: Session) -> bool:
    return session.ended_at is not None or item.at >= min(session.expires_at, session.ends_at)
