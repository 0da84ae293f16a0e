"""``kaimen users merge|unmerge|delete`` as an operator types them."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from backend import OTHER_APPID, PASSWORD, Backend, Store
from cli.main import main
from core.clock import Clock
from rows import events_of, execute, fetch

Kaimen = Callable[..., Any]


@pytest.fixture
def kaimen(store: Store, tmp_path: Path) -> Kaimen:
    """Runs a command over the store of the test, in a thread: it has an event loop of its own."""
    key = "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    environment = {
        "KAIMEN_ENV": "development",
        "KAIMEN_DATABASE_URL": store.database_url,
        "KAIMEN_REDIS_URL": store.redis_url,
        "KAIMEN_MASTER_KEYS": key,
        "KAIMEN_DATA_DIR": str(tmp_path / "var"),
    }

    async def run(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, ["users", *arguments], env=environment)

    return run


async def two_users(backend: Backend) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two users of one person: the older has a password, the younger a nickname and a later password."""
    backend.simulator.wechat.users.save({"name": "dora", "unionid": False})
    first = await backend.auth("register", code=backend.wx_login("dora"), username="Dora1", password=PASSWORD)
    backend.clock.advance(1)
    code = backend.wx_login("dora", OTHER_APPID)
    second = await backend.auth(
        "register", code=code, appid=OTHER_APPID, username="Dora2", password=PASSWORD + "-later"
    )
    changes = {"nickname": "Dora", "email": "dora@example.com"}
    await backend.call("PATCH", "/api/user/info", changes, second.data["accessToken"])
    return first.data, second.data


async def snapshot(store: Store) -> list[Any]:
    """The rows that a merge touches."""
    columns = "id, username, password_hash, nickname, email, email_key, phone_index, roles, disabled_at, merged_into"
    people = await fetch(store, f"SELECT {columns} FROM users ORDER BY id")
    owners = await fetch(store, "SELECT appid, openid, user_id FROM identities ORDER BY appid")
    return [people, owners, await fetch(store, "SELECT id, user_id FROM sessions ORDER BY id")]


async def test_a_dry_run_shows_the_merge_and_changes_nothing(backend: Backend, store: Store, kaimen: Kaimen) -> None:
    older, younger = await two_users(backend)
    before = await snapshot(store)
    shown = await kaimen("merge", younger["user"]["id"], older["user"]["id"], "--dry-run")
    assert shown.exit_code == 0, shown.output
    plan = json.loads(shown.stdout)
    assert (plan["survivor_id"], plan["merged_id"]) == (older["user"]["id"], younger["user"]["id"])
    assert (plan["filled"], plan["takes_password"], plan["is_disabled"]) == (["email", "nickname"], True, False)
    assert plan["moved"] == {"identities": 1, "unionids": 0, "sessions": 1, "consents": 0, "devices": 0, "aliases": 0}
    assert await snapshot(store) == before
    assert await fetch(store, "SELECT COUNT(*) FROM merges") == [(0,)]


async def test_a_merge_and_its_undoing_leave_everything_as_it_was(
    backend: Backend, store: Store, kaimen: Kaimen
) -> None:
    older, younger = await two_users(backend)
    before = await snapshot(store)
    merged = await kaimen("merge", younger["user"]["id"], older["user"]["id"])
    assert merged.exit_code == 0, merged.output
    during = await snapshot(store)
    undone = await kaimen("unmerge", younger["user"]["id"])
    assert undone.exit_code == 0, undone.output
    assert during != before
    assert await snapshot(store) == before
    told = await events_of(store, older["user"]["id"])
    assert [kind for _, kind, _ in told][-2:] == ["user.merged", "user.unmerged"]
    audit = await fetch(store, "SELECT action, actor FROM audit ORDER BY at, id")
    assert [row[0] for row in audit] == ["user.merge", "user.unmerge"]
    assert all(row[1].startswith("cli:") for row in audit)


async def test_after_an_undone_merge_tokens_name_the_restored_user_again(backend: Backend, kaimen: Kaimen) -> None:
    older, younger = await two_users(backend)
    await kaimen("merge", younger["user"]["id"], older["user"]["id"])
    moved = await backend.auth("autoLogin", refreshToken=younger["refreshToken"])
    await kaimen("unmerge", younger["user"]["id"])
    await asyncio.sleep(0.7)
    back = await backend.auth("autoLogin", refreshToken=moved.data["refreshToken"])
    assert (moved.data["user"]["id"], back.data["user"]["id"]) == (older["user"]["id"], younger["user"]["id"])
    assert (await backend.get("/api/token/verify", moved.data["accessToken"])).error == "token_expired"
    assert (await backend.get("/api/token/verify", back.data["accessToken"])).status == 204


async def test_what_changed_after_the_merge_survives_its_undoing(
    backend: Backend, store: Store, kaimen: Kaimen
) -> None:
    older, younger = await two_users(backend)
    await kaimen("merge", younger["user"]["id"], older["user"]["id"])
    await backend.call("PATCH", "/api/user/info", {"nickname": "Later"}, older["accessToken"])
    body = {"newPassword": "Brand-New-2"}
    assert (await backend.call("POST", "/api/user/password", body, older["accessToken"])).status == 200
    await kaimen("unmerge", younger["user"]["id"])
    assert (await backend.auth("login", username="dora1", password="Brand-New-2")).data["user"]["nickname"] == "Later"
    theirs = (await backend.auth("login", username="dora2", password=PASSWORD + "-later")).data["user"]
    assert (theirs["id"], theirs["nickname"], theirs["email"]) == (younger["user"]["id"], "Dora", "dora@example.com")


async def test_a_unionid_does_not_merge_again_what_an_operator_separated(backend: Backend, kaimen: Kaimen) -> None:
    older, younger = await two_users(backend)
    backend.simulator.wechat.users.save({"name": "dora", "unionid": True})
    await backend.login("dora"), await backend.login("dora", appid=OTHER_APPID)
    undone = await kaimen("unmerge", younger["user"]["id"])
    assert undone.exit_code == 0, undone.output
    here, there = await backend.login("dora"), await backend.login("dora", appid=OTHER_APPID)
    assert (here["user"]["id"], there["user"]["id"]) == (older["user"]["id"], younger["user"]["id"])


async def test_a_merge_can_be_undone_for_thirty_days(backend: Backend, store: Store, kaimen: Kaimen) -> None:
    older, younger = await two_users(backend)
    await kaimen("merge", younger["user"]["id"], older["user"]["id"])
    late = Clock().now_ms() - 31 * 24 * 3600 * 1000
    await execute(store, "UPDATE merges SET merged_at = %s", late)
    refused = await kaimen("unmerge", younger["user"]["id"])
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "30 days" in refused.stderr


async def test_merges_are_undone_in_the_reverse_order(backend: Backend, store: Store, kaimen: Kaimen) -> None:
    older, younger = await two_users(backend)
    oldest = await backend.login("alice")
    await execute(store, "UPDATE users SET created_at = 1 WHERE id = %s", oldest["user"]["id"])
    before = await snapshot(store)
    await kaimen("merge", older["user"]["id"], younger["user"]["id"])
    await kaimen("merge", younger["user"]["id"], oldest["user"]["id"])
    assert (await backend.login("dora", appid=OTHER_APPID))["user"]["id"] == oldest["user"]["id"]
    login = await backend.auth("login", username="dora2", password=PASSWORD + "-later")
    assert login.data["user"]["id"] == oldest["user"]["id"]
    targets = await fetch(store, "SELECT DISTINCT merged_into FROM users WHERE merged_into IS NOT NULL")
    assert targets == [(oldest["user"]["id"],)]
    too_early = await kaimen("unmerge", younger["user"]["id"])
    assert (too_early.exit_code, "undo that first" in too_early.stderr) == (1, True)
    await execute(store, "DELETE FROM sessions WHERE id = %s", login.data["sessionId"])
    assert (await kaimen("unmerge", older["user"]["id"])).exit_code == 0
    assert (await kaimen("unmerge", younger["user"]["id"])).exit_code == 0
    assert (await snapshot(store))[:2] == before[:2]


async def test_delete_asks_and_then_deletes_also_by_an_alias(backend: Backend, store: Store, kaimen: Kaimen) -> None:
    older, younger = await two_users(backend)
    await kaimen("merge", younger["user"]["id"], older["user"]["id"])
    refused = await kaimen("delete", younger["user"]["id"])
    assert (refused.exit_code, len(await fetch(store, "SELECT id FROM users"))) == (1, 2)
    done = await kaimen("delete", younger["user"]["id"], "--yes")
    assert done.exit_code == 0, done.output
    assert await fetch(store, "SELECT id FROM users") == []
    assert (await events_of(store, older["user"]["id"]))[-1][1] == "user.deleted"
    await asyncio.sleep(0.7)
    assert (await backend.get("/api/user/info", older["accessToken"])).error == "session_revoked"


async def test_ids_that_lead_nowhere_or_to_one_user_are_refused(backend: Backend, kaimen: Kaimen) -> None:
    user_id = (await backend.login())["user"]["id"]
    for arguments in (["merge", user_id, user_id], ["merge", user_id, "f" * 32], ["delete", "f" * 32, "--yes"]):
        assert (await kaimen(*arguments)).exit_code == 78
    assert (await kaimen("unmerge", user_id)).exit_code == 1
