"""The browser's session cookie: ``<session id>.<generation>.<time of the last check, s>.<HMAC>``.

For 15 minutes the MAC and the revocation feed are enough. Then the session row is asked, its life slides on, and the
cookie is made anew. It does not rotate: browsers drop replies all day, and a cookie lost that way must not end a
session. The XSRF token is a MAC of the session id, so no other session's token fits.
"""

import hmac
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from app.auth.keyring import Keyring
from app.auth.revocation import Revocations
from app.auth.tokens import Claims, Tokens, mac_of
from core.clock import Clock
from core.errors import AppError, Code
from models.cookie_checks import Checked, CookieCheck, CookieChecks

CHECK_MS = 900_000
CACHED = 10_000
FORM = re.compile(r"([0-9a-f]{32})\.([1-9][0-9]{0,8}|0)\.([1-9][0-9]{0,10})\.([A-Za-z0-9_-]{43})", re.ASCII)
TOKENS = ("accessToken", "tokenType", "expiresIn", "refreshToken", "refreshExpiresIn")


@dataclass(frozen=True, slots=True)
class Cookie:
    """What the browser keeps: the value, the XSRF token beside it, and for how long (s)."""

    value: str
    xsrf: str
    max_age_s: int


@dataclass(frozen=True, slots=True)
class _Known:
    claims: Claims
    generation: int
    checked_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class _Parsed:
    session_id: str
    generation: int
    checked_at: int


class Cookies:
    """Makes cookies out of sign-ins, and reads them. ``purpose`` is part of the MAC: a skey is no cookie."""

    def __init__(
        self,
        keyring: Keyring,
        tokens: Tokens,
        checks: CookieChecks,
        revocations: Revocations,
        clock: Clock,
        *,
        ttl_s: int,
        purpose: str = "cookie",
    ) -> None:
        self._purpose = purpose + "."
        self._keyring = keyring
        self._tokens = tokens
        self._checks = checks
        self._revocations = revocations
        self._clock = clock
        self._ttl_ms = ttl_s * 1000
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def instead_of_tokens(self, data: dict[str, Any]) -> tuple[Cookie, dict[str, Any]]:
        """The cookie for the ``data`` of a sign-in, and the same data with ``xsrfToken`` and without tokens."""
        made = self._tokens.parse_refresh(data["refreshToken"])
        cookie = self._make(made.session_id, made.generation, self._clock.now_ms(), data["refreshExpiresIn"])
        kept = {name: value for name, value in data.items() if name not in TOKENS}
        return cookie, {**kept, "xsrfToken": cookie.xsrf}

    async def read(self, value: str) -> tuple[Claims, Cookie | None]:
        """Whose cookie it is, and its successor if it is due; raises 4010, 4015, 4034, and 5001."""
        parsed = self._parse(value)
        moved_to = await self._revocations.check_ended(parsed.session_id)
        now = self._clock.now_ms()
        known = self._known.get(parsed.session_id)
        if known and moved_to and known.claims.sub != moved_to:
            known = None  # its user was merged: the database knows into whom
        if known is None or known.generation != parsed.generation or now - known.checked_at >= CHECK_MS:
            known = await self._check(parsed, now)
        if now - parsed.checked_at < CHECK_MS:
            return known.claims, None
        life_s = max(0, known.expires_at - now) // 1000
        return known.claims, self._make(parsed.session_id, parsed.generation, known.checked_at, life_s)

    def session_of(self, value: str) -> str | None:
        """The session of a cookie that we made, whether it lives or not."""
        try:
            return self._parse(value).session_id
        except AppError:
            return None

    def check_xsrf(self, session_id: str, token: str) -> None:
        """Raises 4033 unless it is the session's XSRF token."""
        given = token.encode()
        expected = (self._xsrf(key.secret, session_id).encode() for key in self._keyring.refresh)
        if not any(hmac.compare_digest(given, one) for one in expected):
            raise AppError(Code.XSRF)

    async def close(self) -> None:
        """Waits for checks under way."""
        await self._checks.close()

    async def _check(self, parsed: _Parsed, now: int) -> _Known:
        try:
            checked = await self._checks.check(CookieCheck(parsed.session_id, parsed.generation, now, self._ttl_ms))
        except AppError:
            self._known.pop(parsed.session_id, None)
            raise
        known = self._known[parsed.session_id] = _known(checked, now)
        self._known.move_to_end(parsed.session_id)
        if len(self._known) > CACHED:
            self._known.popitem(last=False)
        return known

    def _make(self, session_id: str, generation: int, at_ms: int, max_age_s: int) -> Cookie:
        key = self._keyring.refresh_signer().secret
        text = f"{session_id}.{generation}.{at_ms // 1000}"
        return Cookie(f"{text}.{mac_of(key, self._purpose + text)}", self._xsrf(key, session_id), max_age_s)

    def _parse(self, value: str) -> _Parsed:
        match = FORM.fullmatch(value)
        if match is None:
            raise AppError(Code.UNAUTHENTICATED, cause="a malformed cookie")
        text, _, mac = value.rpartition(".")
        if not any(hmac.compare_digest(mac, mac_of(key.secret, self._purpose + text)) for key in self._keyring.refresh):
            raise AppError(Code.UNAUTHENTICATED, cause="the cookie's MAC is not ours")
        return _Parsed(match[1], int(match[2]), int(match[3]) * 1000)

    def _xsrf(self, key: bytes, session_id: str) -> str:
        return mac_of(key, f"xsrf.{session_id}")


def _known(checked: Checked, now: int) -> _Known:
    session, user = checked.session, checked.user
    claims = Claims(user.id, session.id, user.roles, session.appid, session.auth_at // 1000, 0)
    return _Known(claims, session.generation, now, session.expires_at)
