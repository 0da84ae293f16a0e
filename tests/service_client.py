"""A service of the team, as it calls Kaimen."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from app.services.registry import ServiceRegistry
from backend import Backend, Reply
from cli.compose import make_sealer
from core.clock import Clock
from models.db import open_database

ALL = ("introspect", "users:read", "users:write", "access-token")


class ServiceClient:
    """Holds a name and a secret; calls by Basic or signed."""

    def __init__(self, backend: Backend, name: str, secret: str) -> None:
        self.backend = backend
        self.name = name
        self.secret = secret

    def at(self, backend: Backend) -> "ServiceClient":
        """The same service, calling another instance."""
        return ServiceClient(backend, self.name, self.secret)

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.name}:{self.secret}".encode()).decode()

    def sign(self, method: str, target: str, body: str, **changes: Any) -> str:
        """The header of a signed request, written after the documentation and not after the code."""
        timestamp, nonce = changes.get("timestamp", int(time.time())), changes.get("nonce", secrets.token_urlsafe(16))
        digest = hashlib.sha256(body.encode()).hexdigest()
        text = "\n".join(["Kaimen-HMAC-SHA256", method, target, digest, str(timestamp), nonce])
        signature = hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        service = changes.get("service", self.name)
        return f"Kaimen-HMAC-SHA256 service={service}, timestamp={timestamp}, nonce={nonce}, signature={signature}"

    async def call(self, method: str, path: str, body: Any = None) -> Reply:
        """By Basic."""
        return await self.backend.call(method, path, body, Authorization=self.basic)

    async def call_signed(self, method: str, path: str, body: Any = None, **changes: Any) -> Reply:
        text = json.dumps(body) if body is not None else ""
        header = self.sign(method, path, text, **changes)
        return await self.backend.call(method, path, text or None, Authorization=header)

    async def introspect(self, token: str) -> Any:
        reply = await self.backend.call(
            "POST",
            "/api/token/introspect",
            "token=" + token,
            Authorization=self.basic,
            Content_Type="application/x-www-form-urlencoded",
        )
        assert reply.status == 200, reply.text
        return reply.body

    async def lookup(self, **by: list[str]) -> list[dict[str, Any]]:
        reply = await self.call("POST", "/api/service/users/lookup", by)
        assert reply.status == 200, reply.text
        return reply.data["users"]  # type: ignore[no-any-return]


async def add_service(backend: Backend, name: str = "shop", scopes: tuple[str, ...] = ALL) -> ServiceClient:
    """Adds a service as ``kaimen services add`` does: through the database alone."""
    async with registry(backend) as found:
        return ServiceClient(backend, name, await found.add(name, scopes, "cli:test"))


async def remove_service(backend: Backend, name: str) -> None:
    """As ``kaimen services remove`` does."""
    async with registry(backend) as found:
        await found.remove(name, "cli:test")


@asynccontextmanager
async def registry(backend: Backend) -> AsyncIterator[ServiceRegistry]:
    """The operator's side, on a connection of its own."""
    database = open_database(backend.kaimen.settings.database_url.get_secret_value(), Clock())
    try:
        yield ServiceRegistry(database, make_sealer(backend.kaimen.settings), Clock())
    finally:
        await database.close()


async def rows(backend: Backend, sql: str) -> list[tuple[Any, ...]]:
    """What a SELECT finds."""
    database = open_database(backend.kaimen.settings.database_url.get_secret_value(), Clock())
    try:
        return await database.fetch(sql)
    finally:
        await database.close()
