"""One access_token (and one jsapi_ticket) per appid for all instances: fetched once, shared through Redis, renewed
when refused.

``stable_token`` in normal mode gives everybody the same token, so it is always safe to ask. Forcing a new
one ends the old one for everybody: only after the same token was refused twice with a normal renewal
between, and at most every 10 minutes. See base/api_getstableaccesstoken.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from app.crypto.sealing import CannotUnseal
from app.wechat.client import TokenRefused, WeChatClient
from app.wechat.wire import AccessToken, App
from core.clock import Clock, Deadline
from core.errors import AppError, Code
from core.observe import metrics
from models.kv import Kv
from models.wx_tokens import Lease, StoredToken, WxTokens

FETCH_S = 10.0  # below the lock's 15 s: whoever answers later than this has no lock to store under
SHARED_S = 20.0  # a wait for another instance outlives its lock
POLL_S = (0.03, 0.05)
RENEW_BEFORE_MS = 300_000  # WeChat hands out the next token in the last 5 minutes
MAX_TRIES = 5

T = TypeVar("T")


class StableToken(Protocol):
    """The part of WeChatClient that is needed here."""

    async def stable_token(self, app: App, deadline: Deadline, force_refresh: bool = False) -> AccessToken:
        """See WeChatClient."""


class Elsewhere(Protocol):
    """Another deployment that has the token of some apps, so that only it asks WeChat."""

    def serves(self, appid: str) -> bool:
        """Whether this app's token comes from there."""

    async def fetch(self, app: App, stale: str, deadline: Deadline) -> AccessToken:
        """Its token; ``stale`` names one that WeChat refused. Raises 5020, 5030, 5040."""


class Sealer(Protocol):
    """Sealing at rest; ``context`` ties a sealed text to its place."""

    def seal(self, text: str, context: str) -> str:
        """The text as it may be stored."""

    def unseal(self, sealed: str, context: str) -> str:
        """The text. Raises CannotUnseal."""


@dataclass(frozen=True, slots=True)
class _Held:
    token: str = field(repr=False)
    renew_at: float
    expires_at: int
    version: int


class SharedTokens(ABC):
    """The tokens of one family that this process holds, and the way to new ones."""

    def __init__(self, family: str, kv: Kv, clock: Clock, seal: Sealer) -> None:
        self._family = family
        self._stored = WxTokens(kv, clock, family)
        self._clock = clock
        self._seal = seal
        self._held: dict[str, _Held] = {}
        self._flights: dict[tuple[str, str, bool], asyncio.Task[str]] = {}
        self._share = clock.jitter(0.2, 1.0)  # instances renew 60 to 300 s ahead, not all at once

    async def get(self, app: App, deadline: Deadline) -> str:
        """A token that should work. Raises 5020, 5030, 5040 if there is none and WeChat gives none."""
        held = self._held.get(app.appid)
        if held and self._clock.now_ms() < held.renew_at:
            return held.token
        try:
            return await self._shared(app, "", False, deadline)
        except AppError:
            if held and self._clock.now_ms() < held.expires_at:
                return held.token
            raise

    async def renew(self, app: App, stale_token: str, deadline: Deadline) -> str:
        """The token after ``stale_token``; asks WeChat only if nobody has a newer one.

        May be the same token again, if that is what WeChat says is current.
        """
        held = self._held.get(app.appid)
        if held and held.token != stale_token and self._clock.now_ms() < held.expires_at:
            return held.token
        return await self._shared(app, stale_token, False, deadline)

    @abstractmethod
    async def _ask(self, app: App, stale: str, force: bool, deadline: Deadline) -> AccessToken:
        """A token from WeChat; ``stale`` names one that was refused, ``force`` ends it for everybody."""

    async def call(self, app: App, deadline: Deadline, fn: Callable[[str], Awaitable[T]]) -> T:
        """``fn(token)``, again with a renewed token when it raises TokenRefused.

        Raises what ``fn`` raises; TokenRefused (5020) when even a forced token is refused, or none may be forced.
        """
        token = await self.get(app, deadline)
        refused_before = ""
        forced = False
        for _ in range(MAX_TRIES):
            try:
                return await fn(token)
            except TokenRefused as error:
                refusal = error
                metrics.ACCESS_TOKEN_REFUSED.inc(app.appid)
            if forced:
                break
            forced = token == refused_before
            refused_before = token
            token = await self._after_refusal(app, token, forced, deadline)
        raise refusal

    def held(self, appid: str) -> AccessToken:
        """The token that ``get`` or ``call`` was last given, with the seconds it still lives."""
        held = self._held[appid]
        return AccessToken(held.token, max(0, (held.expires_at - self._clock.now_ms()) // 1000))

    async def close(self) -> None:
        """Gives up what is being fetched."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def _after_refusal(self, app: App, token: str, force: bool, deadline: Deadline) -> str:
        if force:
            return await self._shared(app, token, True, deadline)
        return await self.renew(app, token, deadline)

    async def _shared(self, app: App, stale: str, force: bool, deadline: Deadline) -> str:
        """Joins the fetch under way, or starts it; it goes on when a caller gives up."""
        key = (app.appid, stale, force)
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.create_task(self._refresh(app, stale, force))
            flight.add_done_callback(lambda done: self._land(key, done))
        await asyncio.wait([flight], timeout=deadline.remaining_s())
        if not flight.done():
            raise AppError(Code.WX_TIMEOUT, cause="no access_token in time")
        return flight.result()

    def _land(self, key: tuple[str, str, bool], flight: "asyncio.Task[str]") -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # its callers raise it; if all gave up, nobody needs to

    async def _refresh(self, app: App, stale: str, force: bool) -> str:
        try:
            return await self._refresh_shared(app, stale, force)
        except AppError as error:
            if error.code is not Code.CACHE_UNAVAILABLE or force:
                raise
        return await self._without_redis(app, stale)

    async def _refresh_shared(self, app: App, stale: str, force: bool) -> str:
        deadline = Deadline.after(self._clock, SHARED_S)
        known_version = self._known_version(app.appid, stale)
        while deadline.remaining_s() > 0:
            claim = await self._stored.claim(app.appid, known_version, self._share)
            if isinstance(claim, StoredToken):
                token = self._adopt(app.appid, claim)
                if token is not None and token != stale:
                    return token
                known_version = claim.version
            elif claim is not None:
                fetched = await self._fetch(app, claim, stale, force)
                if fetched is not None:
                    return fetched
            else:
                await asyncio.sleep(self._clock.jitter(*POLL_S))
        raise AppError(Code.WX_TIMEOUT, cause="another instance fetches the access_token and does not finish")

    async def _fetch(self, app: App, lease: Lease, stale: str, force: bool) -> str | None:
        """None if the lease was lost: what was fetched may be older than what another stored meanwhile."""
        try:
            if force and not await self._stored.claim_force(app.appid):
                raise AppError(Code.WX_BAD_REPLY, cause="access_token refused; already forced in the last 10 min")
            fetched = await self._ask(app, stale, force, Deadline.after(self._clock, FETCH_S))
        except BaseException:
            await self._give_back(lease)
            raise
        return await self._store(app.appid, lease, fetched)

    async def _give_back(self, lease: Lease) -> None:
        try:
            await self._stored.release(lease)
        except AppError:
            return  # Redis is away: the lock ends by itself

    async def _store(self, appid: str, lease: Lease, fetched: AccessToken) -> str | None:
        held = self._make_held(fetched, lease.version)
        sealed = self._seal.seal(fetched.token, self._context(appid))
        renew_from = held.expires_at - _window_ms(fetched)
        try:
            if not await self._stored.store(lease, sealed, held.expires_at, renew_from):
                return None
        except AppError:
            pass  # Redis went away meanwhile; the token is good all the same
        self._hold(appid, held)
        return fetched.token

    async def _without_redis(self, app: App, stale: str) -> str:
        now = self._clock.now_ms()
        held = self._held.get(app.appid)
        if held and held.token != stale and now < held.expires_at:
            return held.token
        fetched = await self._ask(app, stale, False, Deadline.after(self._clock, FETCH_S))
        self._hold(app.appid, self._make_held(fetched, held.version if held else 0))
        return fetched.token

    def _adopt(self, appid: str, stored: StoredToken) -> str | None:
        """Holds a token another instance stored; None if it cannot be unsealed here."""
        try:
            token = self._seal.unseal(stored.sealed, self._context(appid))
        except (CannotUnseal, ValueError):
            return None
        renew_at = stored.expires_at - self._share * (stored.expires_at - stored.renew_from)
        self._hold(appid, _Held(token, renew_at, stored.expires_at, stored.version))
        return token

    def _make_held(self, fetched: AccessToken, version: int) -> _Held:
        expires_at = self._clock.now_ms() + fetched.expires_in_s * 1000
        return _Held(fetched.token, expires_at - self._share * _window_ms(fetched), expires_at, version)

    def _hold(self, appid: str, new: _Held) -> None:
        held = self._held.get(appid)
        if held is None or new.version >= held.version or self._clock.now_ms() >= held.renew_at:
            self._held[appid] = new

    def _context(self, appid: str) -> str:
        return f"{self._family}:{appid}"

    def _known_version(self, appid: str, stale: str) -> int:
        held = self._held.get(appid)
        return held.version if held and held.token == stale else 0


def _window_ms(fetched: AccessToken) -> int:
    """How long before its end a token is due: 5 minutes, half its life if that is short."""
    return min(RENEW_BEFORE_MS, fetched.expires_in_s * 500)


class AccessTokens(SharedTokens):
    """The app's access_token, from WeChat or from another deployment."""

    def __init__(
        self, client: StableToken, kv: Kv, clock: Clock, seal: Sealer, elsewhere: Elsewhere | None = None
    ) -> None:
        super().__init__("wxtoken", kv, clock, seal)
        self._client = client
        self._elsewhere = elsewhere

    async def _ask(self, app: App, stale: str, force: bool, deadline: Deadline) -> AccessToken:
        if self._elsewhere and self._elsewhere.serves(app.appid):
            metrics.ACCESS_TOKEN_FETCHES.inc(app.appid, "elsewhere")
            return await self._elsewhere.fetch(app, stale, deadline)
        metrics.ACCESS_TOKEN_FETCHES.inc(app.appid, "forced" if force else "normal")
        return await self._client.stable_token(app, deadline, force)


class JsapiTickets(SharedTokens):
    """The jsapi_ticket of official accounts; nobody is ever told that one was refused."""

    def __init__(self, client: WeChatClient, access_tokens: AccessTokens, kv: Kv, clock: Clock, seal: Sealer) -> None:
        super().__init__("wxticket", kv, clock, seal)
        self._client = client
        self._access_tokens = access_tokens

    async def _ask(self, app: App, stale: str, force: bool, deadline: Deadline) -> AccessToken:
        return await self._access_tokens.call(
            app, deadline, lambda token: self._client.jsapi_ticket(app, token, deadline)
        )
