"""The ``consents`` table: what a user agreed to or refused, and when; nothing is ever overwritten."""

from dataclasses import dataclass

from models import users
from models.db import Database, Tx

LATEST = (
    "SELECT version, accepted, at FROM consents WHERE user_id = %s AND policy = %s ORDER BY at DESC, id DESC LIMIT 1"
)
INSERT = (
    "INSERT INTO consents (id, user_id, policy, version, accepted, at, address) VALUES (%s, %s, %s, %s, %s, %s, %s)"
)


@dataclass(frozen=True, slots=True)
class Consent:
    """A word of the user's on one version of a policy; ``at`` in ms."""

    id: str
    user_id: str
    policy: str
    version: str
    accepted: bool
    at: int
    address: str


async def keep_consent(database: Database, consent: Consent) -> int:
    """Adds it, unless it repeats the last word on the policy; returns when that word was given (ms).

    Raises 4010 and 4011.
    """

    async def work(tx: Tx) -> int:
        user = await users.lock_self(tx, consent.user_id)
        latest = await tx.fetch(LATEST, [user.id, consent.policy])
        if latest and (latest[0][0], bool(latest[0][1])) == (consent.version, consent.accepted):
            return int(latest[0][2])
        row = [consent.id, user.id, consent.policy, consent.version, int(consent.accepted), consent.at, consent.address]
        await tx.execute(INSERT, row)
        return consent.at

    return await database.run(work)
