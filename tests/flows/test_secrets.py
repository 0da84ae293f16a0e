"""No secret is found where it does not belong: logs, replies, database, Redis."""

import asyncio
import contextlib
import io
import json
import sqlite3
from collections.abc import Callable

import pytest

from backend import APPID, PASSWORD, Backend, StartBackend, Store
from core.clock import Clock
from core.observe.logs import set_up_logs
from models.db import open_database
from models.kv import open_kv
from servers import MariaDB
from simulator import DEFAULT_APPS

MASTER = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
READ: dict[str, Callable[[str], tuple[str, ...]]] = {
    "string": lambda key: ("GET", key),
    "hash": lambda key: ("HGETALL", key),
    "zset": lambda key: ("ZRANGE", key, "0", "-1"),
}
DUMPED = (
    "users",
    "identities",
    "unionids",
    "sessions",
    "revocations",
    "outbox",
    "signing_keys",
    "audit",
    "consents",
    "merges",
    "services",
    "leases",
    "notes",
)


async def live_through_everything(backend: Backend) -> tuple[list[str], list[str]]:
    """Uses every route, well and badly; returns what the client must keep secret, and every reply."""
    login_code, phone_code = backend.wx_login(), backend.simulator.wechat.phone_code(APPID, "alice")
    replies = [await backend.auth("login", code=login_code, phoneCode=phone_code)]
    data = backend.simulator.wechat.open_data(APPID, "alice", "userInfo")
    login = replies[0].data
    token = login["accessToken"]
    replies += [
        await backend.auth("register", username="canary1", password=PASSWORD),
        await backend.auth("login", username="canary1", password=PASSWORD + "wrong"),
        await backend.auth("login", code="canary-bad-code"),
        await backend.auth("autoLogin", refreshToken=login["refreshToken"]),
        await backend.auth("autoLogin", refreshToken="canary.refresh"),
        await backend.call("POST", "/api/user/decrypt", data, token),
        await backend.call("POST", "/api/user/decrypt", {**data, "iv": "x"}, token),
        await backend.call("PATCH", "/api/user/info", {"nickname": "ok"}, token),
        await backend.get(f"/api/user/info?canary={token}", token),
        await backend.get("/api/token/verify", token + "x"),
        await backend.call("POST", "/api/auth", '{"code": "canary-in-broken-json'),
    ]
    for fault in ({"html": True}, {"status": 500}, {"reset": True}, {"errcode": 40164}, {"truncate": True}):
        backend.simulator.faults.add({"api": "jscode2session", **fault, "times": 1})
        replies.append(await backend.auth("login", code=backend.wx_login()))
    replies.append(await backend.call("POST", "/api/auth/logout", {}, token))
    return [login_code, phone_code, PASSWORD, token, login["refreshToken"], "canary"], [one.text for one in replies]


def never_anywhere(backend: Backend) -> list[str]:
    """Secrets of ours and of WeChat's that no log, reply or store may hold."""
    wechat = backend.simulator.wechat
    found = [wechat.keys.find_version(APPID, "alice", version) for version in ("current", "previous")]
    keys = [key.value for key in found if key]
    return [*keys, *(app["secret"] for app in DEFAULT_APPS), MASTER, "13800138001"]


def identities(backend: Backend) -> list[str]:
    users = backend.simulator.wechat.users
    person = users.get("alice")
    return [*users.openids(person).values(), str(person.unionid)]


async def test_logs_and_replies_hold_no_secret(start_backend: StartBackend, store: Store) -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        set_up_logs("debug", "json")
        backend = await start_backend(store)
        of_client, replies = await live_through_everything(backend)
        await asyncio.sleep(0)
    set_up_logs("error", "json")
    logged = out.getvalue()
    assert logged.count("\n") > 15
    for line in logged.splitlines():
        json.loads(line)
    for secret in [*of_client, *never_anywhere(backend), *identities(backend)]:
        assert secret not in logged, secret
    for secret in [*never_anywhere(backend), *identities(backend)]:
        assert not any(secret in reply for reply in replies), secret


async def test_database_and_redis_hold_no_secret_in_clear(start_backend: StartBackend, server_store: Store) -> None:
    backend = await start_backend(server_store)
    of_client, _ = await live_through_everything(backend)
    database, kv = open_database(server_store.database_url, Clock()), open_kv(server_store.redis_url, Clock())
    dump = "".join(str([await database.fetch(f"SELECT * FROM {table}") for table in DUMPED]))
    for key in await kv.run("KEYS", "*"):
        kind = await kv.run("TYPE", key)
        dump += key + str(await kv.run(*READ[kind](key)))
    await database.close()
    await kv.close()
    for secret in [*of_client[:-1], *never_anywhere(backend)]:
        assert secret not in dump, secret


@pytest.mark.parametrize("column", ["session_key", "phone_sealed"])
async def test_sealed_columns_are_sealed(backend: Backend, store: Store, column: str) -> None:
    code = backend.simulator.wechat.phone_code(APPID, "alice")
    await backend.auth("login", code=backend.wx_login(), phoneCode=code)
    database = open_database(store.database_url, Clock())
    table = "users" if column == "phone_sealed" else "identities"
    value = (await database.fetch(f"SELECT {column} FROM {table}"))[0][0]
    await database.close()
    assert (value.decode() if isinstance(value, bytes) else value).startswith("v1.k1.")


def test_the_dumped_tables_are_all_there_are(mariadb: MariaDB, migrated_mariadb: str, tmp_path: object) -> None:
    from models.migrations import read_files

    made = {name for one in read_files("sqlite") for name in _tables(one.sql)}
    assert made == set(DUMPED)


def _tables(sql: str) -> set[str]:
    memory = sqlite3.connect(":memory:")
    with contextlib.suppress(sqlite3.OperationalError):
        memory.executescript(sql)
    names = {row[0] for row in memory.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    memory.close()
    return names
