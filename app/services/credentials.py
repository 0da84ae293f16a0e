"""Who a service is: proven by HTTP Basic, or by a request signed with HMAC."""

import base64
import binascii
import hmac

from app.crypto.sealing import CannotUnseal, Sealer
from app.services.registry import secret_context
from app.services.signing import SCHEME, ServiceRequest, Signature, parse_signature, sign
from core.clock import Clock
from core.errors import AppError, Code
from models import services
from models.batch import Batcher
from models.db import Database
from models.kv import Kv
from models.nonces import Nonces
from models.services import Service

WINDOW_S = 300
NONCE_KEPT_S = 2 * WINDOW_S + 60  # a timestamp may lie ahead by a window; a minute for clocks that differ
FRESH_S = 0.5  # a removed service is refused everywhere within a second
NOBODY = "no such service"  # compared with where there is no secret, so that both cases do the same work


class ServiceCredentials:
    """``await authenticate(request, scope)`` is the service behind a request."""

    def __init__(self, database: Database, kv: Kv, clock: Clock, sealer: Sealer) -> None:
        self._database = database
        self._nonces = Nonces(kv)
        self._clock = clock
        self._sealer = sealer
        self._known: dict[str, Service] = {}
        self._read_at = float("-inf")
        self._reads: Batcher[None, None] = Batcher(self._read, name="service", max_items=1000)

    async def authenticate(self, request: ServiceRequest, scope: str) -> Service:
        """Raises 4010 for wrong credentials, 4030 without the scope, 5001, and 5002 for a signed one without Redis."""
        scheme, _, parameters = request.authorization.partition(" ")
        if scheme.lower() == "basic":
            service = await self._by_password(parameters)
        elif scheme.lower() == SCHEME.lower():
            service = await self._by_signature(request, parse_signature(parameters))
        else:
            raise AppError(Code.UNAUTHENTICATED, cause="no service credentials")
        if scope not in service.scopes:
            raise AppError(Code.FORBIDDEN, cause=f"service {service.name} lacks {scope}", scope=scope)
        return service

    async def close(self) -> None:
        """Waits for a read under way."""
        await self._reads.close()

    async def _by_password(self, encoded: str) -> Service:
        name, secret = _parse_basic(encoded)
        service = await self._find(name)
        if not hmac.compare_digest(self._secret_of(service).encode(), secret.encode()) or service is None:
            raise AppError(Code.UNAUTHENTICATED, cause="wrong service credentials")
        return service

    async def _by_signature(self, request: ServiceRequest, given: Signature | None) -> Service:
        if given is None:
            raise AppError(Code.UNAUTHENTICATED, cause="malformed signature header")
        service = await self._find(given.service)
        expected = sign(
            self._secret_of(service), request.method, request.target, request.body, given.timestamp, given.nonce
        )
        if not hmac.compare_digest(expected, given.mac) or service is None:
            raise AppError(Code.UNAUTHENTICATED, cause="wrong signature")
        await self._check_once(service, given)
        return service

    async def _check_once(self, service: Service, given: Signature) -> None:
        if abs(self._clock.now_ms() / 1000 - given.timestamp) > WINDOW_S:
            raise AppError(Code.UNAUTHENTICATED, cause="the signed timestamp is more than 5 min away")
        if not await self._nonces.claim(service.name, given.nonce, NONCE_KEPT_S):
            raise AppError(Code.UNAUTHENTICATED, cause="the nonce was used before")

    async def _find(self, name: str) -> Service | None:
        if self._clock.monotonic() - self._read_at > FRESH_S:
            await self._reads.submit(None)
        return self._known.get(name)

    async def _read(self, waiting: list[None]) -> list[Exception | None]:
        """One query for all that wait."""
        began = self._clock.monotonic()
        self._known = {service.name: service for service in await services.find_services(self._database)}
        self._read_at = began
        return [None for _ in waiting]

    def _secret_of(self, service: Service | None) -> str:
        if service is None:
            return NOBODY
        try:
            return self._sealer.unseal(service.sealed, secret_context(service.id))
        except CannotUnseal as error:
            raise AppError(Code.UNAUTHENTICATED, cause=f"secret of {service.name}: {error}") from None


def _parse_basic(encoded: str) -> tuple[str, str]:
    """Name and secret (RFC 7617); raises 4010."""
    try:
        name, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise AppError(Code.UNAUTHENTICATED, cause="malformed Basic credentials") from None
    if not colon:
        raise AppError(Code.UNAUTHENTICATED, cause="malformed Basic credentials")
    return name, secret
