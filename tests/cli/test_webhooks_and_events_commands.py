"""``kaimen webhooks`` and ``kaimen events``, as an operator runs them beside a server."""

import asyncio
import re

from backend import Backend, StartBackend, Store
from operators import kaimen
from rows import execute, fetch
from stream import kv_of, published_stream, read_stream
from webhooks import NETWORKS, add_webhook, received, seqs, until

ALLOWING = {"KAIMEN_WEBHOOK_NETWORKS": NETWORKS}


async def started(start_backend: StartBackend, store: Store) -> Backend:
    return await start_backend(store, webhook_networks=NETWORKS)


async def test_a_webhook_is_added_shown_tried_and_removed(start_backend: StartBackend, server_store: Store) -> None:
    backend = await started(start_backend, server_store)
    url = f"{backend.simulator.url}/sink/crm"
    added = await kaimen(server_store, "webhooks", "add", "crm", url, "--type", "user.created", **ALLOWING)
    secret = added.out.strip()
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
    backend.simulator.sinks.set_up("crm", secret=secret)
    tried = await kaimen(server_store, "webhooks", "test", "crm", **ALLOWING)
    assert (tried.status, tried.out) == (0, "crm took it\n")
    assert received(backend, "crm")[0].event["type"] == "webhook.test"
    assert received(backend, "crm")[0].verified
    await backend.login("alice")
    await until(lambda: len(received(backend, "crm")) == 2)
    await asyncio.sleep(0.3)  # for the outcome to be noted
    shown = (await kaimen(server_store, "webhooks", "list", "--json")).rows
    assert [(row["name"], row["url"], row["types"], row["outcome"]) for row in shown] == [
        ("crm", url, ["user.created"], "ok")
    ]
    assert secret not in str(shown)
    assert (await kaimen(server_store, "webhooks", "remove", "crm")).status == 0
    assert (await kaimen(server_store, "webhooks", "list")).out == "none\n"
    actions = await fetch(server_store, "SELECT action, actor FROM audit ORDER BY id")
    assert [row[0] for row in actions] == ["webhook.added", "webhook.removed"]
    assert all(row[1].startswith("cli:") for row in actions)


async def test_a_wish_that_cannot_be_done_is_one_line_and_status_1(server_store: Store) -> None:
    async def refused(*arguments: str) -> str:
        done = await kaimen(server_store, "webhooks", *arguments, KAIMEN_ENV="development")
        assert (done.status, done.out, len(done.err.splitlines())) == (1, "", 1)
        return done.err

    assert "lower-case letters" in await refused("add", "CRM", "https://hooks.example.com/")
    assert "no event has the type user.creatd" in await refused(
        "add", "crm", "https://hooks.example.com/", "--type", "user.creatd"
    )
    assert "KAIMEN_WEBHOOK_NETWORKS" in await refused("add", "crm", "https://169.254.169.254/")
    assert "https://" in await refused("add", "crm", "ftp://hooks.example.com/")
    assert "there is no webhook crm" in await refused("remove", "crm")
    assert "there is no webhook crm" in await refused("test", "crm")
    assert "there is no webhook crm" in await refused("rotate-secret", "crm")
    assert (await kaimen(server_store, "webhooks", "add", "crm", "https://hooks.example.com/")).status == 0
    assert "already" in await refused("add", "crm", "https://hooks.example.com/")


async def test_production_takes_no_webhook_without_tls(server_store: Store) -> None:
    production = {
        "KAIMEN_ENV": "production",
        "KAIMEN_PUBLIC_URL": "https://login.example.com",
        "KAIMEN_APPS": '[{"appid":"wx1234567890abcdef","secret":"0123456789abcdef0123456789abcdef"}]',
    }
    done = await kaimen(server_store, "webhooks", "add", "crm", "http://hooks.example.com/", **production)
    assert (done.status, "https://" in done.err) == (1, True)


async def test_a_new_secret_signs_at_once_and_the_old_one_for_a_day(
    start_backend: StartBackend, server_store: Store
) -> None:
    backend = await started(start_backend, server_store)
    old = await add_webhook(backend, "one")
    rotated = await kaimen(server_store, "webhooks", "rotate-secret", "one")
    new = rotated.out.strip()
    assert rotated.status == 0
    assert new != old
    await backend.login("alice")
    await until(lambda: len(received(backend, "one")) == 2)  # verified with the old one
    backend.simulator.sinks.set_up("one", secret=new)
    await backend.login("alice")
    await until(lambda: len(received(backend, "one")) == 3)
    await execute(server_store, "UPDATE webhooks SET previous_until = 0")
    backend.simulator.sinks.set_up("one", secret=old)
    await backend.login("alice")
    await until(lambda: [one.verified for one in received(backend, "one", taken=False)][-1] is False)


async def test_secrets_of_webhooks_are_sealed_in_the_database(start_backend: StartBackend, server_store: Store) -> None:
    backend = await started(start_backend, server_store)
    secret = await add_webhook(backend, "one")
    rows = await fetch(server_store, "SELECT sealed, previous_sealed FROM webhooks")
    assert rows[0][0].startswith("v1.k1.")
    assert secret not in str(rows)


async def test_tail_shows_what_happened_and_follows(start_backend: StartBackend, server_store: Store) -> None:
    backend = await started(start_backend, server_store)
    login = await backend.login("alice")
    await backend.login("bob")
    entries = await published_stream(backend, server_store)
    told = (await kaimen(server_store, "events", "tail", "--json")).rows
    assert [row["id"] for row in told] == [entry["id"] for entry in entries]
    assert told[0] | {"occurredAt": None, "publishedAt": None} == {
        "occurredAt": None,
        "publishedAt": None,
        "id": entries[0]["id"],
        "subject": login["user"]["id"],
        "seq": 1,
        "type": "user.created",
        "data": {},
    }
    assert all(row["publishedAt"] for row in told)
    of_alice = await kaimen(server_store, "events", "tail", "--user", login["user"]["id"], "--json")
    assert [row["seq"] for row in of_alice.rows] == [1, 2]
    sessions = await kaimen(server_store, "events", "tail", "--type", "session.created", "--csv")
    assert len(sessions.out.splitlines()) == 3


async def test_replay_tells_all_again_with_the_same_ids(start_backend: StartBackend, server_store: Store) -> None:
    backend = await started(start_backend, server_store)
    await add_webhook(backend, "one")
    alice = (await backend.login("alice"))["user"]["id"]
    await backend.login("bob")
    before = [entry["id"] for entry in await published_stream(backend, server_store)]
    await until(lambda: len(received(backend, "one")) == 4)
    replayed = await kaimen(server_store, "events", "replay", "--since", "1h", "--user", alice)
    assert replayed.out == "events told again: 2\n"
    entries = await published_stream(backend, server_store)
    assert [entry["id"] for entry in entries] == before + [one for one in before if one in _ids_of(entries, alice)]
    await until(lambda: len(received(backend, "one")) == 6)
    audit = await fetch(server_store, "SELECT detail FROM audit WHERE action = 'events.replayed'")
    assert audit == [('{"events":2}',)]


def _ids_of(entries: list[dict[str, object]], user_id: str) -> set[object]:
    return {entry["id"] for entry in entries if entry["subject"] == user_id}


async def test_one_webhook_is_told_again_without_the_others(start_backend: StartBackend, server_store: Store) -> None:
    backend = await started(start_backend, server_store)
    await add_webhook(backend, "one")
    await add_webhook(backend, "two")
    await backend.login("alice")
    await until(lambda: len(received(backend, "one")) == len(received(backend, "two")) == 2)
    length = len(await read_stream(kv_of(backend)))
    await asyncio.sleep(0.3)
    done = await kaimen(server_store, "events", "replay", "--webhook", "one", "--since", "1h")
    assert (done.status, done.out) == (0, "told again\n")
    await until(lambda: len(received(backend, "one")) == 4)
    assert seqs(received(backend, "one")) == [1, 2, 1, 2]
    assert len(received(backend, "two")) == 2
    assert len(await read_stream(kv_of(backend))) == length


async def test_dead_letters_are_listed_and_can_be_sent_again(start_backend: StartBackend, server_store: Store) -> None:
    backend = await started(start_backend, server_store)
    await add_webhook(backend, "one", secret=None, status=400, times=2)
    alice = (await backend.login("alice"))["user"]["id"]
    await until(lambda: len(received(backend, "one", taken=False)) == 1)
    backend.clock.advance(86_401)
    await until(lambda: len(received(backend, "one")) == 1)
    await asyncio.sleep(0.3)
    dead = (await kaimen(server_store, "events", "dead", "--json")).rows
    assert [
        (one["webhook"], one["subject"], one["seq"], one["type"], one["attempts"], one["outcome"]) for one in dead
    ] == [("one", alice, 1, "user.created", 2, "http_400")]
    assert (await kaimen(server_store, "webhooks", "list", "--json")).rows[0]["dead"] == 1
    again = await kaimen(server_store, "events", "replay", "--webhook", "one", "--dead")
    assert again.out == "events told again: 1\n"
    await until(lambda: len(received(backend, "one")) == 2)
    assert received(backend, "one")[1].id == dead[0]["id"]
    assert (await kaimen(server_store, "events", "dead")).out == "none\n"


async def test_replay_asks_for_what_it_needs(server_store: Store) -> None:
    for arguments in (
        [],
        ["--dead"],
        ["--webhook", "one"],
        ["--webhook", "one", "--dead", "--since", "1h"],
        ["--webhook", "one", "--since", "1h", "--user", "u"],
        ["--since", "yesterday"],
    ):
        assert (await kaimen(server_store, "events", "replay", *arguments)).status in (1, 2), arguments
