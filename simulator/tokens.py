"""access_tokens, in two families that know nothing of each other.

See: https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken.html
"""

import re
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from simulator.errors import WechatError

TOKEN_LIFE_S = 7200
OVERLAP_S = 300
FORCE_PER_DAY = 20
FORCE_APART_S = 30
FORGET_AFTER_S = 86_400
SHAPE = re.compile(r"\d+_[A-Za-z0-9_-]{150}")


@dataclass(slots=True)
class Token:
    """One token; ``usable_until`` falls below ``expires_at`` once a newer one replaces it."""

    value: str
    appid: str
    expires_at: float
    usable_until: float


@dataclass(slots=True)
class Line:
    """One app's tokens within a family: the newest, and when it was forced today (Beijing's day)."""

    newest: Token | None = None
    forced_at: float = float("-inf")
    forced_day: int = 0
    forced_count: int = 0


@dataclass(slots=True)
class Tokens:
    """Both families; every method reads the injected clock once."""

    clock: Callable[[], float]
    _plain: dict[str, Line] = field(default_factory=dict)
    _stable: dict[str, Line] = field(default_factory=dict)
    _known: dict[str, Token] = field(default_factory=dict)
    _order: deque[str] = field(default_factory=deque)

    def issue_plain(self, appid: str) -> str:
        """``/cgi-bin/token``: always a new token, the last one lives five minutes more."""
        line = self._plain.setdefault(appid, Line())
        return self._renew(line, appid, self.clock(), OVERLAP_S)

    def issue_stable(self, appid: str, force: bool) -> tuple[str, int]:
        """``/cgi-bin/stable_token``: (token, whole seconds it has left); 45009 past 20 forced a day."""
        line, now = self._stable.setdefault(appid, Line()), self.clock()
        token = line.newest
        if force and now - line.forced_at >= FORCE_APART_S:
            count_force(line, now)
            return self._renew(line, appid, now, 0), TOKEN_LIFE_S
        if token is None or token.expires_at - now <= OVERLAP_S:
            return self._renew(line, appid, now, OVERLAP_S), TOKEN_LIFE_S
        return token.value, int(token.expires_at - now)

    def check(self, value: str) -> str:
        """The appid of a usable token; 41001 missing, 40014 no token at all, 42001 expired, 40001 replaced."""
        if not value:
            raise WechatError(41001)
        token, now = self._known.get(value), self.clock()
        if token is None:
            raise WechatError(40001 if SHAPE.fullmatch(value) else 40014)
        if now >= token.expires_at:
            raise WechatError(42001)
        if now >= token.usable_until:
            raise WechatError(40001)
        return token.appid

    def _renew(self, line: Line, appid: str, now: float, overlap_s: float) -> str:
        if line.newest is not None:
            line.newest.usable_until = min(line.newest.usable_until, now + overlap_s)
        self._forget_old(now)
        expires_at = now + TOKEN_LIFE_S
        line.newest = Token(new_token(), appid, expires_at, expires_at)
        self._known[line.newest.value] = line.newest
        self._order.append(line.newest.value)
        return line.newest.value

    def _forget_old(self, now: float) -> None:
        while self._order and self._known[self._order[0]].expires_at + FORGET_AFTER_S < now:
            del self._known[self._order.popleft()]


@dataclass(slots=True)
class Tickets:
    """jsapi_tickets: the same for everybody until it ends."""

    clock: Callable[[], float]
    _tickets: dict[str, tuple[str, float]] = field(default_factory=dict)

    def issue(self, appid: str) -> tuple[str, int]:
        """(ticket, whole seconds it has left)."""
        ticket, expires_at = self._tickets.get(appid, ("", 0.0))
        now = self.clock()
        if now >= expires_at:
            ticket, expires_at = secrets.token_urlsafe(64), now + TOKEN_LIFE_S
            self._tickets[appid] = ticket, expires_at
        return ticket, int(expires_at - now)


def count_force(line: Line, now: float) -> None:
    """Note one forced refresh; 45009 when the day's are used up."""
    day = int(now + 8 * 3600) // 86_400
    if line.forced_day != day:
        line.forced_day, line.forced_count = day, 0
    if line.forced_count >= FORCE_PER_DAY:
        raise WechatError(45009)
    line.forced_at, line.forced_count = now, line.forced_count + 1


def new_token() -> str:
    """Like WeChat's: a number, an underscore, 150 URL-safe characters."""
    return f"{70 + secrets.randbelow(30)}_{secrets.token_urlsafe(120)[:150]}"
