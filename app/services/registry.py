"""The services an operator lets in: ``kaimen services``."""

import re

from app.crypto.sealing import Sealer
from core.clock import Clock
from models import services
from models.db import Database
from models.services import Service

NAME = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)


class ServiceRefused(Exception):
    """The operator's wish cannot be done; the message says why."""


class ServiceRegistry:
    """Adds, lists and removes service credentials."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def add(self, name: str, scopes: tuple[str, ...], actor: str) -> str:
        """Stores a new service and returns its secret, which is never shown again; raises ``ServiceRefused``."""
        if not NAME.fullmatch(name):
            raise ServiceRefused("a name is 1 to 32 lower-case letters, digits and dashes and begins with a letter")
        service_id, secret = self._clock.new_id(), "kms_" + self._clock.token(256)
        sealed = self._sealer.seal(secret, secret_context(service_id))
        service = Service(service_id, name, sealed, tuple(sorted(set(scopes))), self._clock.now_ms())
        if not await services.insert_service(self._database, service, actor):
            raise ServiceRefused(f"there is a service {name} already; remove it first, or choose another name")
        return secret

    async def list_all(self) -> list[Service]:
        """All services, by name."""
        return await services.find_services(self._database)

    async def remove(self, name: str, actor: str) -> None:
        """Refused everywhere within a second; raises ``ServiceRefused``."""
        if not await services.delete_service(self._database, name, actor, self._clock.now_ms()):
            raise ServiceRefused(f"there is no service {name}")


def secret_context(service_id: str) -> str:
    """Where a sealed secret belongs."""
    return f"services/{service_id}"
