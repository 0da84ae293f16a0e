"""The consumer of ``docs/examples/consumer``, run as it is: its copy of the users becomes what Kaimen has."""

import asyncio
import json
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from app.events.addresses import Allowed
from app.events.delivery import Courier
from app.events.signing import headers_of, make_secret
from backend import Backend, StartBackend, Store
from operators import kaimen
from servers import free_port, port_is_free
from service_client import add_service
from webhooks import NETWORKS

PROGRAM = Path(__file__).parents[2] / "docs/examples/consumer/consumer.py"
Users = dict[str, str]


@asynccontextmanager
async def consumer(backend: Backend, folder: Path, *arguments: str, secret: str = "") -> AsyncIterator[None]:
    service = await add_service(backend, "copy")
    given = {
        "KAIMEN_URL": backend.url,
        "KAIMEN_SERVICE": f"copy:{service.secret}",
        "WEBHOOK_SECRET": secret,
        "PATH": "/usr/bin",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, str(PROGRAM), *arguments, cwd=folder, env=given)
    try:
        yield
        assert process.returncode is None, "the consumer ended"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def copied(folder: Path) -> tuple[Users, Users, dict[str, int]]:
    """(id → nickname, alias → user, user → seq)."""
    path = folder / "users.db"
    if not path.exists():
        return {}, {}, {}
    with closing(sqlite3.connect(path, timeout=5)) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'progress'").fetchall():
            return {}, {}, {}
        queries = ("SELECT id, nickname FROM users", "SELECT id, user_id FROM aliases", "SELECT * FROM progress")
        users, aliases, progress = (dict(db.execute(query).fetchall()) for query in queries)
        return users, aliases, progress


async def until_copied(folder: Path, users: Users, aliases: Users) -> None:
    async with asyncio.timeout(15):
        while copied(folder)[:2] != (users, aliases):
            await asyncio.sleep(0.05)


async def live(backend: Backend, store: Store) -> tuple[Users, Users]:
    """Logins, changes, a merge and a deletion; what is left: the users and the aliases."""
    logins = {name: await backend.login(name) for name in ("alice", "bob", "carol")}
    ids = {name: login["user"]["id"] for name, login in logins.items()}
    for name, nickname in (("alice", "一"), ("alice", "Alice 二"), ("bob", "Bob")):
        token = logins[name]["accessToken"]
        assert (await backend.call("PATCH", "/api/user/info", {"nickname": nickname}, token)).status == 200
    assert (await kaimen(store, "users", "merge", ids["alice"], ids["bob"])).status == 0
    assert (await kaimen(store, "users", "delete", "--yes", ids["carol"])).status == 0
    return {ids["alice"]: "Alice 二"}, {ids["bob"]: ids["alice"]}


async def test_a_copy_kept_from_the_stream_is_right_and_stays_so_when_all_is_told_again(
    start_backend: StartBackend, server_store: Store, tmp_path: Path
) -> None:
    backend = await start_backend(server_store)
    async with consumer(backend, tmp_path, "stream", server_store.redis_url):
        users, aliases = await live(backend, server_store)
        await until_copied(tmp_path, users, aliases)
        progress = copied(tmp_path)[2]
        assert (await kaimen(server_store, "events", "replay", "--since", "1h")).status == 0
        bob = await backend.login("bob")  # of whom alice's id is the user by now
        async with asyncio.timeout(15):
            while copied(tmp_path)[2].get(bob["user"]["id"], 0) <= progress[bob["user"]["id"]]:
                await asyncio.sleep(0.05)
        assert copied(tmp_path)[:2] == (users, aliases)


async def test_a_consumer_that_was_away_catches_up(
    start_backend: StartBackend, server_store: Store, tmp_path: Path
) -> None:
    backend = await start_backend(server_store)
    users, aliases = await live(backend, server_store)
    async with consumer(backend, tmp_path, "stream", server_store.redis_url):
        await until_copied(tmp_path, users, aliases)


async def test_a_copy_kept_from_webhooks_is_right(
    start_backend: StartBackend, server_store: Store, tmp_path: Path
) -> None:
    backend, port = await start_backend(server_store, webhook_networks=NETWORKS), free_port()
    url = f"http://127.0.0.1:{port}/events"
    added = await kaimen(server_store, "webhooks", "add", "copy", url, KAIMEN_WEBHOOK_NETWORKS=NETWORKS)
    async with consumer(backend, tmp_path, "webhook", str(port), secret=added.out.strip()):
        async with asyncio.timeout(10):
            while port_is_free(port):
                await asyncio.sleep(0.05)
        await until_copied(tmp_path, *await live(backend, server_store))


@pytest.mark.parametrize("change", ["body", "id", "time", "secret", "none"])
async def test_the_consumer_takes_what_is_signed_and_nothing_else(
    start_backend: StartBackend, server_store: Store, tmp_path: Path, change: str
) -> None:
    backend, port, secret = await start_backend(server_store), free_port(), make_secret(b"s" * 32)
    event = {"id": "1", "seq": 1, "type": "session.created", "occurredAt": "", "subject": "u", "data": {}}
    body = json.dumps(event).encode()
    now = backend.clock.now_ms() // 1000
    signing = make_secret(b"x" * 32) if change == "secret" else secret
    headers = headers_of([signing], "1", now - 301 if change == "time" else now, body)
    headers |= {"webhook-id": "2"} if change == "id" else {}
    sent = body.replace(b'"u"', b'"v"') if change == "body" else body
    async with consumer(backend, tmp_path, "webhook", str(port), secret=secret):
        status = await _post(port, sent, headers)
    assert status == (204 if change == "none" else 401)
    assert copied(tmp_path)[2] == ({"u": 1} if change == "none" else {})


async def _post(port: int, body: bytes, headers: dict[str, str]) -> int:
    courier = Courier(Allowed([NETWORKS]))
    async with asyncio.timeout(10):
        while (word := (await courier.post(f"http://127.0.0.1:{port}/", headers, body)).word) == "connect":
            await asyncio.sleep(0.05)
    courier.close()
    return 204 if word == "ok" else int(word.removeprefix("http_"))
