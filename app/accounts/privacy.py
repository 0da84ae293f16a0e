"""Consent, export and deletion: the rights of PIPL articles 15, 45 and 47."""

import json
from typing import Any

from pydantic.alias_generators import to_camel

from app.accounts.commands import GiveConsent
from app.accounts.proof import RecentLogin
from app.auth.revocation import Revocations
from app.auth.tokens import Claims
from app.avatars.service import Avatars
from app.crypto.sealing import BlindIndex, CannotUnseal, Sealer
from app.users.views import phone_context, rfc3339
from core.clock import Clock
from core.errors import AppError, Code
from models import consents, deletions, exports
from models.consents import Consent
from models.db import Database

JSON_COLUMNS = {"roles", "data", "detail"}


class Privacy:
    """``/api/user/consent``, ``/api/user/export``, ``DELETE /api/user``."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sealer: Sealer,
        index: BlindIndex,
        revocations: Revocations,
        avatars: Avatars,
    ) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._index = index
        self._revocations = revocations
        self._avatars = avatars
        self._recent = RecentLogin(database, clock)

    async def consent(self, claims: Claims, command: GiveConsent, address: str) -> dict[str, Any]:
        """The word on a policy with the time it was first given."""
        said = command.model_dump()
        consent = Consent(self._clock.new_id(), claims.sub, **said, at=self._clock.now_ms(), address=address)
        return {**said, "at": rfc3339(await consents.keep_consent(self._database, consent))}

    async def export(self, claims: Claims) -> dict[str, Any]:
        """Everything stored about the user: openid, unionid and the phone in full, but no key and no hash."""
        people, tables = await exports.find_everything(self._database, claims.sub)
        if not people or people[0]["id"] != claims.sub:
            raise AppError(Code.TOKEN_EXPIRED if people else Code.UNAUTHENTICATED)
        user, *aliases = [_shown(self._with_phone(row)) for row in people]
        rest = {name: [_shown(row) for row in rows] for name, rows in tables.items()}
        return {"exportedAt": rfc3339(self._clock.now_ms()), "user": user, "aliases": aliases, **rest}

    async def delete(self, claims: Claims) -> None:
        """Ends the account for good; raises 4035 without a recent login."""
        await self._recent.require(claims)
        pseudonym = pseudonym_of(self._index, claims.sub)
        now = self._clock.now_ms()
        ended = await deletions.delete_user(self._database, claims.sub, pseudonym, None, now)
        if ended is None:
            raise AppError(Code.UNAUTHENTICATED, cause="the user is gone")
        self._revocations.add(ended, "deleted")
        await self._avatars.sweep_quietly()

    def _with_phone(self, row: dict[str, Any]) -> dict[str, Any]:
        sealed = row.pop("phone_sealed")
        try:
            phone = self._sealer.unseal(sealed, phone_context(row["id"])) if sealed else None
        except CannotUnseal:  # under a master key that is lost: nobody can tell any more
            phone = None
        return {**row, "phone": phone}


def pseudonym_of(index: BlindIndex, user_id: str) -> str:
    """What the audit calls a deleted user: the same for the same id, and no way back without the key."""
    return index.of(f"deleted/{user_id}")


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {to_camel(column): _value(column, value) for column, value in row.items()}


def _value(column: str, value: Any) -> Any:
    if column == "at" or column.endswith("_at"):
        return rfc3339(value)
    if column in JSON_COLUMNS:
        return json.loads(value)
    if column == "actor":  # which of our staff or services it was is not the user's own data
        return value.partition(":")[0]
    return bool(value) if column == "accepted" else value
