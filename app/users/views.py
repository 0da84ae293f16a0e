"""What a client is shown of a user: never openid, unionid or session_key, and the phone masked."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from app.crypto.sealing import CannotUnseal, Sealer
from app.users.rules import mask_phone
from models.identities import Binding
from models.users import User


def rfc3339(at_ms: int | None) -> str | None:
    """``2026-11-20T08:30:00.123Z`` for milliseconds since 1970."""
    if at_ms is None:
        return None
    seconds, millis = divmod(at_ms, 1000)
    return f"{_to_the_second(seconds)}.{millis:03d}Z"


@lru_cache(maxsize=4096)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def phone_context(user_id: str) -> str:
    """Where a sealed phone belongs."""
    return f"users/{user_id}/phone"


def reseal_phone(sealer: Sealer, phone: str, from_id: str, to_id: str) -> str | None:
    """A sealed phone of one user as another's; None if it cannot be opened."""
    try:
        return sealer.seal(sealer.unseal(phone, phone_context(from_id)), phone_context(to_id))
    except CannotUnseal:
        return None


class UserViews:
    """Builds the ``user`` object of the contract."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def public(self, user: User) -> dict[str, Any]:
        """The ``user`` of every reply."""
        return {
            "id": user.id,
            "username": user.username,
            "nickname": user.nickname,
            "avatarUrl": user.avatar_url,
            "phone": self._masked_phone(user),
            "email": user.email,
            "roles": list(user.roles),
            "createdAt": rfc3339(user.created_at),
            "lastLoginAt": rfc3339(user.last_login_at),
        }

    def own(self, user: User, bindings: list[Binding]) -> dict[str, Any]:
        """The same for the user's own profile page, with what is bound."""
        bound = [{"appid": one.appid, "kind": one.kind, "boundAt": rfc3339(one.bound_at)} for one in bindings]
        return {**self.public(user), "bindings": bound}

    def _masked_phone(self, user: User) -> str | None:
        if user.phone_sealed is None:
            return None
        try:
            return mask_phone(self._sealer.unseal(user.phone_sealed, phone_context(user.id)))
        except CannotUnseal:  # a lost master key must not lock the user out of the profile
            return None
