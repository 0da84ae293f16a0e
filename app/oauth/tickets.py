"""``kaimenTicket``: ``<session id>.<HMAC>``, which a page on another domain redeems once for the session's tokens."""

import hmac
import re
from typing import Annotated, Any

from pydantic import Field

from app.auth.grants import Client, Grant, Grants
from app.auth.keyring import Keyring
from app.auth.limits import Limits
from app.auth.tokens import mac_of
from app.commands import Command
from core.clock import Clock
from core.errors import AppError, Code
from models import tickets
from models.db import Database
from models.sign_ins import SignedIn

FORM = re.compile(r"([0-9a-f]{32})\.([A-Za-z0-9_-]{43})", re.ASCII)


class RedeemTicket(Command):
    """A ticket for tokens, or for the cookie."""

    ticket: Annotated[str, Field(min_length=1, max_length=128)]
    cookie: bool = False


class Tickets:
    """Makes tickets, and redeems them."""

    def __init__(
        self, database: Database, clock: Clock, keyring: Keyring, grants: Grants, limits: Limits, *, ttl_s: int
    ) -> None:
        self._database = database
        self._clock = clock
        self._keyring = keyring
        self._grants = grants
        self._limits = limits
        self._ttl_ms = ttl_s * 1000

    def make(self, signed_in: SignedIn) -> str:
        """The ticket of a session that has just begun: always the same one."""
        session = signed_in.session
        key = next(key for key in self._keyring.refresh if key.id == session.refresh_key)
        return f"{session.id}.{_mac(key.secret, session.id)}"

    async def redeem(self, command: RedeemTicket, client: Client) -> dict[str, Any]:
        """The ``data`` of api/auth, once and within a minute; raises 4012, 4034, 4290."""
        try:
            done = await tickets.redeem(
                self._database, self._session_of(command.ticket), self._clock.now_ms(), self._ttl_ms
            )
        except AppError as error:
            if error.code is Code.REFRESH_INVALID:
                await self._limits.count_bad_refresh(client.network)
            raise
        is_new = done.user.created_at == done.session.created_at
        return self._grants.reply(Grant(SignedIn(done.user, done.session, is_new)))

    def _session_of(self, ticket: str) -> str:
        match = FORM.fullmatch(ticket)
        if match is None or not any(
            hmac.compare_digest(match[2], _mac(key.secret, match[1])) for key in self._keyring.refresh
        ):
            raise AppError(Code.REFRESH_INVALID, cause="not a ticket of ours")
        return match[1]


def _mac(secret: bytes, session_id: str) -> str:
    return mac_of(secret, f"ticket.{session_id}")
