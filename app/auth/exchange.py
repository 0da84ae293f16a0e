"""A code is exchanged once, however often it is sent.

Retries from the same client address within 30 s join the first exchange: in this process by its future, from
other instances by the claim in Redis. Later, or from elsewhere, the code counts as used (4005). With Redis away
each process still joins its own; WeChat itself refuses a second exchange (40163).
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from core.clock import Clock
from core.errors import AppError, Code
from models import codes, sessions, users
from models.codes import Claim
from models.db import Database
from models.kv import Kv
from models.sign_ins import SignedIn

JOIN_MS = 30_000
POLL_S = 0.05
FINAL = {  # the code is spent or worthless: the same answer for who joins
    Code.INVALID_WX_CODE,
    Code.WX_CODE_USED,
    Code.WX_USER_BLOCKED,
    Code.ALREADY_REGISTERED,
    Code.NOT_REGISTERED,
    Code.USERNAME_TAKEN,
    Code.ACCOUNT_DISABLED,
}
BY_NUMBER = {code.value.number: code for code in Code}
Start = Callable[[], Awaitable[SignedIn]]


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What a code led to; ``joined`` when another call had exchanged it."""

    signed_in: SignedIn
    joined: bool


@dataclass(frozen=True, slots=True)
class _Flight:
    mine: Claim
    future: "asyncio.Future[SignedIn]"


class CodeExchange:
    """``once`` runs ``start`` for the first who brings a code and gives the others its result."""

    def __init__(self, kv: Kv, database: Database, clock: Clock, *, patience_s: float) -> None:
        self._kv = kv
        self._database = database
        self._clock = clock
        self._patience_ms = int(patience_s * 1000)  # by then the instance that exchanges has finished or died
        self._flights: dict[str, _Flight] = {}

    async def once(self, appid: str, code: str, action: str, network: str, start: Start) -> Exchanged:
        """``network`` is the client's exact IPv4 or its IPv6 /64. Raises what ``start`` raises, and 4005."""
        key = codes.code_key(appid, code)
        mine = Claim("pending", action, network, self._clock.now_ms())
        flight = self._flights.get(key)
        if flight:
            _check_same(flight.mine, mine)
            return Exchanged(await asyncio.shield(flight.future), joined=True)
        return await self._fly(key, mine, start)

    async def _fly(self, key: str, mine: Claim, start: Start) -> Exchanged:
        future: asyncio.Future[SignedIn] = asyncio.get_running_loop().create_future()
        self._flights[key] = _Flight(mine, future)
        try:
            exchanged = await self._claim_and_start(key, mine, start)
            future.set_result(exchanged.signed_in)
            return exchanged
        except BaseException as error:
            future.set_exception(error if isinstance(error, Exception) else AppError(Code.WX_CODE_USED))
            future.exception()  # nobody may be waiting for it
            raise
        finally:
            del self._flights[key]

    async def _claim_and_start(self, key: str, mine: Claim, start: Start) -> Exchanged:
        standing = await self._claim(key, mine)
        if standing is not None:
            return Exchanged(await self._join(key, mine, standing), joined=True)
        try:
            signed_in = await start()
        except AppError as error:
            await self._give_up(key, mine, error)
            raise
        session_id, is_new = signed_in.session.id, signed_in.is_new_user
        await self._settle(key, mine, Claim("done", mine.action, mine.by, 0, session_id, is_new))
        return Exchanged(signed_in, joined=False)

    async def _claim(self, key: str, mine: Claim) -> Claim | None:
        try:
            return await codes.claim(self._kv, key, mine)
        except AppError:
            return None

    async def _find_claim(self, key: str) -> Claim | None:
        try:
            return await codes.find_claim(self._kv, key)
        except AppError:
            return None

    async def _settle(self, key: str, mine: Claim, outcome: Claim) -> None:
        try:
            await codes.settle(self._kv, key, replace(outcome, at=self._clock.now_ms()))
        except AppError:  # a retry will hear 4005 from WeChat and log in anew: nothing is lost
            return

    async def _give_up(self, key: str, mine: Claim, error: AppError) -> None:
        if error.code in FINAL:
            await self._settle(key, mine, Claim("refused", mine.action, mine.by, 0, code=error.code.value.number))
            return
        try:
            await codes.release(self._kv, key)
        except AppError:
            return

    async def _join(self, key: str, mine: Claim, standing: Claim) -> SignedIn:
        _check_same(standing, mine)
        while standing.state == "pending":
            if self._clock.now_ms() - standing.at > self._patience_ms:
                raise AppError(Code.WX_CODE_USED, cause="the instance that was exchanging it is gone")
            await asyncio.sleep(POLL_S)
            found = await self._find_claim(key)
            if found is None:
                raise AppError(Code.WX_CODE_USED, cause="its exchange failed")
            standing = found
        if self._clock.now_ms() - standing.at > JOIN_MS:
            raise AppError(Code.WX_CODE_USED, cause="outside the retry window")
        if standing.state == "refused":
            raise AppError(BY_NUMBER[standing.code], cause="as the call it joined")
        return await self._resume(standing)

    async def _resume(self, done: Claim) -> SignedIn:
        session = await sessions.find_session(self._database, done.session_id)
        if session is None or session.ended_at is not None:
            raise AppError(Code.WX_CODE_USED, cause="its session has ended")
        user = (await users.find_users(self._database, [session.user_id])).get(session.user_id)
        if user is None:
            raise AppError(Code.WX_CODE_USED, cause="its user is gone")
        return SignedIn(user, session, done.is_new_user)


def _check_same(standing: Claim, mine: Claim) -> None:
    if (standing.by, standing.action) != (mine.by, mine.action):
        raise AppError(Code.WX_CODE_USED, cause="brought from elsewhere or for another action")
