"""A mini-program user logs in with a code of wx.login."""

import asyncio

from backend import APPID, OTHER_APPID, PASSWORD, Backend, StartBackend, Store


async def test_a_first_login_registers_and_a_second_finds_the_same_user(backend: Backend) -> None:
    first, second = await backend.login(), await backend.login()
    assert first["isNewUser"] is True
    assert second["isNewUser"] is False
    assert first["user"]["id"] == second["user"]["id"]
    assert first["sessionId"] != second["sessionId"]
    assert first["tokenType"] == "Bearer"
    assert (first["expiresIn"], first["refreshExpiresIn"]) == (900, 604800)


async def test_a_login_reply_never_shows_openid_unionid_or_session_key(backend: Backend) -> None:
    reply = await backend.auth("login", code=backend.wx_login())
    person = backend.simulator.wechat.users.get("alice")
    secrets = [*backend.simulator.wechat.users.openids(person).values(), person.unionid]
    assert not any(secret in reply.text for secret in secrets)
    assert "session_key" not in reply.text


async def test_the_token_of_a_login_opens_the_profile_with_its_binding(backend: Backend) -> None:
    login = await backend.login()
    info = await backend.get("/api/user/info", login["accessToken"])
    assert info.status == 200
    assert info.data["id"] == login["user"]["id"]
    assert [(one["appid"], one["kind"]) for one in info.data["bindings"]] == [(APPID, "miniprogram")]


async def test_another_users_profile_is_forbidden(backend: Backend) -> None:
    alice, bob = await backend.login("alice"), await backend.login("bob")
    reply = await backend.get(f"/api/user/info?userId={bob['user']['id']}", alice["accessToken"])
    assert (reply.status, reply.error) == (403, "forbidden")


async def test_one_person_in_two_apps_of_an_open_platform_account_is_one_user(backend: Backend) -> None:
    here, there = await backend.login(), await backend.login(appid=OTHER_APPID)
    assert here["user"]["id"] == there["user"]["id"]
    assert there["isNewUser"] is False


async def test_the_same_person_without_unionid_is_two_users(backend: Backend) -> None:
    backend.simulator.wechat.users.save({"name": "dora", "unionid": False})
    here, there = await backend.login("dora"), await backend.login("dora", appid=OTHER_APPID)
    assert here["user"]["id"] != there["user"]["id"]


async def test_fifty_concurrent_first_logins_of_one_openid_leave_one_user(backend: Backend) -> None:
    codes = [backend.wx_login() for _ in range(50)]
    replies = await asyncio.gather(*(backend.auth("login", code=code) for code in codes))
    assert {reply.status for reply in replies} == {200}
    assert len({reply.data["user"]["id"] for reply in replies}) == 1
    assert sum(reply.data["isNewUser"] for reply in replies) == 1


async def test_fifty_first_logins_over_two_instances_leave_one_user(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    codes = [one.wx_login() for _ in range(50)]
    calls = [(one, two)[n % 2].auth("login", code=code) for n, code in enumerate(codes)]
    replies = await asyncio.gather(*calls)
    assert {reply.status for reply in replies} == {200}
    assert len({reply.data["user"]["id"] for reply in replies}) == 1


async def test_twenty_different_users_at_once_are_twenty_users(backend: Backend) -> None:
    names = [f"guest{n}" for n in range(20)]
    for name in names:
        backend.simulator.wechat.users.save({"name": name})
    logins = await asyncio.gather(*(backend.login(name) for name in names))
    assert len({login["user"]["id"] for login in logins}) == 20


async def test_register_by_code_is_refused_when_the_user_exists(backend: Backend) -> None:
    first = await backend.auth("register", code=backend.wx_login())
    again = await backend.auth("register", code=backend.wx_login())
    assert (first.status, first.data["isNewUser"]) == (200, True)
    assert (again.status, again.error) == (409, "already_registered")


async def test_register_with_code_and_password_makes_one_account_for_both(backend: Backend) -> None:
    made = await backend.auth("register", code=backend.wx_login(), username="Alice1", password=PASSWORD)
    by_password = await backend.auth("login", username="alice1", password=PASSWORD)
    by_code = await backend.login()
    assert made.data["user"]["username"] == "Alice1"
    assert made.data["user"]["id"] == by_password.data["user"]["id"] == by_code["user"]["id"]


async def test_login_does_not_register_when_the_settings_forbid_it(start_backend: StartBackend, store: Store) -> None:
    backend = await start_backend(store, auto_register=False)
    refused = await backend.auth("login", code=backend.wx_login())
    await backend.auth("register", code=backend.wx_login())
    assert (refused.status, refused.error) == (404, "not_registered")
    assert (await backend.auth("login", code=backend.wx_login())).status == 200


async def test_an_unknown_appid_is_refused_without_a_call_to_wechat(backend: Backend) -> None:
    reply = await backend.auth("login", code="abc", appid="wxffffffffffffffff")
    assert (reply.status, reply.error) == (404, "unknown_app")
    assert backend.count_calls("jscode2session") == 0


async def test_an_official_account_is_no_place_for_a_mini_program_code(backend: Backend) -> None:
    reply = await backend.auth("login", code="abc", appid="wx00000000000000a1")
    assert (reply.status, reply.error) == (404, "unknown_app")


async def test_a_code_of_another_app_is_invalid(backend: Backend) -> None:
    reply = await backend.auth("login", code=backend.wx_login(), appid=OTHER_APPID)
    assert (reply.status, reply.error) == (400, "invalid_wx_code")


async def test_a_user_whom_wechat_blocks_is_refused(backend: Backend) -> None:
    backend.simulator.wechat.users.save({"name": "mallory", "blocked": True})
    reply = await backend.auth("login", code=backend.wx_login("mallory"))
    assert (reply.status, reply.error) == (403, "wx_user_blocked")


async def test_errors_speak_chinese_or_english(backend: Backend) -> None:
    chinese = await backend.auth("login", code="never-issued")
    english = await backend.call(
        "POST", "/api/auth", {"action": "login", "code": "never-issued-2"}, Accept_Language="en-GB,en;q=0.9"
    )
    assert chinese.body["message"].startswith("微信")
    assert english.body["message"].startswith("The WeChat code")
    assert chinese.body["code"] == english.body["code"] == 4004
