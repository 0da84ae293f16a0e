"""Database and Redis: versions, privileges, what may be lost, and whether the clocks agree."""

import ipaddress
import re

from app.avatars.storage import open_storage
from app.clock_watch import APART_S
from app.doctor.findings import FAIL, OK, WARN, Finding
from core.clock import Clock
from core.errors import AppError
from core.settings import Settings
from models import inspection, migrations
from models.db import Database
from models.inspection import DatabaseFacts, RedisFacts
from models.kv import Kv

LEAST = {"mysql": (8, 0), "mariadb": (10, 6), "sqlite": (3, 35), "redis": (6, 2)}
SKEW_WARN_S, SKEW_FAIL_S = 1, APART_S
CONNECTIONS_LEAST = 100
PROBE = "kaimen-doctor"
EVERYWHERE = re.compile(r"GRANT (?!USAGE\b|PROXY\b)(.+?) ON \*\.\* TO", re.IGNORECASE)


async def examine_database(database: Database, clock: Clock) -> list[Finding]:
    """Version, character set, collations, privileges, durability, migrations, clock."""
    try:
        facts = await inspection.inspect_database(database)
        waiting = await migrations.pending(database)
    except AppError as error:
        return [Finding("database", FAIL, error.cause, "is it running, and is KAIMEN_DATABASE_URL right?")]
    findings = [_version("database", facts.kind, facts.version), _migrations(len(waiting))]
    findings += [*_text_rules(facts), *_durability(facts), *_privileges(facts), *_room(facts)]
    return [*findings, _clock("database", facts.now_ms, clock)]


async def examine_redis(kv: Kv, settings: Settings, clock: Clock) -> list[Finding]:
    """Version, eviction, persistence, role, clock; of the in-process Redis only that it is one."""
    if settings.redis_url.get_secret_value() == "memory://":
        return [Finding("redis", OK, "in this process only: good for one process, forgotten with it")]
    try:
        facts = await inspection.inspect_redis(kv)
    except AppError as error:
        return [Finding("redis", FAIL, error.cause, "is it running, and is KAIMEN_REDIS_URL right?")]
    return [_version("redis", "redis", facts.version), *_keeping(facts), _clock("redis", facts.now_ms, clock)]


async def examine_avatars(settings: Settings, clock: Clock) -> list[Finding]:
    """Whether an S3-compatible store takes, gives and removes a file; of a folder the disk tells."""
    if not settings.avatar_storage.get_secret_value():
        return []
    storage = open_storage(settings, clock)
    try:
        await storage.put(PROBE, "text/plain", PROBE.encode())
        is_same = await storage.find(PROBE) == PROBE.encode()
        await storage.delete(PROBE)
    except AppError as error:
        fix = "is KAIMEN_AVATAR_STORAGE right, and may its key read, write and delete?"
        return [Finding("avatars", FAIL, error.cause, fix)]
    finally:
        storage.close()
    if is_same:
        return [Finding("avatars", OK, "the store takes, gives and removes files")]
    return [Finding("avatars", FAIL, "the store gives back something else", "is another service in front of it?")]


async def examine_addresses(database: Database, settings: Settings) -> list[Finding]:
    """Whether the proxy in front tells who calls: limits and the audit depend on it. Raises 5001."""
    seen = await inspection.find_addresses(database)
    inner = [address for address in seen if _is_inner(address)]
    if seen and len(inner) == len(seen):
        found = f"the last {len(seen)} sign-ins all came from this machine or its network, such as {inner[0]}"
        fix = "let the proxy set X-Forwarded-For, and name it in KAIMEN_TRUSTED_PROXIES"
        return [Finding("proxy", WARN, found, fix)]
    if not settings.trusted_proxies and settings.env == "production":
        fix = "set KAIMEN_TRUSTED_PROXIES to the address of the proxy (127.0.0.1, or unix)"
        return [Finding("proxy", WARN, "no proxy is trusted: all clients look like one", fix)]
    return [Finding("proxy", OK, "clients are told apart" if seen else "nobody has signed in yet")]


def _version(what: str, kind: str, version: str) -> Finding:
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    least = LEAST[kind]
    if numbers >= least:
        return Finding(what, OK, f"{kind} {version}")
    return Finding(what, WARN, f"{kind} {version} is old", f"upgrade to {'.'.join(map(str, least))} or newer")


def _migrations(waiting: int) -> Finding:
    if waiting:
        return Finding("migrations", FAIL, f"{waiting} are pending", "run: kaimen migrate")
    return Finding("migrations", OK, "all are applied")


def _text_rules(facts: DatabaseFacts) -> list[Finding]:
    findings = []
    if facts.charset != "utf8mb4":
        fix = "ALTER DATABASE … CHARACTER SET utf8mb4"
        findings.append(Finding("database", WARN, f"its character set is {facts.charset}", fix))
    if facts.folding:
        found = f"{len(facts.folding)} columns do not compare exactly, such as {facts.folding[0]}"
        findings.append(Finding("database", FAIL, found, "give them back the collation of sql/mysql/"))
    return findings


def _durability(facts: DatabaseFacts) -> list[Finding]:
    if facts.flush == 1:
        return []
    found = f"innodb_flush_log_at_trx_commit is {facts.flush}: a power cut loses acknowledged sign-ins"
    return [Finding("database", WARN, found, "set it to 1")]


def _privileges(facts: DatabaseFacts) -> list[Finding]:
    wide = [found[1] for grant in facts.grants if (found := EVERYWHERE.search(grant))]
    if not wide:
        return []
    fix = "give it SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP on its own database only"
    return [Finding("database", WARN, f"our account may do {wide[0][:60]} everywhere", fix)]


def _room(facts: DatabaseFacts) -> list[Finding]:
    if not facts.connections or facts.connections >= CONNECTIONS_LEAST:
        return []
    found = f"max_connections is {facts.connections}; each process takes up to 16"
    return [Finding("database", WARN, found, f"raise it to {CONNECTIONS_LEAST} or more")]


def _keeping(facts: RedisFacts) -> list[Finding]:
    findings = []
    if facts.policy not in ("", "noeviction"):
        level = FAIL if facts.memory_max else WARN
        found = f"maxmemory-policy is {facts.policy}: limits and nonces may be forgotten early"
        findings.append(Finding("redis", level, found, "set it to noeviction"))
    if not facts.is_kept:
        found = "keeps nothing on disk: a restart forgets limits, nonces and the access_token"
        findings.append(Finding("redis", WARN, found, "appendonly yes, or save 60 1"))
    if facts.role != "master":
        findings.append(Finding("redis", FAIL, f"is a {facts.role}: nothing can be written", "name the primary"))
    return findings


def _clock(what: str, theirs_ms: int, clock: Clock) -> Finding:
    skew_s = abs(theirs_ms - clock.now_ms()) / 1000
    if skew_s <= SKEW_WARN_S:
        return Finding("clock", OK, f"agrees with the {what}'s ({skew_s:.1f} s)")
    level = FAIL if skew_s > SKEW_FAIL_S else WARN
    return Finding("clock", level, f"{skew_s:.0f} s apart from the {what}'s", "run chrony or systemd-timesyncd on both")


def _is_inner(address: str) -> bool:
    try:
        return not ipaddress.ip_address(address).is_global
    except ValueError:
        return True
