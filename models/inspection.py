"""What a database and a Redis say about themselves, for ``kaimen doctor``; reads only."""

from dataclasses import dataclass, field
from typing import Any

from core.errors import AppError
from models.db import Database
from models.kv import Kv

SELECT_MYSQL = (
    "SELECT VERSION(), @@character_set_database, @@innodb_flush_log_at_trx_commit, @@max_connections, "
    "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS UNSIGNED)"
)
# Whoever converts a table by hand makes our exact comparisons inexact.
SELECT_FOLDING = (
    "SELECT CONCAT(table_name, '.', column_name) FROM information_schema.columns WHERE table_schema = DATABASE() "
    "AND table_name <> 'schema_migrations' AND collation_name NOT LIKE '%%\\_bin' ORDER BY 1"
)
SELECT_TIME = "SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS UNSIGNED)"
SELECT_SQLITE = "SELECT sqlite_version(), CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
SELECT_ADDRESSES = "SELECT address FROM sessions ORDER BY created_at DESC LIMIT 100"
SELECT_UNIONIDS = "SELECT appid, COUNT(*), COUNT(unionid) FROM identities GROUP BY appid"


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """``kind`` is ``mysql``, ``mariadb`` or ``sqlite``; the lists are empty where they do not apply."""

    kind: str
    version: str
    now_ms: int
    charset: str = "utf8mb4"
    flush: int = 1  # innodb_flush_log_at_trx_commit
    connections: int = 0  # how many the server takes, 0: not limited
    grants: list[str] = field(default_factory=list)
    folding: list[str] = field(default_factory=list)  # columns that do not compare exactly


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """``policy`` is empty where Redis does not tell."""

    version: str
    now_ms: int
    policy: str
    memory_max: int
    is_kept: bool  # on disk, by one way or the other
    role: str


async def inspect_database(database: Database) -> DatabaseFacts:
    """Raises 5001."""
    if database.dialect.name == "sqlite":
        ((version, now_ms),) = await database.fetch(SELECT_SQLITE)
        return DatabaseFacts("sqlite", version, now_ms)
    ((version, charset, flush, connections, now_ms),) = await database.fetch(SELECT_MYSQL)
    grants = [row[0] for row in await database.fetch("SHOW GRANTS")]
    folding = [_text(row[0]) for row in await database.fetch(SELECT_FOLDING)]
    kind = "mariadb" if "mariadb" in version.lower() else "mysql"
    return DatabaseFacts(kind, version, int(now_ms), charset, int(flush), int(connections), grants, folding)


async def inspect_redis(kv: Kv) -> RedisFacts:
    """Raises 5002."""
    info, (seconds, micros) = await kv.run("INFO"), await kv.run("TIME")
    policy = str(info.get("maxmemory_policy", ""))
    is_kept = bool(info.get("aof_enabled")) or await _saves(kv)
    return RedisFacts(
        info["redis_version"], _ms(seconds, micros), policy, int(info.get("maxmemory", 0)), is_kept, info["role"]
    )


async def ask_database_time(database: Database) -> int:
    """A MySQL's milliseconds since 1970; raises 5001."""
    return int((await database.fetch(SELECT_TIME))[0][0])


async def ask_redis_time(kv: Kv) -> int:
    """Milliseconds since 1970; raises 5002."""
    return _ms(*(await kv.run("TIME")))


def _ms(seconds: Any, micros: Any) -> int:
    return int(seconds) * 1000 + int(micros) // 1000


async def find_addresses(database: Database) -> list[str]:
    """Addresses of the newest sessions; raises 5001."""
    return [row[0] for row in await database.fetch(SELECT_ADDRESSES)]


async def count_unionids(database: Database) -> dict[str, tuple[int, int]]:
    """Identities of each app, and those of them that have a unionid; raises 5001."""
    return {_text(appid): (count, known) for appid, count, known in await database.fetch(SELECT_UNIONIDS)}


async def _saves(kv: Kv) -> bool:
    """A managed Redis may forbid CONFIG: then its keeper knows."""
    try:
        return bool((await kv.run("CONFIG", "GET", "save"))["save"])
    except AppError:
        return True


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
