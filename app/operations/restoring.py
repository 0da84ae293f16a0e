"""What a database from a backup needs before it may be served: no old token counts, and the deleted stay deleted."""

from dataclasses import dataclass

from app.accounts.privacy import pseudonym_of
from app.auth.keyring import make_key
from app.crypto.sealing import BlindIndex, Sealer
from app.operations.ledger import LedgerFile
from core.clock import Clock
from models import deletions, keys, ledger
from models.db import Database
from models.keys import StoredKey

PURPOSES = ("access", "refresh")


@dataclass(frozen=True, slots=True)
class Restored:
    """How many sessions ended, how many users were deleted again."""

    sessions: int
    deleted: int


async def make_true(
    database: Database, sealer: Sealer, index: BlindIndex, file: LedgerFile, clock: Clock, actor: str
) -> Restored:
    """Safe to run again. The keys are exchanged first: whatever happens then, no token of before is good any more."""
    for purpose in PURPOSES:
        await _exchange_keys(database, sealer, clock, purpose, actor)
    ended = await ledger.end_every_session(database, "restored", clock.now_ms())
    deleted = await _delete_again(database, index, file, clock, actor)
    mark = max(clock.now_ms(), file.mark())
    await ledger.note_restore(database, actor, mark, {"sessions": ended, "deleted": deleted})
    file.add(mark, [])
    return Restored(ended, deleted)


async def _exchange_keys(database: Database, sealer: Sealer, clock: Clock, purpose: str, actor: str) -> None:
    """A key that signs at once; all others of the purpose verify no more."""

    def make(stored: list[StoredKey]) -> StoredKey:
        return make_key(purpose, sealer, clock, stored[-1].generation + 1 if stored else 1, 0)

    made = await keys.rotate_key(database, purpose, make, actor)
    for key in await keys.find_keys(database):
        if key.purpose == purpose and key.id != made.id:
            await keys.retire_key(database, key.id, actor, clock.now_ms())


async def _delete_again(database: Database, index: BlindIndex, file: LedgerFile, clock: Clock, actor: str) -> int:
    gone, deleted, after = file.deleted(), 0, ""
    while gone and (ids := await ledger.find_user_ids(database, after)):
        for user_id in ids:
            pseudonym = pseudonym_of(index, user_id)
            if pseudonym in gone:
                await deletions.delete_user(database, user_id, pseudonym, actor, clock.now_ms())
                deleted += 1
        after = ids[-1]
    return deleted
