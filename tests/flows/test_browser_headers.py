"""CORS and the headers of every route."""

import json

import pytest

from backend import StartBackend, Store
from handlers.routes import ROUTES

ORIGIN = "https://kaimen.test"


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://www.example.com", True),
        ("https://shop.example.com:8443", True),
        ("https://www.example.com.evil.test", False),
        ("https://example.com", False),
        ("http://www.example.com", False),
        ("https://WWW.example.com", False),
        (ORIGIN, False),
        ("null", False),
    ],
)
async def test_replies_may_be_read_by_the_listed_origins_exactly(
    start_backend: StartBackend, embedded_store: Store, origin: str, allowed: bool
) -> None:
    origins = "https://www.example.com, https://shop.example.com:8443"
    backend = await start_backend(embedded_store, public_url=ORIGIN, web_origins=origins)
    asked = {"Origin": origin, "Access_Control_Request_Method": "PATCH"}
    preflight = await backend.call("OPTIONS", "/api/user/info", None, **asked)
    actual = await backend.get("/api/user/info", None, Origin=origin)
    assert preflight.status == (204 if allowed else 403)
    for reply in (preflight, actual):
        assert reply.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
        assert reply.headers.get("Access-Control-Allow-Credentials") == ("true" if allowed else None)
        assert reply.headers["Vary"] == "Origin"
    if allowed:
        assert "X-XSRFToken" in preflight.headers["Access-Control-Allow-Headers"]
        assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize("path", [path for path, _ in ROUTES] + ["/nowhere"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_every_route_sends_the_headers_that_keep_a_browser_safe(
    start_backend: StartBackend, embedded_store: Store, path: str, method: str
) -> None:
    backend = await start_backend(embedded_store, public_url=ORIGIN)
    body = json.dumps({}) if method == "POST" else None
    reply = await backend.call(method, path.replace("{", "").replace("}", ""), body)
    shown = {name: reply.headers.get(name) for name in SNAPSHOT}
    if path in CACHEABLE and method == "GET":
        assert shown.pop("Cache-Control") == CACHEABLE[path]
    if path in PAGES and method == "GET":
        policy = shown.pop("Content-Security-Policy") or ""
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'")
        assert policy.endswith(PAGE_POLICY_END)
        assert "unsafe" not in policy
    assert shown == {name: SNAPSHOT[name] for name in shown}
    assert "Server" not in reply.headers
    assert "Access-Control-Allow-Origin" not in reply.headers
    assert reply.headers["X-Request-Id"]


PAGES = {"/", "/docs", "/s/{scanId}"}
PAGE_POLICY_END = (
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
CACHEABLE = {
    "/.well-known/jwks.json": "public, max-age=300",
    "/.well-known/oauth-authorization-server": "public, max-age=3600",
}
SNAPSHOT = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Origin",
}
