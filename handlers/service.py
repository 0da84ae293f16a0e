"""For other services: introspection, users, the central access_token."""

import json

from app.commands import parse_command
from app.services.commands import AskToken, ChangeUser, Lookup
from app.services.signing import SCHEME, ServiceRequest
from core.clock import Deadline
from core.errors import AppError, Code
from handlers.base import ApiHandler
from handlers.form import parse_form
from models.services import Service

FORM = "application/x-www-form-urlencoded"


class ServiceHandler(ApiHandler):
    """A handler for services: ``await self.service(scope)`` first."""

    challenge = f'Basic realm="kaimen", charset="UTF-8", {SCHEME} realm="kaimen"'

    async def service(self, scope: str) -> Service:
        """Who calls; raises 4010, 4030, 4130, 5001, 5002."""
        request = ServiceRequest(
            self.request.headers.get("Authorization", ""),
            self.request.method or "",
            self.request.uri or "",
            self.raw_body(),
            self.client.address,
        )
        return await self.kaimen.service_credentials.authenticate(request, scope)


class IntrospectHandler(ServiceHandler):
    """``POST /api/token/introspect`` (RFC 7662)."""

    async def post(self) -> None:
        """What the token stands for; without the envelope."""
        await self.service("introspect")
        token = parse_form(self.raw_body()).get("token") if self.must_be(FORM) else None
        if not token:
            raise AppError(Code.INVALID_REQUEST, field="token")
        self.finish(json.dumps(await self.kaimen.introspection.introspect(token)))


class LookupHandler(ServiceHandler):
    """``POST /api/service/users/lookup``."""

    async def post(self) -> None:
        """Up to 100 users at once."""
        await self.service("users:read")
        self.reply(await self.kaimen.directory.lookup(parse_command(Lookup, self.json())))


class UserHandler(ServiceHandler):
    """``/api/service/users/{id}``."""

    async def patch(self, user_id: str) -> None:
        """Roles, external id, disabled."""
        service = await self.service("users:write")
        command = parse_command(ChangeUser, self.json())
        self.reply(await self.kaimen.directory.change(user_id, command, service.name, self.client.address))


class AccessTokenHandler(ServiceHandler):
    """``/api/wechat/{appid}/access-token``."""

    async def post(self, appid: str) -> None:
        """WeChat's access_token, the one of this deployment."""
        await self.service("access-token")
        command = parse_command(AskToken, self.json())
        deadline = Deadline.after(self.kaimen.clock, self.kaimen.settings.wx_budget_s)
        self.reply(await self.kaimen.lending.lend(appid, command.stale, deadline))
