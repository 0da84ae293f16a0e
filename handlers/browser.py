"""Browsers: which origins are ours, the cookies, and the headers that keep a page from harm."""

from collections.abc import Collection
from typing import Any

from tornado.web import RequestHandler

from app.auth.cookies import Cookie
from core.errors import AppError, Code
from core.settings import Settings
from core.settings.parsing import parse_origin

SAFE = {"GET", "HEAD", "OPTIONS"}
YEAR_S = 31_536_000
SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Origin",
}
CORS_HEADERS = {
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Expose-Headers": "X-Request-Id, Retry-After",
}
PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Poll-Secret, X-Request-Id, X-XSRFToken",
    "Access-Control-Max-Age": "600",
}


class Browsers:
    """The rules for browsers, as the settings have them; ``guests`` are origins that are not ours, and welcome."""

    def __init__(self, settings: Settings, guests: Collection[str] = ()) -> None:
        self._secure = settings.is_https
        self._origins = frozenset([*settings.origins, *guests])
        prefix = "__Host-" if self._secure else ""
        self.cookie_name = f"{prefix}kaimen"
        self.xsrf_name = f"{prefix}kaimen-xsrf"
        self.oauth_name = f"{prefix}kaimen-oauth"
        self._own = parse_origin(settings.public_url) if settings.public_url else None
        hsts = {"Strict-Transport-Security": f"max-age={YEAR_S}"} if self._secure else {}
        self.headers = {**SECURITY_HEADERS, **hsts}

    def is_ours(self, origin: str | None) -> bool:
        """Whether pages of that origin may use cookies and read replies: compared exactly."""
        return origin in self._origins

    def cors_headers(self, origin: str | None) -> dict[str, str]:
        """What lets a page of ours read the reply; nothing for any other."""
        if origin is None or origin not in self._origins:
            return {}
        return {"Access-Control-Allow-Origin": origin, **CORS_HEADERS}

    def check_not_cross_site(self, method: str | None, headers: Any) -> None:
        """Raises 4032 when a browser says that a page of another site sends a request that changes something."""
        if method not in SAFE and headers.get("Sec-Fetch-Site") == "cross-site":
            self.check_origin(headers)

    def check_origin(self, headers: Any) -> None:
        """Raises 4032 unless the request names an origin of ours."""
        if headers.get("Origin") not in self._origins:
            raise AppError(Code.BAD_ORIGIN)

    def check_page(self, headers: Any) -> None:
        """The same, and pages that we serve ourselves are ours, listed or not: they act under the cookie."""
        if headers.get("Origin") != self._own:
            self.check_origin(headers)

    def set_cookies(self, handler: RequestHandler, cookie: Cookie) -> None:
        """Both cookies, in place of whatever was there."""
        self._set(handler, self.cookie_name, cookie.value, cookie.max_age_s, httponly=True)
        self._set(handler, self.xsrf_name, cookie.xsrf, cookie.max_age_s, httponly=False)

    def clear_cookies(self, handler: RequestHandler) -> None:
        """The browser forgets both."""
        self._set(handler, self.cookie_name, "", 0, httponly=True)
        self._set(handler, self.xsrf_name, "", 0, httponly=False)

    def set_oauth_cookie(self, handler: RequestHandler, secret: str, max_age_s: int) -> None:
        """What binds the OAuth logins of a browser to it."""
        self._set(handler, self.oauth_name, secret, max_age_s, httponly=True)

    def _set(self, handler: RequestHandler, name: str, value: str, max_age_s: int, *, httponly: bool) -> None:
        handler.set_cookie(
            name, value, path="/", max_age=max_age_s, httponly=httponly, secure=self._secure, samesite="Lax"
        )
