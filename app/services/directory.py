"""Users for other services: looked up in batches, and changed."""

from typing import Any

from app.apps import Apps
from app.auth.revocation import Revocations
from app.crypto.sealing import BlindIndex, CannotUnseal, Sealer
from app.services.commands import ChangeUser, Lookup
from app.users.views import UserViews, phone_context
from core.clock import Clock
from models import directory
from models.db import Database
from models.directory import Listed
from models.users import User


class Directory:
    """What a service with ``users:read`` or ``users:write`` may see and do."""

    def __init__(
        self,
        apps: Apps,
        database: Database,
        clock: Clock,
        sealer: Sealer,
        index: BlindIndex,
        revocations: Revocations,
    ) -> None:
        self._apps = apps
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._index = index
        self._revocations = revocations
        self._views = UserViews(sealer)

    async def lookup(self, command: Lookup) -> dict[str, Any]:
        """Those that exist, each once, in the order of their ids."""
        listed = await directory.find_listed(self._database, await self._find(command))
        return {"users": [self._view(one) for one in listed]}

    async def change(self, user_id: str, command: ChangeUser, service: str, address: str) -> dict[str, Any]:
        """Roles, external id, disabled; returns the user as it is now. Raises 4040, 4092."""
        wanted = {name: getattr(command, name) for name in command.model_fields_set}
        if "roles" in wanted:
            wanted["roles"] = sorted(set(wanted["roles"]))
        now = self._clock.now_ms()
        done = await directory.change_user(self._database, user_id, wanted, f"service:{service}", address, now)
        self._revocations.add(done.ended, "disabled")
        listed = await directory.find_listed(self._database, [done.user_id])
        return self._view(listed[0])

    async def _find(self, command: Lookup) -> list[str]:
        if command.openids is not None:
            return await directory.find_ids_by_openid(self._database, list(self._apps.appids), command.openids)
        if command.phones is not None:
            hashes = [self._index.of(plain_phone(phone)) for phone in command.phones]
            return await directory.find_ids(self._database, "phones", hashes)
        by = "ids" if command.ids is not None else "external_ids"
        return await directory.find_ids(self._database, by, command.ids or command.external_ids or [])

    def _view(self, listed: Listed) -> dict[str, Any]:
        unionid = listed.unionids[0] if len(listed.unionids) == 1 else None
        return {
            **self._views.public(listed.user),
            "phone": self._phone(listed.user),
            "disabled": listed.user.disabled_at is not None,
            "externalId": listed.external_id,
            "unionids": list(listed.unionids),
            "identities": [
                {"appid": appid, "openid": openid, "unionid": unionid} for appid, openid in listed.identities
            ],
        }

    def _phone(self, user: User) -> str | None:
        if user.phone_sealed is None:
            return None
        try:
            return self._sealer.unseal(user.phone_sealed, phone_context(user.id))
        except CannotUnseal:
            return None


def plain_phone(phone: str) -> str:
    """As it is stored: digits, without the prefix of mainland China."""
    digits = phone.removeprefix("+")
    return digits[2:] if len(digits) == 13 and digits.startswith("861") else digits
