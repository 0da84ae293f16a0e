"""Clients of Tencent's retired Wafer SDK keep working."""

import re
from typing import Any

import pytest

from backend import APPID, Backend, Reply, StartBackend, Store
from miniprogram_bench import run_tests

STALE = {"code": -1, "error": "ERR_SKEY_INVALID"}


async def wafer_login(backend: Backend, user: str = "alice", method: str = "GET", **headers: str) -> Reply:
    given = {"X_WX_Code": backend.wx_login(user), **headers}
    return await backend.call(method, "/weapp/login", None if method == "GET" else "", **given)


async def who(backend: Backend, skey: str) -> Reply:
    return await backend.get("/weapp/user", X_WX_Skey=skey)


def assert_stale(reply: Reply) -> None:
    assert (reply.status, {name: reply.body[name] for name in STALE}) == (401, STALE)


async def test_the_real_clients_of_both_versions_log_in_and_log_in_again(backend: Backend) -> None:
    await run_tests(backend, "wafer.test.mjs")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_login_by_code_gives_a_skey_that_opens_the_user(backend: Backend, method: str) -> None:
    reply = await wafer_login(backend, method=method)
    assert (reply.status, reply.body["code"], set(reply.data)) == (200, 0, {"skey", "userinfo"})
    opened = await who(backend, reply.data["skey"])
    assert (opened.status, opened.body) == (200, {"code": 0, "data": reply.data["userinfo"]})


async def test_encrypted_data_fills_the_profile(backend: Backend) -> None:
    code = backend.wx_login()
    data = backend.simulator.wechat.open_data(APPID, "alice", "userInfo")
    headers = {"X_WX_Code": code, "X_WX_Encrypted_Data": data["encryptedData"], "X_WX_IV": data["iv"]}
    reply = await backend.get("/weapp/login", **headers)
    alice = backend.simulator.wechat.users.get("alice")
    assert reply.data["userinfo"]["nickName"] == alice.nickname
    assert reply.data["userinfo"]["avatarUrl"]
    again = await wafer_login(backend)
    assert again.data["userinfo"]["nickName"] == alice.nickname


async def test_the_user_is_the_same_as_that_of_every_other_login(backend: Backend) -> None:
    login = await backend.login()
    assert (await wafer_login(backend)).data["userinfo"]["id"] == login["user"]["id"]


async def test_neither_openid_nor_session_key_is_in_a_reply(backend: Backend) -> None:
    reply = await wafer_login(backend)
    people = backend.simulator.wechat.users
    openid = people.openid(APPID, people.get("alice"))
    key = backend.simulator.wechat.keys.find(APPID, "alice")
    assert key
    for text in (reply.text, (await who(backend, reply.data["skey"])).text):
        assert openid not in text
        assert key.value not in text
        assert "unionId" not in text


@pytest.mark.parametrize("skey", ["", "x", "0" * 40, "a.b.c.d", "é"])
async def test_what_is_no_skey_is_stale(backend: Backend, skey: str) -> None:
    assert_stale(await who(backend, skey))


async def test_a_skey_with_anything_changed_is_stale(backend: Backend) -> None:
    skey = (await wafer_login(backend)).data["skey"]
    for part in range(4):
        parts = skey.split(".")
        parts[part] = re.sub(r".$", lambda match: "1" if match[0] != "1" else "2", parts[part])
        assert_stale(await who(backend, ".".join(parts)))


async def test_a_skey_is_no_cookie_and_a_cookie_is_no_skey(backend: Backend) -> None:
    skey = (await wafer_login(backend)).data["skey"]
    assert (await backend.get("/api/user/info", Cookie=f"kaimen={skey}")).error == "unauthenticated"
    body = {"action": "login", "code": backend.wx_login(), "cookie": True}
    reply = await backend.call("POST", "/api/auth", body, Origin="http://kaimen.test")
    cookie = str(reply.headers.get_list("Set-Cookie")[0]).split(";")[0].partition("=")[2]
    assert_stale(await who(backend, cookie))


async def test_a_skey_lives_as_long_as_its_session_is_used(backend: Backend) -> None:
    skey = (await wafer_login(backend)).data["skey"]
    for _ in range(4):
        backend.clock.advance(5 * 86_400)
        assert (await who(backend, skey)).status == 200
    backend.clock.advance(8 * 86_400)
    assert_stale(await who(backend, skey))


async def test_a_session_that_is_ended_ends_the_skey_within_a_second(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    skey = (await wafer_login(one)).data["skey"]
    assert (await who(two, skey)).status == 200
    token = (await one.login())["accessToken"]
    await one.call("POST", "/api/auth/logout", {"all": True}, token)
    assert_stale(await who(one, skey))


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 400, 4000),
        ({"X_WX_Code": "not a code"}, 400, 4000),
        ({"X_WX_Code": "abc", "X_WX_IV": "x"}, 400, 4000),
        ({"X_WX_Code": "unknown"}, 400, 4004),
    ],
)
async def test_a_login_that_fails_says_why_with_our_code(
    backend: Backend, headers: dict[str, str], status: int, code: int
) -> None:
    reply = await backend.get("/weapp/login", **headers)
    assert (reply.status, reply.body["code"]) == (status, code)


async def test_trouble_is_never_taken_for_a_stale_skey(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.errors import AppError, Code

    skey = (await wafer_login(backend)).data["skey"]

    async def away(*_args: Any) -> Any:
        raise AppError(Code.DATABASE_UNAVAILABLE)

    monkeypatch.setattr(backend.kaimen.profiles, "get", away)
    reply = await who(backend, skey)
    assert (reply.status, reply.body["code"]) == (503, 5001)
    backend.simulator.faults.add({"api": "jscode2session", "errcode": -1})
    assert (await wafer_login(backend)).body["code"] == 5030


async def test_the_check_for_nginx_knows_a_skey(backend: Backend) -> None:
    login = await wafer_login(backend)
    skey = login.data["skey"]
    reply = await backend.get("/api/token/verify", X_WX_Skey=skey, X_Original_Method="POST")
    assert (reply.status, reply.headers["X-User-Id"]) == (204, login.data["userinfo"]["id"])
    assert (await backend.get("/api/token/verify", X_WX_Skey="x")).status == 401
    token = (await backend.login("bob"))["accessToken"]
    both = await backend.get("/api/token/verify", token, X_WX_Skey="x")
    assert both.status == 204
