"""Nicknames are checked by WeChat where the settings ask for it."""

import pytest

from backend import OTHER_APPID, PASSWORD, Backend, Reply, StartBackend, Store

RISKY = "违规广告"


@pytest.fixture
async def backend(start_backend: StartBackend, store: Store) -> Backend:
    return await start_backend(store, content_check="on")


async def rename(backend: Backend, token: str, nickname: str) -> Reply:
    return await backend.call("PUT", "/api/user/info", {"nickname": nickname}, token)


async def test_a_risky_nickname_is_refused_and_nothing_changes(backend: Backend) -> None:
    token = (await backend.login())["accessToken"]
    assert (await rename(backend, token, "林小满")).data["nickname"] == "林小满"
    refused = await rename(backend, token, RISKY)
    assert (refused.status, refused.body["code"]) == (400, 4000)
    assert refused.data == {"field": "nickname", "reason": "risky_content"}
    assert (await backend.get("/api/user/info", token)).data["nickname"] == "林小满"


async def test_a_nickname_for_people_to_look_at_is_taken(backend: Backend) -> None:
    token = (await backend.login())["accessToken"]
    assert (await rename(backend, token, "可疑")).status == 200


async def test_the_check_names_the_user_to_wechat_in_the_app_of_the_session(backend: Backend) -> None:
    token = (await backend.login("bob", appid=OTHER_APPID))["accessToken"]
    await rename(backend, token, "Bo")
    [call] = backend.simulator.calls.last("msg_sec_check")
    people = backend.simulator.wechat.users
    assert call["body"]["openid"] == people.openid(OTHER_APPID, people.get("bob"))
    assert (call["body"]["version"], call["body"]["scene"], call["body"]["content"]) == (2, 1, "Bo")


async def test_a_nickname_that_breaks_our_own_rules_costs_no_call(backend: Backend) -> None:
    token = (await backend.login())["accessToken"]
    assert (await rename(backend, token, "")).status == 400
    assert backend.count_calls("msg_sec_check") == 0


@pytest.mark.parametrize(
    ("fault", "code"),
    [({"errcode": -1}, 5030), ({"status": 500}, 5020), ({"errcode": 61010}, 4035), ({"html": True}, 5020)],
)
async def test_what_cannot_be_checked_is_not_taken(backend: Backend, fault: dict[str, object], code: int) -> None:
    token = (await backend.login())["accessToken"]
    backend.simulator.faults.add({"api": "msg_sec_check", **fault})
    assert (await rename(backend, token, "Lin")).body["code"] == code
    assert (await backend.get("/api/user/info", token)).data["nickname"] == ""


async def test_somebody_without_wechat_is_not_checked(backend: Backend) -> None:
    made = await backend.auth("register", username="plain", password=PASSWORD)
    assert (await rename(backend, made.data["accessToken"], RISKY)).status == 200
    assert backend.count_calls("msg_sec_check") == 0


async def test_other_fields_and_a_check_that_is_off_ask_nobody(
    backend: Backend, start_backend: StartBackend, store: Store
) -> None:
    token = (await backend.login())["accessToken"]
    email = {"email": "lin@example.com"}
    assert (await backend.call("PUT", "/api/user/info", email, token)).status == 200
    off = await start_backend(store)
    assert (await rename(off, token, RISKY)).status == 200
    assert backend.count_calls("msg_sec_check") == 0
