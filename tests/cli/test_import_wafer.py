"""``kaimen users import --wafer``: users of Tencent's retired Wafer SDK come along."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from backend import APPID, OTHER_APPID, Backend, Store
from operators import kaimen

INFO = {
    "openId": "oX",
    "nickName": "林小满😀",
    "gender": 1,
    "language": "zh_CN",
    "avatarUrl": "http://wx.qlogo.cn/mmopen/vi_32/abc/0",
    "watermark": {"timestamp": 1514862245, "appid": APPID},
}


def row(openid: str, **changes: Any) -> dict[str, Any]:
    """As wafer2's ``cSessionInfo`` has it."""
    return {
        "open_id": openid,
        "uuid": f"uuid-of-{openid}",
        "skey": "3f2c" * 10,
        "create_time": "2018-01-02 11:04:05",
        "last_visit_time": "2018-05-01 00:00:00",
        "session_key": "c2Vzc2lvbi1rZXktc2VjcmV0IQ==",
        "user_info": json.dumps(INFO, ensure_ascii=False),
        **changes,
    }


def write_json_lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows), "utf-8")
    return path


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def openid_of(backend: Backend, user: str, appid: str = APPID) -> str:
    people = backend.simulator.wechat.users
    return people.openid(appid, people.get(user))


@pytest.mark.parametrize("write", [write_json_lines, write_csv])
async def test_an_imported_user_is_known_at_the_first_login(
    backend: Backend, store: Store, tmp_path: Path, write: Any
) -> None:
    name = "sessions.csv" if write is write_csv else "sessions.jsonl"
    path = write(tmp_path / name, [row(openid_of(backend, "alice")), row(openid_of(backend, "bob"))])
    done = await kaimen(store, "users", "import", str(path), "--wafer", "--json")
    assert (done.status, done.rows[0]["new"]) == (0, 2), done.err
    login = await backend.login("alice")
    assert login["isNewUser"] is False
    user = login["user"]
    assert (user["nickname"], user["avatarUrl"]) == ("林小满😀", "https://wx.qlogo.cn/mmopen/vi_32/abc/0")
    assert user["createdAt"] == "2018-01-02T03:04:05.000Z"
    found = await kaimen(store, "users", "show", f"uuid-of-{openid_of(backend, 'alice')}", "--json")
    assert found.rows[0]["id"] == user["id"]
    again = await kaimen(store, "users", "import", str(path), "--wafer", "--json")
    assert again.rows[0]["same"] == 2


async def test_app_and_time_zone_can_be_told(backend: Backend, store: Store, tmp_path: Path) -> None:
    path = write_json_lines(tmp_path / "s.jsonl", [row(openid_of(backend, "alice", OTHER_APPID))])
    options = ["--wafer", "--appid", OTHER_APPID, "--timezone", "+00:00", "--json"]
    assert (await kaimen(store, "users", "import", str(path), *options)).status == 0
    login = await backend.login("alice", appid=OTHER_APPID)
    assert login["user"]["createdAt"] == "2018-01-02T11:04:05.000Z"
    wrong = await kaimen(store, "users", "import", str(path), "--wafer", "--appid", "wx" + "9" * 16)
    assert wrong.status == 2
    assert "--appid" in wrong.err


@pytest.mark.parametrize(
    "info", ["", None, "{cut off", "[]", json.dumps({"nickName": "微信用户"}), {"nickName": "\u202e"}]
)
async def test_a_profile_that_says_nothing_keeps_nobody_out(
    backend: Backend, store: Store, tmp_path: Path, info: Any
) -> None:
    path = write_json_lines(tmp_path / "s.jsonl", [row(openid_of(backend, "alice"), user_info=info)])
    assert (await kaimen(store, "users", "import", str(path), "--wafer")).status == 0
    login = await backend.login("alice")
    assert (login["isNewUser"], login["user"]["nickname"]) == (False, "")


async def test_a_line_without_an_openid_or_with_a_wrong_time_is_reported(store: Store, tmp_path: Path) -> None:
    rows = [row(""), row("oGood"), row("oBad", create_time="yesterday"), ["no", "object"], row("o'x")]
    path = write_json_lines(tmp_path / "s.jsonl", rows)
    done = await kaimen(store, "users", "import", str(path), "--wafer", "--json")
    assert (done.status, done.rows[0]["new"], done.rows[0]["refused"]) == (1, 1, 4)
    report = (tmp_path / "s.jsonl.refused.csv").read_text().splitlines()[1:]
    assert [line.split(",")[0] for line in report] == ["1", "3", "4", "5"]
    assert "session-key" not in "".join(report)


async def test_without_a_uuid_the_openid_is_the_external_id(store: Store, tmp_path: Path) -> None:
    path = write_json_lines(tmp_path / "s.jsonl", [row("oAlone", uuid=None)])
    assert (await kaimen(store, "users", "import", str(path), "--wafer")).status == 0
    assert (await kaimen(store, "users", "show", "oAlone", "--json")).rows[0]["externalId"] == "oAlone"
