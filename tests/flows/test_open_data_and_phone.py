"""Profile and phone from WeChat's open data and from phone codes, and why a decryption fails."""

from typing import Any

import pytest

from backend import APPID, OTHER_APPID, PASSWORD, Backend, StartBackend, Store


def open_data(backend: Backend, kind: str = "userInfo", **how: Any) -> dict[str, str]:
    data = backend.simulator.wechat.open_data(how.pop("appid", APPID), how.pop("user", "alice"), kind, **how)
    return {"encryptedData": data["encryptedData"], "iv": data["iv"]}


def signed_open_data(backend: Backend) -> dict[str, str]:
    return backend.simulator.wechat.open_data(APPID, "alice", "userInfo")


async def decrypt(backend: Backend, token: str, body: dict[str, Any]) -> Any:
    return await backend.call("POST", "/api/user/decrypt", body, token)


async def test_open_data_is_decrypted_without_what_identifies_the_user(backend: Backend) -> None:
    login = await backend.login()
    reply = await decrypt(backend, login["accessToken"], signed_open_data(backend))
    assert reply.status == 200
    assert reply.data["nickName"] == "爱丽丝"
    assert not {"openId", "unionId", "watermark"} & set(reply.data)


async def test_open_data_fetched_before_the_latest_login_still_decrypts(backend: Backend) -> None:
    await backend.login()
    early = open_data(backend)
    login = await backend.login()
    assert (await decrypt(backend, login["accessToken"], early)).status == 200


async def test_open_data_older_than_two_logins_is_stale(backend: Backend) -> None:
    await backend.login()
    early = open_data(backend)
    await backend.login()
    login = await backend.login()
    reply = await decrypt(backend, login["accessToken"], early)
    assert (reply.status, reply.error, reply.data) == (400, "decrypt_failed", {"reason": "stale_session_key"})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"encryptedData": "not base64 !"}, "malformed"),
        ({"encryptedData": "AAAA"}, "malformed"),
        ({"iv": "AAAA"}, "malformed"),
        ({"encryptedData": "A" * 86 + "=="}, "stale_session_key"),
        ({"signature": "0" * 40}, "bad_signature"),
        ({"rawData": "{}"}, "bad_signature"),
    ],
)
async def test_a_failed_decryption_names_its_reason(backend: Backend, change: dict[str, str], reason: str) -> None:
    login = await backend.login()
    reply = await decrypt(backend, login["accessToken"], {**signed_open_data(backend), **change})
    assert (reply.status, reply.data) == (400, {"reason": reason})


async def test_a_plus_that_became_a_blank_is_malformed(backend: Backend) -> None:
    login = await backend.login()
    data = open_data(backend)
    while "+" not in data["encryptedData"]:
        data = open_data(backend)
    data["encryptedData"] = data["encryptedData"].replace("+", " ")
    assert (await decrypt(backend, login["accessToken"], data)).data == {"reason": "malformed"}


async def test_open_data_of_another_app_is_refused(backend: Backend) -> None:
    login = await backend.login()
    data = open_data(backend, watermark_appid=OTHER_APPID)
    assert (await decrypt(backend, login["accessToken"], data)).data == {"reason": "wrong_app"}


async def test_open_data_of_another_user_makes_no_sense(backend: Backend) -> None:
    await backend.login("bob")
    login = await backend.login("alice")
    reply = await decrypt(backend, login["accessToken"], open_data(backend, user="bob"))
    assert reply.data == {"reason": "stale_session_key"}


async def test_open_data_without_any_kept_key_asks_for_a_login(backend: Backend) -> None:
    login = await backend.auth("register", username="nokey", password=PASSWORD)
    reply = await decrypt(backend, login.data["accessToken"], open_data(backend))
    assert (reply.status, reply.data) == (400, {"reason": "stale_session_key"})


async def test_a_login_may_carry_open_data_that_fills_the_profile(backend: Backend) -> None:
    code = backend.wx_login()
    reply = await backend.auth("login", code=code, **signed_open_data(backend))
    assert reply.data["user"]["nickname"] == "爱丽丝"
    assert reply.data["user"]["avatarUrl"] in ("", reply.data["user"]["avatarUrl"])
    assert "warnings" not in reply.data


async def test_a_login_holds_when_what_came_along_fails_and_says_so(backend: Backend) -> None:
    reply = await backend.auth("login", code=backend.wx_login(), encryptedData="AAAA", iv="AAAA", phoneCode="nope")
    assert reply.status == 200
    assert [one["error"] for one in reply.data["warnings"]] == ["decrypt_failed", "invalid_wx_code"]
    assert reply.data["warnings"][0]["data"] == {"reason": "malformed"}


async def test_the_anonymous_nickname_of_wechat_replaces_nothing(backend: Backend) -> None:
    backend.simulator.wechat.users.save({"name": "anon", "nickname": "微信用户"})
    login = await backend.login("anon")
    await backend.call("PATCH", "/api/user/info", {"nickname": "Anna"}, login["accessToken"])
    code = backend.wx_login("anon")
    reply = await backend.auth("login", code=code, **open_data(backend, user="anon"))
    assert reply.data["user"]["nickname"] == "Anna"


async def test_one_tap_logs_in_and_binds_the_phone(backend: Backend) -> None:
    phone_code = backend.simulator.wechat.phone_code(APPID, "alice")
    reply = await backend.auth("login", code=backend.wx_login(), phoneCode=phone_code)
    assert reply.data["user"]["phone"] == "138****8001"


async def test_a_phone_is_bound_by_code_and_shown_masked(backend: Backend) -> None:
    login = await backend.login()
    code = backend.simulator.wechat.phone_code(APPID, "alice")
    reply = await backend.call("POST", "/api/user/phone", {"code": code}, login["accessToken"])
    info = await backend.get("/api/user/info", login["accessToken"])
    assert (reply.status, reply.data) == (200, {"phone": "138****8001"})
    assert info.data["phone"] == "138****8001"


async def test_a_phone_is_bound_from_open_data(backend: Backend) -> None:
    login = await backend.login()
    reply = await backend.call("POST", "/api/user/phone", open_data(backend, "phone"), login["accessToken"])
    assert (reply.status, reply.data) == (200, {"phone": "138****8001"})


async def test_open_data_without_a_phone_binds_none(backend: Backend) -> None:
    login = await backend.login()
    reply = await backend.call("POST", "/api/user/phone", open_data(backend), login["accessToken"])
    assert (reply.status, reply.error) == (400, "decrypt_failed")


async def test_a_phone_code_of_somebody_else_is_refused(backend: Backend) -> None:
    login = await backend.login("bob")
    code = backend.simulator.wechat.phone_code(APPID, "alice")
    reply = await backend.call("POST", "/api/user/phone", {"code": code}, login["accessToken"])
    assert (reply.status, reply.error) == (400, "invalid_wx_code")


async def test_a_phone_code_works_once(backend: Backend) -> None:
    login = await backend.login()
    code = backend.simulator.wechat.phone_code(APPID, "alice")
    await backend.call("POST", "/api/user/phone", {"code": code}, login["accessToken"])
    reply = await backend.call("POST", "/api/user/phone", {"code": code}, login["accessToken"])
    assert (reply.status, reply.error) == (400, "invalid_wx_code")


async def test_a_refused_access_token_is_renewed_without_the_client_noticing(backend: Backend) -> None:
    login = await backend.login()
    for _ in range(2):
        code = backend.simulator.wechat.phone_code(APPID, "alice")
        reply = await backend.call("POST", "/api/user/phone", {"code": code}, login["accessToken"])
        assert reply.status == 200
        backend.simulator.faults.add({"api": "getuserphonenumber", "errcode": 40001, "times": 1})


async def test_many_phones_on_two_instances_share_one_access_token(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    login = await one.login()
    for backend in (one, two, one, two):
        code = backend.simulator.wechat.phone_code(APPID, "alice")
        reply = await backend.call("POST", "/api/user/phone", {"code": code}, login["accessToken"])
        assert reply.status == 200
    assert one.count_calls("stable_token") == 1
