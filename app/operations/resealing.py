"""Seals everything at rest under the newest master key, while the servers go on working.

What is sealed elsewhere and passes by itself is left out: the access_token of WeChat in Redis lives two hours.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from app.auth.keyring import key_context
from app.callbacks.intake import body_context
from app.crypto.sealing import CannotUnseal, Sealer
from app.events.lane import secret_context as webhook_context
from app.oauth.user_tokens import tokens_context
from app.services.registry import secret_context
from app.users.open_data import session_key_context
from app.users.views import phone_context
from models import resealing
from models.db import Database
from models.resealing import Change, SealedColumn

CHUNK = 200  # rows locked at once, for some milliseconds
PASSES = 5  # a login may move an old value from one column to the next while we pass by

IDENTITY = ("appid", "openid")
SEALED: list[tuple[SealedColumn, Callable[..., str]]] = [
    (SealedColumn("signing_keys", ("id",), "sealed"), key_context),
    (SealedColumn("services", ("id",), "sealed"), secret_context),
    (SealedColumn("webhooks", ("id",), "sealed"), webhook_context),
    (SealedColumn("webhooks", ("id",), "previous_sealed"), webhook_context),
    (SealedColumn("users", ("id",), "phone_sealed"), phone_context),
    (SealedColumn("identities", IDENTITY, "session_key"), session_key_context),
    (SealedColumn("identities", IDENTITY, "previous_session_key"), session_key_context),
    (SealedColumn("identities", IDENTITY, "oauth_tokens"), tokens_context),
    (SealedColumn("inbox", ("id",), "body"), body_context),
]


@dataclass(slots=True)
class Resealed:
    """The outcome of one column; ``broken`` are rows that open under no configured key, as ``table key``."""

    column: str
    resealed: int = 0
    remaining: int = 0
    broken: set[str] = field(default_factory=set)


class Resealer:
    """``run`` returns what was done for each sealed column; running it again does no harm."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def count(self) -> int:
        """How many values are under older keys."""
        return sum([await self._remaining(what) for what, _ in SEALED])

    async def run(self, told: Callable[[int], None] = lambda _count: None) -> list[Resealed]:
        """``told`` hears how many values each step resealed."""
        outcomes = [Resealed(f"{what.table}.{what.column}") for what, _ in SEALED]
        for _ in range(PASSES):
            for (what, context), outcome in zip(SEALED, outcomes, strict=True):
                await self._pass(what, context, outcome, told)
                outcome.remaining = await self._remaining(what)
            if all(outcome.remaining <= len(outcome.broken) for outcome in outcomes):
                break
        return outcomes

    async def _remaining(self, what: SealedColumn) -> int:
        return await resealing.count_under_other_keys(self._database, what, self._sealer.prefix)

    async def _pass(
        self, what: SealedColumn, context: Callable[..., str], outcome: Resealed, told: Callable[[int], None]
    ) -> None:
        after: tuple[str, ...] | None = None
        outcome.broken.clear()
        while rows := await resealing.find_values(self._database, what, after, CHUNK):
            changes = []
            for key, value in rows:
                if value is not None and not value.startswith(self._sealer.prefix):
                    changes += self._reseal(outcome, key, value, context(*key))
            count = await resealing.replace_values(self._database, what, changes) if changes else 0
            outcome.resealed += count
            told(count)
            after = rows[-1][0]

    def _reseal(self, outcome: Resealed, key: tuple[str, ...], value: str, context: str) -> list[Change]:
        try:
            return [Change(key, value, self._sealer.seal(self._sealer.unseal(value, context), context))]
        except CannotUnseal:
            outcome.broken.add(f"{outcome.column} {'/'.join(key)}")
            return []
