"""No secret is found where it does not belong: logs, replies, database, Redis."""

import contextlib
import io
import json
import sqlite3
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from backend import APPID, OFFICIAL, PASSWORD, Backend, Reply, StartBackend, Store
from browser import Browser
from core.clock import Clock
from core.observe.logs import flush_logs, set_up_logs
from models.db import open_database
from models.kv import open_kv
from pictures import png
from pushing import deliver, event
from rows import TABLES
from servers import MariaDB
from simulator import DEFAULT_APPS

MASTER = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
READ: dict[str, Callable[[str], tuple[str, ...]]] = {
    "string": lambda key: ("GET", key),
    "hash": lambda key: ("HGETALL", key),
    "zset": lambda key: ("ZRANGE", key, "0", "-1"),
    "stream": lambda key: ("XRANGE", key, "-", "+"),
}


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
    wafer = await backend.get("/weapp/login", X_WX_Code=backend.wx_login())
    skey = wafer.data["skey"]
    replies += [
        wafer,
        await backend.get("/weapp/user", X_WX_Skey=skey),
        await backend.get("/weapp/user", X_WX_Skey="canary.skey"),
        await backend.call("POST", "/api/user/avatar", png(), token),
        await backend.call("POST", "/api/user/avatar", b"canary", token),
    ]
    for fault in ({"html": True}, {"status": 500}, {"reset": True}, {"errcode": 40164}, {"truncate": True}):
        backend.simulator.faults.add({"api": "jscode2session", **fault, "times": 1})
        replies.append(await backend.auth("login", code=backend.wx_login()))
    replies.append(await backend.call("POST", "/api/auth/logout", {}, token))
    of_oauth, more = await sign_in_by_redirect(backend)
    secrets = [login_code, phone_code, PASSWORD, token, login["refreshToken"], skey, *of_oauth, "canary"]
    return secrets, [one.text for one in [*replies, *more]]


async def sign_in_by_redirect(backend: Backend) -> tuple[list[str], list[Reply]]:
    """An OAuth login that ends in a ticket, and a message that WeChat pushes."""
    browser = Browser(backend)
    callback = await browser.agree(await browser.begin(OFFICIAL, scope="userinfo", mode="ticket"))
    reply = await browser.open(callback)
    ticket = parse_qs(urlsplit(reply.headers["Location"]).query)["kaimenTicket"][0]
    redeemed = await backend.call("POST", "/api/auth/ticket", {"ticket": ticket})
    again = await backend.call("POST", "/api/auth/ticket", {"ticket": ticket})
    signed = await backend.get(f"/api/wechat/{OFFICIAL}/jssdk-signature?url=http%3A%2F%2Fkaimen.test%2F")
    await deliver(backend, event(backend, "user_authorization_revoke", RevokeInfo="13"))
    calls = backend.simulator.calls
    tokens = [calls.last("access_token")[-1]["reply"][name] for name in ("access_token", "refresh_token")]
    jsapi = calls.last("getticket")[-1]["reply"]["ticket"]
    query = parse_qs(urlsplit(callback).query)
    secrets = [query["code"][0], query["state"][0], ticket.partition(".")[2], browser.cookies["kaimen-oauth"]]
    secrets += [*tokens, jsapi, redeemed.data["accessToken"], redeemed.data["refreshToken"]]
    return secrets, [redeemed, again, signed]


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
        flush_logs()  # lines are gathered for a moment
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
    dump = "".join(str([await database.fetch(f"SELECT * FROM {table}") for table in TABLES]))
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
    assert made == set(TABLES)


def _tables(sql: str) -> set[str]:
    memory = sqlite3.connect(":memory:")
    with contextlib.suppress(sqlite3.OperationalError):
        memory.executescript(sql)
    names = {row[0] for row in memory.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    memory.close()
    return names
