"""The verifiers of ``docs/examples/verify`` run, and take and refuse what they must.

Python and Node run everywhere the tests do; Go and PHP where they are installed; what is not here is not collected.
"""

import asyncio
import base64
import hmac
import json
import os
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.auth.keyring import SigningKey
from app.auth.rotation import KeyRotation
from backend import Backend, StartBackend, Store
from cli.compose import keys_kept_ms, make_sealer
from models.db import open_database

FOLDER = Path(__file__).parents[2] / "docs/examples/verify"
COMMANDS = {
    "python": [sys.executable, "verify.py"],
    "node": ["node", "verify.mjs"],
    "go": ["go", "run", "verify.go"],
    "php": ["php", "verify.php"],
}
HERE = [name for name, command in COMMANDS.items() if shutil.which(command[0])]


@pytest.fixture
async def backend(start_backend: StartBackend, embedded_store: Store) -> Backend:
    return await start_backend(embedded_store)


async def verdicts(backend: Backend, language: str, tokens: list[str], cache: Path) -> list[str]:
    """What the example says of each token: its first word a line."""
    arguments = [backend.url + "/.well-known/jwks.json", "http://kaimen.test", "http://kaimen.test"]
    environment = {**os.environ, "GOCACHE": str(cache), "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
    process = await asyncio.create_subprocess_exec(
        *COMMANDS[language], *arguments, cwd=FOLDER, env=environment,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(120):
        out, errors = await process.communicate("\n".join([*tokens, ""]).encode())
    assert process.returncode == 0, errors.decode()
    return out.decode().splitlines()


def sign(key: SigningKey, change: dict[str, Any] | None = None, private: Any = None, **headers: Any) -> str:
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": "http://kaimen.test", "aud": "http://kaimen.test", "sub": "u", "sid": "s", "roles": [],
        "auth_time": now, "jti": "j", "iat": now, "exp": now + 900, **(change or {}),
    }  # fmt: skip
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, private or key.private, "ES256", {"kid": key.id, "typ": "at+jwt", **headers})


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(key: SigningKey) -> list[str]:
    """Tokens that nobody may take."""
    now = int(time.time())
    _, payload, signature = sign(key).split(".")
    none = b64(json.dumps({"alg": "none", "kid": key.id, "typ": "at+jwt"}).encode())
    pem = key.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    other = json.loads(base64.urlsafe_b64decode(payload + "=="))
    hs256 = b64(json.dumps({"alg": "HS256", "kid": key.id, "typ": "at+jwt"}).encode())
    mac = b64(hmac.digest(pem, f"{hs256}.{payload}".encode(), "sha256"))
    admin = b64(json.dumps({**other, "sub": "admin"}).encode())
    return [
        "", "x", "..", "a.b.c",
        sign(key, {"exp": now - 60}),
        sign(key, {"exp": None}),
        sign(key, {"iat": now + 3600}),
        sign(key, {"iss": "http://kaimen.test.evil"}),
        sign(key, {"aud": "http://other.test"}),
        sign(key, {"sid": None}),
        sign(key, typ="JWT"),
        sign(key, kid="unknown"),
        sign(key, private=ec.generate_private_key(ec.SECP256R1())),
        f"{none}.{payload}.", f"{none}.{payload}.{signature}", f"{hs256}.{payload}.{mac}",
        f"{sign(key).split('.')[0]}.{admin}.{signature}",
    ]  # fmt: skip


@pytest.mark.parametrize("language", HERE)
async def test_an_example_takes_the_tokens_of_both_keys_and_refuses_every_forgery(
    backend: Backend, language: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    login = await backend.login()
    settings = backend.kaimen.settings
    database = open_database(settings.database_url.get_secret_value(), backend.clock)
    rotation = KeyRotation(database, make_sealer(settings), backend.clock, keys_kept_ms(settings))
    new = await rotation.rotate("access", "cli:test", 0)
    await database.close()
    backend.clock.advance(6)
    await backend.kaimen.keyring.read()
    later = await backend.login()
    assert jwt.get_unverified_header(later["accessToken"])["kid"] == new.id

    bad = forged(backend.kaimen.keyring.access[0])
    good = [login["accessToken"], later["accessToken"]]
    lines = await verdicts(backend, language, [*good, *bad], tmp_path_factory.getbasetemp() / "go")
    user_id = login["user"]["id"]
    assert lines[:2] == [f"ok {user_id}", f"ok {user_id}"]
    assert [line.split()[0] for line in lines[2:]] == ["refused"] * len(bad)


def test_python_and_node_are_among_the_languages_that_run() -> None:
    assert {"python", "node"} <= set(HERE)


def test_verifying_md_shows_every_example_as_it_is() -> None:
    page = (FOLDER.parents[1] / "verifying.md").read_text("utf-8")
    named = set(re.findall(r"\(examples/verify/([\w.]+)\)", page))
    assert named == {path.name for path in FOLDER.iterdir() if path.is_file()}
