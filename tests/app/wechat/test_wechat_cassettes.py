from pathlib import Path
from typing import Any

import pytest
from wechat_cassettes import FOLDER, PLACEHOLDERS, REPLAYED, Story, cassette, find_leaks, open_client, record_simulator

from app.wechat import wire
from app.wechat.wire import AccessToken, Code2Session, PhoneInfo
from core.errors import Code

LOGIN = Code2Session(PLACEHOLDERS["openid"], PLACEHOLDERS["session_key"], PLACEHOLDERS["unionid"])

EXPECTED: dict[str, list[Any]] = {
    "jscode2session": [LOGIN, Code.WX_CODE_USED, Code.INVALID_WX_CODE],
    "stable_token": [AccessToken(PLACEHOLDERS["access_token"], 7200)],
    "token": [AccessToken(PLACEHOLDERS["access_token"], 7200)],
    "checksession": [True, False],
    "resetusersessionkey": [PLACEHOLDERS["session_key"]],
    "getuserphonenumber": [
        PhoneInfo("13000000000", "13000000000", "86"),
        Code.INVALID_WX_CODE,
        Code.WX_BAD_REPLY,
    ],
    "msg_sec_check": ["pass", Code.WX_BAD_REPLY],
}


def test_every_endpoint_has_a_cassette() -> None:
    names = {path.stem for path in FOLDER.glob("*.yaml")}
    assert names == set(EXPECTED) == {endpoint.name for endpoint in wire.ENDPOINTS}


@pytest.mark.parametrize("name", EXPECTED)
async def test_recorded_replies_are_understood(name: str) -> None:
    client = open_client()
    with cassette(name, "none") as played:
        assert await Story(client, REPLAYED).chapters()[name]() == EXPECTED[name]
        assert played.all_played
    client.close()


def read_all(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.glob("*.yaml")]


def test_no_cassette_holds_anything_but_placeholders() -> None:
    assert [find_leaks(text) for text in read_all(FOLDER)] == [[]] * len(EXPECTED)


async def test_request_that_was_not_recorded_does_not_reach_anybody() -> None:
    client = open_client()
    with cassette("no-such-cassette", "none"):
        results = await Story(client, REPLAYED).getuserphonenumber()
    client.close()
    assert results == [Code.WX_BAD_REPLY] * 3


@pytest.mark.parametrize(
    "leaking",
    [
        "uri: https://api.weixin.qq.com/sns/jscode2session?secret=5e2b1f0c8d7a4936b0c1d2e3f4051627",
        '{"session_key": "MDEyMzQ1Njc4OWFiY2RlZg=="}',
        '{"openid":"oExample"}',
        "?access_token=80_abc&x=1",
        '"purePhoneNumber": "13800138001"',
    ],
)
def test_a_leak_would_be_found(leaking: str) -> None:
    assert find_leaks(leaking)


async def test_recording_leaves_nothing_the_simulator_knew(tmp_path: Path) -> None:
    simulator = await record_simulator(tmp_path)
    alice = simulator.wechat.users.get("alice")
    canaries = {alice.phone, alice.unionid, *simulator.wechat.users.openids(alice).values()}
    for call in simulator.calls.last():
        canaries |= secrets_in(call["query"]) | secrets_in(call["body"]) | secrets_in(call["reply"])
    assert len(canaries) > 12
    text = "".join(read_all(tmp_path))
    assert not [canary for canary in canaries if canary in text]
    assert f":{simulator.port}" not in text


def secrets_in(fields: Any) -> set[str]:
    """The values of one query, body or reply that nobody else should see."""
    names = ("secret", "js_code", "code", "access_token", "signature", "session_key", "openid", "unionid")
    found = {str(fields[name]) for name in names if name in fields} if isinstance(fields, dict) else set()
    return found - {"no-such-code", "no-such-token"}
