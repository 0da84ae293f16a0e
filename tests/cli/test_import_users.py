"""``kaimen users import``: what is taken, what is refused and why, again and again over the same file."""

import asyncio
import json
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from app.operations.import_lines import ImportLine, Position, read_csv, read_json_lines
from backend import APPID, OTHER_APPID, PASSWORD, Backend, Store
from core.clock import Clock
from models.db import open_database
from operators import Done, kaimen
from servers import MariaDB

HASH = bcrypt.hashpw(b"Legacy-Pass-1", bcrypt.gensalt(4)).decode()
DEAR_ARGON2ID = f"$argon2id$v=19$m=999999,t=2,p=1${'a' * 22}${'a' * 43}"
FULL = {
    "externalId": "crm-1",
    "username": "alice",
    "passwordHash": HASH,
    "nickname": "爱丽丝😀",
    "avatarUrl": "https://cdn.example.com/a.png",
    "email": "Alice@example.com",
    "phone": "+8613800000001",
    "roles": ["member", "editor"],
    "createdAt": "2024-05-01T08:00:00+08:00",
}


def write(path: Path, lines: list[Any]) -> Path:
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


async def run(store: Store, path: Path, *options: str) -> tuple[Done, dict[str, Any]]:
    done = await kaimen(store, "users", "import", str(path), "--json", *options)
    assert "Traceback" not in done.err, done.err
    return done, {name: done.rows[0][name] for name in ("new", "changed", "same", "refused")}


def counts(new: int = 0, changed: int = 0, same: int = 0, refused: int = 0) -> dict[str, int]:
    return {"new": new, "changed": changed, "same": same, "refused": refused}


async def fetch(store: Store, sql: str) -> list[Any]:
    database = open_database(store.database_url, Clock())
    rows = await database.fetch(sql)
    await database.close()
    return [tuple(cell.decode() if isinstance(cell, bytes) else cell for cell in row) for row in rows]


async def test_an_imported_user_is_whole_and_logs_in_by_password_and_by_wechat(
    backend: Backend, store: Store, tmp_path: Path
) -> None:
    people = backend.simulator.wechat.users
    openid = people.openid(APPID, people.get("bob"))
    line = {**FULL, "openids": [{"appid": APPID, "openid": openid}]}
    done, outcome = await run(store, write(tmp_path / "users.jsonl", [line]))
    assert (done.status, outcome) == (0, counts(new=1))
    assert not (tmp_path / "users.jsonl.refused.csv").exists()
    by_password = await backend.auth("login", username="alice", password="Legacy-Pass-1")
    by_wechat = await backend.login("bob")
    assert by_password.data["user"]["id"] == by_wechat["user"]["id"]
    assert by_wechat["isNewUser"] is False
    user = by_wechat["user"]
    assert {name: user[name] for name in ("username", "nickname", "avatarUrl", "email", "roles", "phone")} == {
        "username": "alice",
        "nickname": "爱丽丝😀",
        "avatarUrl": "https://cdn.example.com/a.png",
        "email": "Alice@example.com",
        "roles": ["member", "editor"],
        "phone": "138****0001",
    }
    assert user["createdAt"] == "2024-05-01T00:00:00.000Z"
    shown = [await kaimen(store, "users", "show", word, "--json") for word in ("crm-1", "13800000001")]
    assert [one.rows[0]["id"] for one in shown] == [user["id"]] * 2
    events = await fetch(store, "SELECT seq, type FROM outbox ORDER BY seq")
    assert events[:2] == [(1, "user.created"), (2, "session.created")]
    told = (await kaimen(store, "audit", "--json")).rows
    assert [row["detail"] for row in told if row["action"] == "users.imported"] == [counts(new=1)]


async def test_a_second_run_adds_what_is_new_updates_what_changed_and_leaves_the_rest(
    store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "users.jsonl"
    people = [{"externalId": f"crm-{number}", "nickname": f"n{number}"} for number in range(5)]
    assert (await run(store, write(path, people)))[1] == counts(new=5)
    assert (await run(store, path))[1] == counts(same=5)
    changed = [
        {**people[0], "nickname": "other", "roles": ["x"], "phone": "13800000009"},
        *people[1:],
        {"externalId": "crm-5"},
    ]
    changed[1] = {**people[1], "openids": [{"appid": APPID, "openid": "oLegacy_1", "unionid": "uLegacy_1"}]}
    assert (await run(store, write(path, changed)))[1] == counts(new=1, changed=2, same=3)
    assert (await run(store, path))[1] == counts(same=6)
    rows = await fetch(store, "SELECT external_id, nickname, roles, seq FROM users ORDER BY external_id")
    assert rows[0] == ("crm-0", "other", '["x"]', 2)
    assert rows[1] == ("crm-1", "n1", "[]", 3)
    assert rows[2] == ("crm-2", "n2", "[]", 1)
    events = await fetch(store, "SELECT type, seq FROM outbox WHERE type <> 'user.created' ORDER BY seq, type")
    assert events == [("user.updated", 2), ("user.updated", 2), ("user.bound", 3)]
    assert await fetch(store, "SELECT openid FROM identities") == [("oLegacy_1",)]
    assert await fetch(store, "SELECT unionid FROM unionids") == [("uLegacy_1",)]


async def test_what_users_changed_here_survives_a_run_in_which_their_line_did_not_change(
    backend: Backend, store: Store, tmp_path: Path
) -> None:
    path = write(tmp_path / "users.jsonl", [FULL])
    await run(store, path)
    login = await backend.auth("login", username="alice", password="Legacy-Pass-1")
    await backend.call("PATCH", "/api/user/info", {"nickname": "mine"}, login.data["accessToken"])
    assert (await run(store, path))[1] == counts(same=1)
    assert await fetch(store, "SELECT nickname FROM users") == [("mine",)]


async def test_a_password_changed_here_survives_even_a_changed_line(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path / "users.jsonl", [FULL])
    await run(store, path)
    database = open_database(store.database_url, Clock())
    await database.run(lambda tx: tx.execute("UPDATE users SET password_hash = 'ours', password_changed_at = 1"))
    await database.close()
    assert (await run(store, write(path, [{**FULL, "nickname": "new"}])))[1] == counts(changed=1)
    assert await fetch(store, "SELECT password_hash, nickname FROM users") == [("ours", "new")]


BAD: dict[str, tuple[Any, str]] = {
    "no json": ("{nope\n", "line: "),
    "no object": ("[1]\n", "line: "),
    "no id": ({"nickname": "x"}, "externalId: "),
    "empty id": ({"externalId": ""}, "externalId: "),
    "long id": ({"externalId": "长" * 43}, "externalId: has 1 to 128 bytes"),
    "number as id": ({"externalId": 7}, "externalId: "),
    "unknown field": ({"externalId": "x", "password": "Secret-1-swordfish"}, "another name"),
    "bad username": ({"externalId": "x", "username": "a b"}, "username: "),
    "plain password": ({"externalId": "x", "username": "abc", "passwordHash": "swordfish"}, "passwordHash: "),
    "md5": ({"externalId": "x", "username": "abc", "passwordHash": "d" * 32}, "passwordHash: "),
    "dear bcrypt": ({"externalId": "x", "username": "abc", "passwordHash": "$2b$31$" + "a" * 53}, "passwordHash: "),
    "dear argon2": (
        {
            "externalId": "x",
            "username": "abc",
            "passwordHash": f"$argon2id$v=19$m=999999,t=2,p=1${'a' * 22}${'a' * 43}",
        },
        "passwordHash: ",
    ),
    "hash without name": ({"externalId": "x", "passwordHash": HASH}, "needs a username"),
    "bidi nickname": ({"externalId": "x", "nickname": "a\u202eb"}, "nickname: "),
    "surrogate": ('{"externalId": "x", "nickname": "\\ud800"}\n', "line: "),
    "nul": ({"externalId": "x\u0000"}, "externalId: "),
    "script as avatar": ({"externalId": "x", "avatarUrl": "javascript:alert(1)"}, "avatarUrl: "),
    "bad email": ({"externalId": "x", "email": "a@b"}, "email: "),
    "bad phone": ({"externalId": "x", "phone": "12345"}, "phone: "),
    "bad role": ({"externalId": "x", "roles": ["a b"]}, "roles.0: "),
    "role as text": ({"externalId": "x", "roles": "admin"}, "roles: "),
    "no zone": ({"externalId": "x", "createdAt": "2024-05-01T08:00:00"}, "createdAt: "),
    "no time": ({"externalId": "x", "createdAt": "yesterday"}, "createdAt: "),
    "unknown app": (
        {"externalId": "x", "openids": [{"appid": "wx" + "9" * 16, "openid": "o"}]},
        "openids.0.appid: is not in KAIMEN_APPS",
    ),
    "bad openid": ({"externalId": "x", "openids": [{"appid": APPID, "openid": "o'--"}]}, "openids.0.openid: "),
    "not utf-8": ("\udcff\udcfe\n", "line: "),
}


async def test_every_bad_line_is_reported_with_number_and_reason_and_the_good_ones_are_taken(
    embedded_store: Store, tmp_path: Path
) -> None:
    lines = [json.dumps(line) + "\n" if isinstance(line, dict) else line for line, _ in BAD.values()]
    good = '{"externalId": "good-1"}\n', "\n", '{"externalId": "good-2"}\n'
    path = tmp_path / "users.jsonl"
    path.write_bytes("".join([good[0], *lines, *good[1:]]).encode("utf-8", "surrogateescape"))
    done, outcome = await run(embedded_store, path, "--report", str(tmp_path / "report.csv"))
    assert (done.status, outcome) == (1, counts(new=2, refused=len(BAD)))
    report = (tmp_path / "report.csv").read_text().splitlines()
    for number, (name, (_, reason)) in enumerate(BAD.items(), start=2):
        row = next((row for row in report if row.startswith(f"{number},")), "")
        assert reason in row, (name, row)
    assert "swordfish" not in "".join(report)


async def test_what_belongs_to_another_user_is_refused_and_nothing_of_the_line_is_written(
    backend: Backend, store: Store, tmp_path: Path
) -> None:
    await backend.auth("register", username="taken", password=PASSWORD)
    login = await backend.login("alice")
    await backend.call("PATCH", "/api/user/info", {"email": "taken@example.com"}, login["accessToken"])
    [(openid,)] = await fetch(store, "SELECT openid FROM identities")
    [(unionid,)] = await fetch(store, "SELECT unionid FROM unionids") or [("uNone",)]
    other = {"appid": OTHER_APPID, "openid": "oFresh"}
    lines: list[tuple[dict[str, Any], str]] = [
        ({"externalId": "1", "username": "TAKEN"}, "username: is taken"),
        ({"externalId": "2", "email": "TAKEN@example.com"}, "email: is another user's"),
        (
            {"externalId": "3", "openids": [other, {"appid": APPID, "openid": openid}]},
            "openids.1.openid: is another user's",
        ),
        ({"externalId": "4", "username": "fresh"}, ""),
        ({"externalId": "5", "username": "Fresh"}, "username: is taken"),
        ({"externalId": "6", "openids": [{**other, "unionid": "uOne"}]}, ""),
        ({"externalId": "7", "openids": [{**other, "openid": "oMore", "unionid": "uOne"}]}, "openids.0.unionid"),
    ]
    if unionid != "uNone":
        lines.append(({"externalId": "8", "openids": [{**other, "openid": "oX", "unionid": unionid}]}, "unionid"))
    done, outcome = await run(store, write(tmp_path / "users.jsonl", [line for line, _ in lines]))
    refused = [number for number, (_, reason) in enumerate(lines, start=1) if reason]
    assert (done.status, outcome) == (1, counts(new=2, refused=len(refused)))
    report = (tmp_path / "users.jsonl.refused.csv").read_text().splitlines()[1:]
    assert [int(row.split(",")[0]) for row in report] == refused
    for row, number in zip(report, refused, strict=True):
        assert lines[number - 1][1] in row
    assert await fetch(store, "SELECT external_id FROM users WHERE external_id IS NOT NULL ORDER BY 1") == [
        ("4",),
        ("6",),
    ]
    assert await fetch(store, f"SELECT openid FROM identities WHERE appid = '{OTHER_APPID}'") == [("oFresh",)]


async def test_csv_says_the_same_as_json_lines(store: Store, tmp_path: Path) -> None:
    openids = [{"appid": APPID, "openid": "oOne", "unionid": "uOne"}]
    path = tmp_path / "users.csv"
    cells = [FULL["externalId"], "alice", HASH, '"爱丽丝😀"', FULL["avatarUrl"], FULL["email"], FULL["phone"]]
    cells += ["member;editor", FULL["createdAt"], '"' + json.dumps(openids).replace('"', '""') + '"']
    header = "externalId,username,passwordHash,nickname,avatarUrl,email,phone,roles,createdAt,openids"
    bad = "crm-2,x,,,,,,,,\ncrm-3,only,four,cells\n"
    path.write_text(f"\ufeff{header}\r\n{','.join(map(str, cells))}\r\n{bad}crm-4,,,,,,,,,\n", "utf-8")
    done, outcome = await run(store, path)
    assert (done.status, outcome) == (1, counts(new=2, refused=2))
    report = (tmp_path / "users.csv.refused.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in report] == ["3", "4"]
    as_lines = write(tmp_path / "users.jsonl", [{**FULL, "openids": openids}])
    assert (await run(store, as_lines))[1] == counts(same=1)


async def test_of_two_lines_with_one_external_id_the_later_wins(store: Store, tmp_path: Path) -> None:
    lines = [{"externalId": "1", "nickname": "first"}, {"externalId": "1", "nickname": "second"}]
    assert (await run(store, write(tmp_path / "users.jsonl", lines)))[1] == counts(new=1, changed=1)
    assert await fetch(store, "SELECT nickname FROM users") == [("second",)]


async def test_an_import_that_was_cut_off_goes_on_where_it_stopped(
    server_store: Store, mariadb: MariaDB, tmp_path: Path
) -> None:
    path = write(tmp_path / "users.jsonl", [{"externalId": f"{number}"} for number in range(20_000)])
    importing = asyncio.create_task(kaimen(server_store, "users", "import", str(path)))
    while not await fetch(server_store, "SELECT id FROM users LIMIT 1"):
        await asyncio.sleep(0.02)
    mariadb.kill()
    done = await importing
    mariadb.start()
    assert (done.status, "database_unavailable" in done.err, "Traceback" in done.err) == (1, True, False)
    [(written,)] = await fetch(server_store, "SELECT COUNT(*) FROM users")
    assert written % 1000 == 0
    assert 0 < written < 20_000
    [(told,)] = await fetch(server_store, "SELECT COUNT(*) FROM outbox")
    assert told == written
    assert (await run(server_store, path))[1] == counts(new=20_000 - written, same=written)


async def test_people_who_log_in_while_an_import_runs_are_not_disturbed(
    backend: Backend, store: Store, tmp_path: Path
) -> None:
    path = write(tmp_path / "users.jsonl", [{"externalId": f"{number}"} for number in range(3000)])
    importing = asyncio.create_task(kaimen(store, "users", "import", str(path)))
    while not importing.done():
        assert (await backend.auth("login", code=backend.wx_login("alice"))).status == 200
    assert (await importing).status == 0


def test_a_reader_tells_how_far_it_has_come() -> None:
    for read in (read_json_lines, read_csv):
        lines = [b"externalId\n", b"a\n", b'{"externalId": "b"}\n']
        position = Position()
        assert len(list(read(lines, position))) >= 2
        assert position.bytes == sum(map(len, lines))


@pytest.mark.parametrize("phone", ["13800000001", "+8613800000001", "8613800000001"])
def test_a_mainland_phone_is_kept_as_wechat_gives_it(phone: str) -> None:
    assert ImportLine(externalId="x", phone=phone).phone == "13800000001"
