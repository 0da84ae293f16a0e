"""Our tokens: access tokens are ES256 JWTs (RFC 9068), refresh tokens are ``<session id>.<generation>.<HMAC>``.

Verification follows RFC 8725: one algorithm, the key looked up in memory by ``kid``, every claim required, and
``jku``, ``x5u`` or ``jwk`` in a header never looked at.
"""

import base64
import hashlib
import hmac
import re
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from jwt.types import Options
from jwt.utils import der_to_raw_signature

from app.auth.keyring import Keyring, SigningKey
from core.clock import Clock
from core.errors import AppError, Code
from models.sessions import Session
from models.users import User

LEEWAY_S = 30
SHA256_ECDSA = ec.ECDSA(SHA256())
CACHED = 10_000
MAX_LENGTH = 4096
REQUIRED = ["iss", "aud", "sub", "sid", "iat", "exp", "jti", "auth_time"]
COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)  # unpadded (RFC 7515 §2)
# Times are compared here, by our clock and not by PyJWT's.
CHECKS: Options = {
    "require": REQUIRED,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "strict_aud": True,
}
REFRESH = re.compile(r"([0-9a-f]{32})\.([1-9][0-9]{0,8}|0)\.([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Claims:
    """What an access token says; ``auth_time`` and ``exp`` in seconds."""

    sub: str
    sid: str
    roles: tuple[str, ...]
    appid: str | None
    auth_time: int
    exp: int
    iat: int = 0


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token whose MAC was right; whether it still counts is for the session row to say."""

    session_id: str
    generation: int
    key_id: str


class Tokens:
    """Signs and verifies. The keys are in memory: a forged token costs no query."""

    def __init__(self, keyring: Keyring, clock: Clock, *, issuer: str, audience: str, ttl_s: int) -> None:
        self._keyring = keyring
        self._clock = clock
        self.issuer = issuer
        self.audience = audience
        self.ttl_s = ttl_s
        self._keys = keyring.keys
        self._publics = {key.id: key.public for key in keyring.access}
        self._verified: OrderedDict[str, Claims] = OrderedDict()
        self._jwt = jwt.PyJWT()

    @property
    def refresh_key(self) -> str:
        """The id of the key that new refresh tokens are made with."""
        return self._keyring.refresh_signer().id

    def sign_access(self, user: User, session: Session) -> str:
        """A new access token of the session."""
        now_s = self._clock.now_ms() // 1000
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": user.id,
            "sid": session.id,
            "roles": list(user.roles),
            "auth_time": session.auth_at // 1000,
            "jti": self._clock.token(128),
            "iat": now_s,
            "exp": min(now_s + self.ttl_s, session.ends_at // 1000),
        }
        if session.appid:
            claims["appid"] = session.appid
        return sign_jwt(claims, self._keyring.access_signer())

    def verify_access(self, token: str) -> Claims:
        """The claims; raises 4011 when only its time is over, else 4010. Verified tokens are remembered."""
        if self._keys is not self._keyring.keys:
            self._follow()
        claims = self._verified.get(token) or self._verify(token)
        if claims.exp + LEEWAY_S <= self._clock.now_ms() // 1000:
            self._verified.pop(token, None)
            raise AppError(Code.TOKEN_EXPIRED)
        return claims

    def make_refresh(self, session: Session) -> str:
        """The refresh token of the session's present generation; raises 4012 if its key was retired."""
        for key in self._keyring.refresh:
            if key.id == session.refresh_key:
                return f"{session.id}.{session.generation}.{_mac(key.secret, session.id, session.generation)}"
        raise AppError(Code.REFRESH_INVALID, cause=f"the refresh key {session.refresh_key} was retired")

    def parse_refresh(self, token: str) -> RefreshToken:
        """What the token names; raises 4012 unless one of our keys made it."""
        match = REFRESH.fullmatch(token)
        if match is None:
            raise AppError(Code.REFRESH_INVALID, cause="malformed")
        session_id, generation, mac = match[1], int(match[2]), match[3]
        for key in self._keyring.refresh:
            if hmac.compare_digest(mac, _mac(key.secret, session_id, generation)):
                return RefreshToken(session_id, generation, key.id)
        raise AppError(Code.REFRESH_INVALID, cause="the MAC is not ours")

    def _follow(self) -> None:
        """The keys changed: what a retired one signed is no longer known."""
        self._keys = self._keyring.keys
        self._publics = {key.id: key.public for key in self._keys.access}
        self._verified.clear()

    def _verify(self, token: str) -> Claims:
        if len(token) > MAX_LENGTH or not COMPACT.fullmatch(token):
            raise AppError(Code.UNAUTHENTICATED, cause="not a compact JWT")
        try:
            payload = self._decode(token)
            _check_begun(payload, self._clock.now_ms() // 1000)
            claims = self._claims(payload)
        except jwt.ExpiredSignatureError:
            raise AppError(Code.TOKEN_EXPIRED) from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise AppError(Code.UNAUTHENTICATED, cause=type(error).__name__) from None
        self._remember(token, claims)
        return claims

    def _decode(self, token: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        key = self._publics.get(header["kid"]) if isinstance(header.get("kid"), str) else None
        if key is None or header.get("typ") != "at+jwt":
            raise jwt.InvalidTokenError
        return self._jwt.decode(
            token,
            key,
            algorithms=["ES256"],
            audience=self.audience,
            issuer=self.issuer,
            leeway=LEEWAY_S,
            options=CHECKS,
        )

    def _claims(self, payload: dict[str, Any]) -> Claims:
        """Typed claims; a token signed under a longer life than the settings now give ends with the shorter one."""
        sub, sid, roles, exp = (payload.get(name) for name in ("sub", "sid", "roles", "exp"))
        if not (isinstance(sub, str) and isinstance(sid, str) and isinstance(roles, list) and isinstance(exp, int)):
            raise TypeError
        iat = int(payload["iat"])
        times = (int(payload["auth_time"]), min(exp, iat + self.ttl_s), iat)
        return Claims(sub, sid, tuple(roles), payload.get("appid"), *times)

    def _remember(self, token: str, claims: Claims) -> None:
        self._verified[token] = claims
        if len(self._verified) > CACHED:
            self._verified.popitem(last=False)


def sign_jwt(claims: dict[str, Any], key: SigningKey) -> str:
    """A compact JWS (RFC 7515 §7.1), ES256: PyJWT's own encoding took as long again as the signature itself."""
    signed = f"{_header(key.id)}.{_base64url(orjson.dumps(claims))}"
    der = key.private.sign(signed.encode(), SHA256_ECDSA)
    return f"{signed}.{_base64url(der_to_raw_signature(der, key.private.curve))}"


@lru_cache(maxsize=64)
def _header(key_id: str) -> str:
    return _base64url(orjson.dumps({"alg": "ES256", "kid": key_id, "typ": "at+jwt"}))


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _check_begun(payload: dict[str, Any], now_s: int) -> None:
    """``iat`` and ``nbf`` are not in the future (RFC 7519 §4.1.5, 4.1.6)."""
    for name in ("iat", "nbf"):
        at = payload.get(name, 0)
        if not isinstance(at, int) or at > now_s + LEEWAY_S:
            raise jwt.ImmatureSignatureError


def _mac(secret: bytes, session_id: str, generation: int) -> str:
    return mac_of(secret, f"{session_id}.{generation}")


def mac_of(secret: bytes, text: str) -> str:
    """HMAC-SHA256 as 43 URL-safe characters."""
    digest = hmac.digest(secret, text.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest)[:43].decode()
