"""The ``signing_keys`` table: keys that sign access tokens, refresh tokens and blind indexes, sealed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from models import audit
from models.db import Database, DuplicateKey, Tx, rows_of

COLUMNS = "id, purpose, generation, algorithm, sealed, public_jwk, created_at, signs_from"
SELECT = f"SELECT {COLUMNS}, retired_at FROM signing_keys"
ORDER = " ORDER BY purpose, generation"
INSERT = f"INSERT INTO signing_keys ({COLUMNS}) VALUES "
RETIRE = "UPDATE signing_keys SET retired_at = %s WHERE id = %s AND retired_at IS NULL"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A row; ``sealed`` holds the private key, ``public_jwk`` JSON or None; times in ms."""

    id: str
    purpose: str
    generation: int
    algorithm: str
    sealed: str
    public_jwk: str | None
    created_at: int
    signs_from: int
    retired_at: int | None = None


async def find_keys(database: Database | Tx, *, with_retired: bool = False) -> list[StoredKey]:
    """The keys that were not retired (or all), the oldest of each purpose first."""
    where = "" if with_retired else " WHERE retired_at IS NULL"
    return [StoredKey(*row) for row in await database.fetch(SELECT + where + ORDER)]


def stops_at(key: StoredKey, stored: Sequence[StoredKey]) -> int | None:
    """When a later key takes over from ``key`` (ms), None while none is there."""
    later = [one.signs_from for one in stored if one.purpose == key.purpose and one.generation > key.generation]
    return min(later, default=None)


def in_use(stored: Sequence[StoredKey], now: int, keep_ms: Mapping[str, int]) -> list[StoredKey]:
    """Those that sign, will sign, or may have signed what still counts; purposes not in ``keep_ms`` never end."""

    def is_over(key: StoredKey) -> bool:
        stop = stops_at(key, stored)
        return key.purpose in keep_ms and stop is not None and stop + keep_ms[key.purpose] < now

    return [key for key in stored if not is_over(key)]


async def insert_key(database: Database, key: StoredKey) -> None:
    """Stores a key unless that generation exists: of two first starts at once one wins, and both read it after."""

    async def work(tx: Tx) -> None:
        await _insert(tx, key)

    try:
        await database.run(work)
    except DuplicateKey:
        return


async def rotate_key(
    database: Database, purpose: str, make: Callable[[list[StoredKey]], StoredKey], actor: str
) -> StoredKey:
    """Stores what ``make`` makes of all keys of the purpose (the next generation), with its line in the audit."""

    async def work(tx: Tx) -> StoredKey:
        stored = [key for key in await find_keys(tx, with_retired=True) if key.purpose == purpose]
        key = make(stored)
        await _insert(tx, key)
        detail = {"key": key.id, "purpose": purpose, "signsFrom": key.signs_from}
        await audit.insert_entries(tx, [audit.Entry(key.created_at, "key.rotated", actor, detail=detail)])
        return key

    return await database.run(work)


async def retire_key(database: Database, key_id: str, actor: str, at: int) -> bool:
    """Ends a key for good, with its line in the audit; False if there is none of that id in use."""

    async def work(tx: Tx) -> bool:
        if not await tx.execute(RETIRE, [at, key_id]):
            return False
        await audit.insert_entries(tx, [audit.Entry(at, "key.retired", actor, detail={"key": key_id})])
        return True

    return await database.run(work)


async def _insert(tx: Tx, key: StoredKey) -> None:
    row = (
        key.id,
        key.purpose,
        key.generation,
        key.algorithm,
        key.sealed,
        key.public_jwk,
        key.created_at,
        key.signs_from,
    )
    lists, args = rows_of([row])
    await tx.execute(INSERT + lists, args)
