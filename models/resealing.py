"""Sealed columns, read in the order of their keys and replaced by compare-and-set."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.db import Database, Row, Tx, text

BUDGET_S = 30.0


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of sealed values, and the key of its table."""

    table: str
    key: tuple[str, ...]
    column: str


@dataclass(frozen=True, slots=True)
class Change:
    """One value: the row's key, what was read, what is to be there instead."""

    key: tuple[str, ...]
    old: str
    new: str


async def count_under_other_keys(database: Database, what: SealedColumn, prefix: str) -> int:
    """Rows whose value does not begin with ``prefix``, which names the key it should be sealed under."""
    sql = f"SELECT COUNT(*) FROM {what.table} WHERE {what.column} IS NOT NULL AND {what.column} NOT LIKE %s"
    rows = await database.run(lambda tx: tx.fetch(sql, [prefix + "%"]), BUDGET_S)
    return int(rows[0][0])


async def find_values(
    database: Database, what: SealedColumn, after: tuple[str, ...] | None, limit: int
) -> list[tuple[tuple[str, ...], str | None]]:
    """The next rows after that key, as (key, value)."""
    condition, args = _after(what.key, after)
    columns = ", ".join([*what.key, what.column])
    sql = f"SELECT {columns} FROM {what.table} WHERE {condition} ORDER BY {', '.join(what.key)} LIMIT {int(limit)}"
    return [_value(row) for row in await database.fetch(sql, args)]


async def replace_values(database: Database, what: SealedColumn, changes: Sequence[Change]) -> int:
    """Replaces what is still as it was read, and returns how many were: a change made meanwhile stays."""
    where = " AND ".join(f"{name} = %s" for name in (*what.key, what.column))
    sql = f"UPDATE {what.table} SET {what.column} = %s WHERE {where}"

    async def work(tx: Tx) -> int:
        return sum([await tx.execute(sql, [one.new, *one.key, one.old]) for one in changes])

    return await database.run(work)


def _after(key: tuple[str, ...], after: tuple[str, ...] | None) -> tuple[str, list[str]]:
    if after is None:
        return "1 = 1", []
    if len(key) == 1:
        return f"{key[0]} > %s", [*after]
    return f"{key[0]} >= %s AND ({key[0]} > %s OR {key[1]} > %s)", [after[0], *after]


def _value(row: Row) -> tuple[tuple[str, ...], str | None]:
    return tuple(str(text(part)) for part in row[:-1]), text(row[-1])
