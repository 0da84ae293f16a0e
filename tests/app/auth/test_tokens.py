"""Access tokens as RFC 8725 wants them, and every way to forge one."""

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.auth.keyring import SigningKey
from backend import Backend, StartBackend, Store

FAR = 4_000_000_000  # in 2096


@pytest.fixture
async def backend(start_backend: StartBackend, embedded_store: Store) -> Backend:
    """Tokens are the same over every store."""
    return await start_backend(embedded_store)


def key_of(backend: Backend) -> SigningKey:
    return backend.kaimen.keyring.access[0]


def sign(backend: Backend, change: dict[str, Any] | None = None, **headers: Any) -> str:
    """A token like ours, but for the changes; a claim changed to None is left out."""
    now = int(time.time())
    claims = {
        "iss": "http://kaimen.test",
        "aud": "http://kaimen.test",
        "sub": "u",
        "sid": "s",
        "roles": [],
        "auth_time": now,
        "jti": "j",
        "iat": now,
        "exp": now + 900,
    }
    claims = {name: value for name, value in {**claims, **(change or {})}.items() if value is not None}
    header = {"kid": key_of(backend).id, "typ": "at+jwt", **headers}
    return jwt.encode(claims, key_of(backend).private, "ES256", header)


async def verdict(backend: Backend, token: str) -> tuple[int, str | None]:
    reply = await backend.get("/api/token/verify", token)
    return reply.status, reply.error


async def test_an_access_token_has_the_claims_of_the_contract(backend: Backend) -> None:
    login = await backend.login()
    header = jwt.get_unverified_header(login["accessToken"])
    claims = jwt.decode(login["accessToken"], key_of(backend).public, ["ES256"], audience="http://kaimen.test")
    assert header == {"alg": "ES256", "kid": key_of(backend).id, "typ": "at+jwt"}
    assert claims["iss"] == "http://kaimen.test"
    assert (claims["sub"], claims["sid"]) == (login["user"]["id"], login["sessionId"])
    assert claims["appid"] == "wx0000000000000001"
    assert claims["exp"] - claims["iat"] == 900
    assert {"auth_time", "jti", "roles"} <= set(claims)


async def test_jwks_lets_anybody_verify_and_shows_no_private_part(backend: Backend) -> None:
    login = await backend.login()
    jwks = await backend.get("/.well-known/jwks.json")
    key = jwt.PyJWKSet.from_dict(jwks.body)[key_of(backend).id]
    assert jwt.decode(login["accessToken"], key, ["ES256"], audience="http://kaimen.test")["sub"]
    assert not {"d", "p", "q", "k"} & set(jwks.body["keys"][0])
    assert "max-age" in jwks.headers["Cache-Control"]


async def test_token_verify_names_user_and_session_for_nginx(backend: Backend) -> None:
    login = await backend.login()
    reply = await backend.get("/api/token/verify", login["accessToken"])
    assert (reply.status, reply.text) == (204, "")
    assert reply.headers["X-User-Id"] == login["user"]["id"]
    assert reply.headers["X-Session-Id"] == login["sessionId"]
    assert reply.headers["X-User-Roles"] == ""


async def test_our_own_signature_is_taken(backend: Backend) -> None:
    assert await verdict(backend, sign(backend)) == (204, None)


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "http://kaimen.test.evil"},
        {"iss": "kaimen.test"},
        {"aud": "http://other.test"},
        {"aud": ["http://kaimen.test", "http://other.test"]},
        {"nbf": FAR},
        {"iat": FAR},
        {"exp": str(FAR)},
        {"exp": FAR + 0.5},
        {"roles": "admin"},
        *({name: None} for name in ("iss", "aud", "sub", "sid", "iat", "exp", "jti", "auth_time", "roles")),
    ],
    ids=str,
)
async def test_a_wrong_or_missing_claim_is_refused(backend: Backend, change: dict[str, Any]) -> None:
    assert await verdict(backend, sign(backend, change)) == (401, "unauthenticated")


async def test_thirty_seconds_of_clock_difference_are_forgiven_and_no_more(backend: Backend) -> None:
    now = int(time.time())
    assert await verdict(backend, sign(backend, {"exp": now - 28})) == (204, None)
    assert await verdict(backend, sign(backend, {"exp": now - 31})) == (401, "token_expired")


@pytest.mark.parametrize(
    "headers",
    [
        {"typ": "JWT"},
        {"typ": None},
        {"kid": "../../dev/null"},
        {"kid": "' OR 1=1--"},
        {"kid": "k" * 3000},
        {"kid": "unknown"},
        {"crit": ["exp"]},
        {"crit": []},
    ],
    ids=lambda headers: str(headers)[:40],
)
async def test_a_wrong_header_is_refused(backend: Backend, headers: dict[str, Any]) -> None:
    assert await verdict(backend, sign(backend, **headers)) == (401, "unauthenticated")


async def test_a_key_brought_along_in_the_header_is_not_looked_at(backend: Backend) -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(stranger.public_key()))
    header = {"kid": key_of(backend).id, "typ": "at+jwt", "jwk": jwk, "jku": backend.url + "/.well-known/jwks.json"}
    claims = jwt.decode(sign(backend), options={"verify_signature": False})
    assert (await verdict(backend, jwt.encode(claims, stranger, "ES256", header)))[0] == 401


@pytest.mark.parametrize("algorithm", ["none", "NonE", "HS256", "ES384", "RS256"])
async def test_another_algorithm_is_refused(backend: Backend, algorithm: str) -> None:
    _, payload, signature = sign(backend).split(".")
    header = {"alg": algorithm, "kid": key_of(backend).id, "typ": "at+jwt"}
    for tail in ("", signature):
        assert (await verdict(backend, f"{b64(json.dumps(header))}.{payload}.{tail}"))[0] == 401


async def test_an_hmac_keyed_with_the_public_key_is_refused(backend: Backend) -> None:
    import hashlib
    import hmac

    pem = key_of(backend).public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _, payload, _ = sign(backend).split(".")
    header = b64(json.dumps({"alg": "HS256", "kid": key_of(backend).id, "typ": "at+jwt"}))
    for secret in (pem, pem.replace(b"\n", b"\r\n"), b" " + pem, pem.strip()):
        mac = hmac.digest(secret, f"{header}.{payload}".encode(), hashlib.sha256)
        assert (await verdict(backend, f"{header}.{payload}.{b64(mac)}"))[0] == 401


@pytest.mark.parametrize("spoil", ["padded", "four-parts", "two-parts", "empty", "nul", "huge", "flipped", "refresh"])
async def test_a_spoilt_token_is_refused(backend: Backend, spoil: str) -> None:
    login = await backend.login()
    token = login["accessToken"]
    spoilt = {
        "padded": token + "==",
        "four-parts": token + ".x",
        "two-parts": token.rsplit(".", 1)[0],
        "empty": "..",
        "nul": token[:20] + "%00" + token[20:],
        "huge": token + "A" * 8000,
        "flipped": token[:-10] + ("A" if token[-10] != "A" else "B") + token[-9:],
        "refresh": login["refreshToken"],
    }[spoil]
    assert await verdict(backend, spoilt) == (401, "unauthenticated")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "bearer  x", "Bearer a b"])
async def test_no_bearer_token_is_unauthenticated(backend: Backend, header: str) -> None:
    reply = await backend.call("GET", "/api/user/info", Authorization=header)
    assert (reply.status, reply.error) == (401, "unauthenticated")
    assert reply.headers["WWW-Authenticate"] == "Bearer"


async def test_a_thousand_unknown_kids_cost_no_query(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    from models.db import Database

    async def fail(*_: object) -> None:
        raise AssertionError("a forged token reached the database")

    monkeypatch.setattr(Database, "fetch", fail)
    for number in range(1000):
        with pytest.raises(Exception, match="unauthenticated"):
            await backend.kaimen.guard.authenticate(sign(backend, kid=f"k{number}"))


def b64(data: str | bytes) -> str:
    raw = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
