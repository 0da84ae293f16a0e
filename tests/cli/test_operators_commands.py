"""The operators' commands over both pairs of stores, beside an instance that serves."""

import asyncio
import csv
import io
import json
import subprocess
import time
from datetime import UTC, datetime, timedelta

import pytest

from backend import APPID, OTHER_APPID, PASSWORD, Backend, StartBackend, Store
from cli.operating import parse_moment
from operators import KAIMEN, environment, kaimen

NOW = int(datetime(2026, 11, 20, 8, tzinfo=UTC).timestamp() * 1000)


async def until_refused(backend: Backend, token: str) -> float:
    """Seconds until the token is refused; fails after two."""
    started = time.monotonic()
    while (await backend.get("/api/user/info", token)).status != 401:
        assert time.monotonic() - started < 2
        await asyncio.sleep(0.02)
    return time.monotonic() - started


async def test_users_are_listed_newest_first_and_filtered(backend: Backend, store: Store) -> None:
    first = await backend.auth("register", username="alice", password=PASSWORD)
    second = await backend.login("bob", appid=OTHER_APPID)
    alice, bob = first.data["user"]["id"], second["user"]["id"]
    wanted: dict[tuple[str, ...], list[str]] = {
        (): [bob, alice],
        ("--limit", "1"): [bob],
        ("--name", "LIC"): [alice],
        ("--name", "%"): [],
        ("--app", OTHER_APPID): [bob],
        ("--app", APPID): [],
        ("--disabled",): [],
        ("--enabled",): [bob, alice],
        ("--since", "1h"): [bob, alice],
        ("--role", "admin"): [],
    }
    found = await asyncio.gather(*(kaimen(store, "users", "list", *options, "--json") for options in wanted))
    assert [[row["id"] for row in done.rows] for done in found] == list(wanted.values())


async def test_a_user_is_shown_by_id_name_phone_and_external_id(backend: Backend, store: Store) -> None:
    made = await backend.auth("register", username="alice", password=PASSWORD, code=backend.wx_login("alice"))
    user_id, token = made.data["user"]["id"], made.data["accessToken"]
    code = backend.simulator.wechat.phone_code(APPID, "alice")
    assert (await backend.call("POST", "/api/user/phone", {"code": code}, token)).status == 200
    phone = backend.simulator.wechat.users.get("alice").phone
    assert phone
    shown = [await kaimen(store, "users", "show", word, "--json") for word in (user_id, "ALICE", phone)]
    assert [done.rows[0]["id"] for done in shown] == [user_id] * 3
    row = shown[0].rows[0]
    assert phone not in shown[0].out
    assert (row["password"], row["identities"][0]["appid"], len(row["sessions"])) == ("argon2id", APPID, 1)
    missing = await kaimen(store, "users", "show", "nobody")
    assert (missing.status, missing.err.count("\n")) == (1, 1)


async def test_disabling_a_user_ends_the_sessions_within_a_second_and_enabling_lets_in_again(
    backend: Backend, store: Store
) -> None:
    login = await backend.login("alice")
    done = await kaimen(store, "users", "disable", login["user"]["id"])
    assert (done.status, "sessions ended: 1" in done.out) == (0, True)
    assert await until_refused(backend, login["accessToken"]) < 1
    refresh = await backend.auth("autoLogin", refreshToken=login["refreshToken"])
    assert refresh.error == "refresh_invalid"
    again = await backend.auth("login", code=backend.wx_login("alice"))
    assert (again.status, again.error) == (403, "account_disabled")
    assert "already disabled" in (await kaimen(store, "users", "disable", login["user"]["id"])).out
    assert (await kaimen(store, "users", "enable", login["user"]["id"])).status == 0
    await backend.login("alice")
    told = (await kaimen(store, "audit", "--user", login["user"]["id"], "--json")).rows
    assert [row["action"] for row in told] == ["sign_in", "user.disabled", "sign_in.refused", "user.enabled", "sign_in"]
    assert told[1]["actor"].startswith("cli:")


async def test_sessions_are_listed_and_revoked_one_by_one_and_all(backend: Backend, store: Store) -> None:
    logins = [await backend.login("alice") for _ in range(3)]
    user_id = logins[0]["user"]["id"]
    listed = await kaimen(store, "sessions", "list", "--user", user_id, "--json")
    assert [row["id"] for row in listed.rows] == [one["sessionId"] for one in reversed(logins)]
    one = await kaimen(store, "sessions", "revoke", logins[0]["sessionId"])
    assert "sessions ended: 1" in one.out
    assert await until_refused(backend, logins[0]["accessToken"]) < 1
    assert (await backend.get("/api/user/info", logins[1]["accessToken"])).status == 200
    both = await kaimen(store, "sessions", "revoke", "--user", user_id)
    assert "sessions ended: 2" in both.out
    assert await until_refused(backend, logins[1]["accessToken"]) < 1
    over = await kaimen(store, "sessions", "list", "--all", "--json")
    assert {row["state"] for row in over.rows} == {"admin"}
    told = (await kaimen(store, "audit", "--json")).rows
    assert [row["action"] for row in told].count("session.revoked") == 2
    assert (await kaimen(store, "sessions", "revoke", "0" * 32)).status == 1


async def test_stats_count_users_sessions_sign_ins_and_identities(backend: Backend, store: Store) -> None:
    await backend.auth("register", username="alice", password=PASSWORD)
    await backend.login("bob")
    await backend.login("bob")
    done = await kaimen(store, "stats", "--json")
    counts = {(row["what"], row["of"]): row["count"] for row in done.rows}
    today = datetime.now(UTC).date().isoformat()
    yesterday = (datetime.now(UTC) - timedelta(minutes=1)).date().isoformat()  # if the day just began
    assert counts[("users", None)] == counts[("users new", "7 days")] == 2
    assert counts[("sessions open", None)] == 3
    assert counts[("identities", f"{APPID} miniprogram")] == 1
    assert sum(counts.get(("sign-ins", f"{day} wechat"), 0) for day in {today, yesterday}) == 2
    assert sum(counts.get(("sign-ins", f"{day} password"), 0) for day in {today, yesterday}) == 1


async def test_the_same_list_comes_as_table_json_and_csv(backend: Backend, store: Store) -> None:
    login = await backend.login("alice")
    nickname = '=1+1,"二"'
    await backend.call("PATCH", "/api/user/info", {"nickname": nickname}, login["accessToken"])
    table, as_json, as_csv = [await kaimen(store, "users", "list", *how) for how in ((), ("--json",), ("--csv",))]
    assert table.out.splitlines()[0].split() == [
        *("ID", "USERNAME", "NICKNAME", "PHONE", "EMAIL", "ROLES", "DISABLED", "CREATEDAT", "LASTLOGINAT")
    ]
    assert as_json.rows[0]["nickname"] == next(csv.DictReader(io.StringIO(as_csv.out)))["nickname"] == nickname


async def test_what_a_client_sent_cannot_steer_the_terminal(backend: Backend, store: Store) -> None:
    code = backend.wx_login("alice")
    body = {"action": "login", "code": code}
    await backend.call("POST", "/api/auth", body, User_Agent="evil\u009b2Jagent")
    raw = await kaimen(store, "sessions", "list", "--json")
    assert not raw.rows[0]["device"].isprintable()
    done = await kaimen(store, "sessions", "list")
    assert "agent" in done.out
    assert not [char for char in done.out if char != "\n" and not char.isprintable()]


async def test_audit_tells_refused_sign_ins_with_user_address_and_reason(backend: Backend, store: Store) -> None:
    made = await backend.auth("register", username="alice", password=PASSWORD)
    await backend.auth("login", username="alice", password="Wrong-Password-1")
    await backend.auth("login", username="nobody", password=PASSWORD)
    await backend.kaimen.trail.close()
    everybody = (await kaimen(store, "audit", "--since", "1h", "--json")).rows
    refused = [row for row in everybody if row["action"] == "sign_in.refused"]
    assert [row["user"] for row in refused] == [made.data["user"]["id"], None]
    assert [(row["address"], row["detail"]["error"]) for row in refused] == [("127.0.0.1", "wrong_credentials")] * 2
    assert [row["at"] for row in everybody] == sorted(row["at"] for row in everybody)
    assert "Wrong-Password-1" not in json.dumps(everybody)
    of_alice = (await kaimen(store, "audit", "--user", "alice", "--json")).rows
    assert [row["action"] for row in of_alice] == ["sign_in", "sign_in.refused"]


async def test_audit_follow_prints_what_happens_and_stops_on_sigterm(backend: Backend, store: Store) -> None:
    await backend.login("alice")
    process = await asyncio.create_subprocess_exec(
        KAIMEN, "audit", "--follow", "--json", env=environment(store), stdout=subprocess.PIPE
    )
    assert process.stdout
    assert json.loads(await asyncio.wait_for(process.stdout.readline(), 20))["action"] == "sign_in"
    login = await backend.login("bob")
    row = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
    assert (row["action"], row["user"]) == ("sign_in", login["user"]["id"])
    process.terminate()
    assert await process.wait() == 0
    assert await process.stdout.read() == b""


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("users", "list", "--limit", "0"), 2),
        (("users", "list", "--since", "yesterday"), 2),
        (("audit", "--since", "99999999d"), 2),
        (("sessions", "revoke"), 2),
        (("sessions", "revoke", "x", "--user", "y"), 2),
        (("users", "import", "/nowhere/at/all"), 2),
        (("users", "show", "nobody"), 1),
    ],
)
async def test_a_wrong_call_ends_with_its_status_and_no_traceback(
    embedded_store: Store, arguments: tuple[str, ...], status: int
) -> None:
    done = await kaimen(embedded_store, *arguments)
    assert (done.status, "Traceback" in done.err) == (status, False)


async def test_a_command_before_the_migrations_ends_with_78(embedded_store: Store) -> None:
    empty = Store(embedded_store.database_url.replace("kaimen.db", "empty.db"), "memory://")
    done = await kaimen(empty, "users", "list")
    assert (done.status, "run: kaimen migrate" in done.err) == (78, True)


async def test_a_command_with_the_database_away_ends_with_1_and_one_line(embedded_store: Store) -> None:
    away = Store("mysql://nobody:swordfish@127.0.0.1:1/none", "memory://")
    done = await kaimen(away, "stats")
    assert (done.status, done.err.count("\n"), "swordfish" in done.err) == (1, 1, False)


def test_help_stays_quick_because_nothing_heavy_is_imported() -> None:
    script = "import sys, cli.main; print([name for name in ('pydantic', 'tornado', 'models') if name in sys.modules])"
    done = subprocess.run([KAIMEN.replace("kaimen", "python"), "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "ago_s"),
    [("90s", 90), ("2h", 7200), ("7d", 604_800), ("2026-11-20", 28_800), ("2026-11-20T15:00:00+08:00", 3600)],
)
def test_moments_are_read_as_durations_dates_and_times(text: str, ago_s: int) -> None:
    assert parse_moment(text, NOW) == NOW - ago_s * 1000


async def test_settings_changed_since_the_last_start_are_named_without_values(
    start_backend: StartBackend, store: Store
) -> None:
    for changes in ({}, {"access_ttl_s": 901}, {"access_ttl_s": 901, "port": 8001}):
        backend = await start_backend(store, **changes)
        await backend.kaimen.trail.note_settings(backend.kaimen.settings)
    other = await start_backend(store, apps=[{"appid": APPID, "secret": "swordfish" * 4}])
    await other.kaimen.trail.note_settings(other.kaimen.settings)
    done = await kaimen(store, "audit", "--json")
    named = [row["detail"]["names"] for row in done.rows if row["action"] == "settings.changed"]
    assert named == [["KAIMEN_ACCESS_TTL_S"], ["KAIMEN_ACCESS_TTL_S", "KAIMEN_APPS"]]
    assert "swordfish" not in done.out
