"""For whoever verifies our tokens: public keys, and the check for nginx ``auth_request``."""

import json

from app.auth.tokens import Claims
from handlers.base import ApiHandler
from handlers.browser import SAFE
from handlers.wafer import SKEY

JWKS_MAX_AGE_S = 300
METADATA_MAX_AGE_S = 3600


class JwksHandler(ApiHandler):
    """``GET /.well-known/jwks.json`` (RFC 7517)."""

    def get(self) -> None:
        """The public keys, cacheable."""
        self.set_header("Cache-Control", f"public, max-age={JWKS_MAX_AGE_S}")
        self.finish(json.dumps(self.kaimen.keyring.jwks()))


class MetadataHandler(ApiHandler):
    """``GET /.well-known/oauth-authorization-server`` (RFC 8414)."""

    def get(self) -> None:
        """Where everything is, cacheable."""
        self.set_header("Cache-Control", f"public, max-age={METADATA_MAX_AGE_S}")
        settings = self.kaimen.settings
        base = settings.public_url + settings.path_prefix
        metadata = {
            "issuer": settings.public_url,
            "jwks_uri": base + "/.well-known/jwks.json",
            "introspection_endpoint": base + "/api/token/introspect",
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
            "response_types_supported": [],
            "grant_types_supported": [],
        }
        self.finish(json.dumps(metadata))


class VerifyHandler(ApiHandler):
    """``GET /api/token/verify``."""

    async def get(self) -> None:
        """204 with who it is in headers, or 401; under a cookie 4033 where the original request needs the token.

        A Wafer client's skey does, too: no page can send its header without asking first.
        """
        claims = await self._who()
        original = self.request.headers.get("X-Original-Method", "GET")
        if self._is_by_cookie() and original not in SAFE:
            self.check_xsrf(claims)
        self.set_header("X-User-Id", claims.sub)
        self.set_header("X-Session-Id", claims.sid)
        self.set_header("X-User-Roles", ",".join(claims.roles))
        self.set_status(204)
        self.clear_header("Content-Type")
        self.finish()

    async def _who(self) -> Claims:
        if not self._is_by_cookie() and "Authorization" not in self.request.headers:
            self.claims = await self.kaimen.wafer.authenticate(self.request.headers[SKEY])
            return self.claims
        return await self.authenticate()

    def _is_by_cookie(self) -> bool:
        return "Authorization" not in self.request.headers and SKEY not in self.request.headers
