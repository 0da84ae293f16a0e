"""The ``signing_keys`` table: keys that sign access tokens, refresh tokens and blind indexes, sealed."""

from dataclasses import dataclass

from models.db import Database, DuplicateKey, Row, Tx, rows_of

COLUMNS = "id, purpose, generation, algorithm, sealed, public_jwk, created_at, signs_from"
SELECT = f"SELECT {COLUMNS} FROM signing_keys WHERE retired_at IS NULL ORDER BY purpose, generation"
INSERT = f"INSERT INTO signing_keys ({COLUMNS}) VALUES "


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


async def find_keys(database: Database) -> list[StoredKey]:
    """All keys in use, the oldest of each purpose first."""
    return [_key(row) for row in await database.fetch(SELECT)]


async def insert_key(database: Database, key: StoredKey) -> None:
    """Stores a key unless that generation exists: of two first starts at once one wins, and both read it after."""

    async def work(tx: Tx) -> None:
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

    try:
        await database.run(work)
    except DuplicateKey:
        return


def _key(row: Row) -> StoredKey:
    return StoredKey(*row)
