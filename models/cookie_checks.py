"""The group commit of cookie checks: many cookies are held against their session rows in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import AppError, Code
from models import sessions, users
from models.batch import Batcher
from models.db import Database, Tx
from models.sessions import Session
from models.users import User


@dataclass(frozen=True, slots=True)
class CookieCheck:
    """A cookie whose MAC was right, brought at ``at`` (ms); ``ttl_ms`` is the sliding life its session gains."""

    session_id: str
    generation: int
    at: int
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class Checked:
    """The session, seen just now, and its user."""

    session: Session
    user: User


class CookieChecks:
    """``await check(item)``; raises 4010, 4015, 4034 and 5001."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batcher: Batcher[CookieCheck, Checked] = Batcher(self._commit, name="cookie", max_items=64)

    async def check(self, item: CookieCheck) -> Checked:
        """The session lives on from now."""
        return await self._batcher.submit(item)

    async def close(self) -> None:
        """Waits for what is under way."""
        await self._batcher.close()

    async def _commit(self, items: list[CookieCheck]) -> Sequence[Checked | Exception]:
        return await self._database.run(lambda tx: _check(tx, items))


async def _check(tx: Tx, items: list[CookieCheck]) -> list[Checked | Exception]:
    locked = await sessions.lock_sessions(tx, [item.session_id for item in items])
    owners = await users.find_users(tx, list({session.user_id for session in locked.values()}))
    results = [_decide(item, locked.get(item.session_id), owners) for item in items]
    seen = {result.session.id for result in results if isinstance(result, Checked)}
    if seen:
        last = items[-1]
        await sessions.touch_sessions(tx, sorted(seen), last.at, last.at + last.ttl_ms)
    return results


def _decide(item: CookieCheck, session: Session | None, owners: dict[str, User]) -> Checked | Exception:
    if session is None or item.generation != session.generation:
        return AppError(Code.UNAUTHENTICATED, cause="a cookie of an unknown session or generation")
    if session.ended_at is not None or item.at >= min(session.expires_at, session.ends_at):
        return AppError(Code.SESSION_REVOKED, cause="ended or expired")
    user = owners.get(session.user_id)
    if user is None or user.disabled_at is not None:
        return AppError(Code.ACCOUNT_DISABLED if user else Code.UNAUTHENTICATED)
    session.expires_at = min(item.at + item.ttl_ms, session.ends_at)
    return Checked(session, user)
