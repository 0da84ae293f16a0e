"""autoLogin and logout: one use each, a grace window, and the end of a session."""

import asyncio

import pytest

from backend import Backend, StartBackend, Store


async def test_a_refresh_gives_the_next_pair_of_the_same_session(backend: Backend) -> None:
    login = await backend.login()
    reply = await backend.auth("autoLogin", refreshToken=login["refreshToken"])
    assert reply.status == 200
    assert reply.data["sessionId"] == login["sessionId"]
    assert reply.data["refreshToken"] != login["refreshToken"]
    assert (await backend.get("/api/user/info", reply.data["accessToken"])).status == 200


async def test_the_token_before_gives_the_same_successor_within_the_grace_window(backend: Backend) -> None:
    login = await backend.login()
    first = await backend.auth("autoLogin", refreshToken=login["refreshToken"])
    again = await backend.auth("autoLogin", refreshToken=login["refreshToken"])
    assert first.data["refreshToken"] == again.data["refreshToken"]


async def test_twenty_parallel_refreshes_over_two_instances_have_one_successor(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    token = (await one.login())["refreshToken"]
    replies = await asyncio.gather(*((one, two)[n % 2].auth("autoLogin", refreshToken=token) for n in range(20)))
    assert {reply.status for reply in replies} == {200}
    assert len({reply.data["refreshToken"] for reply in replies}) == 1


async def test_an_old_token_after_the_grace_window_ends_the_session(backend: Backend) -> None:
    login = await backend.login()
    successor = await backend.auth("autoLogin", refreshToken=login["refreshToken"])
    backend.clock.advance(11)
    reused = await backend.auth("autoLogin", refreshToken=login["refreshToken"])
    assert (reused.status, reused.error) == (401, "refresh_reused")
    assert (await backend.get("/api/user/info", successor.data["accessToken"])).error == "session_revoked"
    after = await backend.auth("autoLogin", refreshToken=successor.data["refreshToken"])
    assert (after.status, after.error) == (401, "refresh_invalid")


async def test_a_token_two_generations_old_ends_the_session_at_once(backend: Backend) -> None:
    login = await backend.login()
    second = await backend.auth("autoLogin", refreshToken=login["refreshToken"])
    await backend.auth("autoLogin", refreshToken=second.data["refreshToken"])
    assert (await backend.auth("autoLogin", refreshToken=login["refreshToken"])).error == "refresh_reused"


async def test_an_unused_refresh_token_lives_seven_days_and_slides(backend: Backend) -> None:
    token = (await backend.login())["refreshToken"]
    for _ in range(3):
        backend.clock.advance(6 * 86400)
        reply = await backend.auth("autoLogin", refreshToken=token)
        assert reply.status == 200
        token = reply.data["refreshToken"]
    backend.clock.advance(7 * 86400)
    assert (await backend.auth("autoLogin", refreshToken=token)).error == "refresh_invalid"


async def test_a_session_ends_after_ninety_days_however_much_it_is_used(backend: Backend) -> None:
    token = (await backend.login())["refreshToken"]
    for _ in range(17):
        backend.clock.advance(5 * 86400)
        reply = await backend.auth("autoLogin", refreshToken=token)
        token = reply.data["refreshToken"]
    assert reply.data["refreshExpiresIn"] <= 5 * 86400
    backend.clock.advance(5 * 86400)
    assert (await backend.auth("autoLogin", refreshToken=token)).error == "refresh_invalid"


@pytest.mark.parametrize("change", ["mac", "generation", "session", "shape"])
async def test_a_forged_refresh_token_is_refused(backend: Backend, change: str) -> None:
    session, generation, mac = (await backend.login())["refreshToken"].split(".")
    forged = {
        "mac": f"{session}.{generation}.{'A' * 43}",
        "generation": f"{session}.1.{mac}",
        "session": f"{'0' * 32}.{generation}.{mac}",
        "shape": f"{session}.٠.{mac}",
    }[change]
    reply = await backend.auth("autoLogin", refreshToken=forged)
    assert (reply.status, reply.error) == (401, "refresh_invalid")


async def test_logout_ends_the_session_and_its_tokens(backend: Backend) -> None:
    login, other = await backend.login(), await backend.login()
    reply = await backend.call("POST", "/api/auth/logout", None, login["accessToken"])
    assert reply.status == 200
    assert (await backend.get("/api/user/info", login["accessToken"])).error == "session_revoked"
    assert (await backend.get("/api/token/verify", login["accessToken"])).error == "session_revoked"
    assert (await backend.auth("autoLogin", refreshToken=login["refreshToken"])).error == "refresh_invalid"
    assert (await backend.get("/api/user/info", other["accessToken"])).status == 200


async def test_logout_everywhere_ends_all_sessions_of_the_user_only(backend: Backend) -> None:
    here, there, bob = await backend.login(), await backend.login(), await backend.login("bob")
    await backend.call("POST", "/api/auth/logout", {"all": True}, here["accessToken"])
    assert (await backend.get("/api/user/info", there["accessToken"])).error == "session_revoked"
    assert (await backend.get("/api/user/info", bob["accessToken"])).status == 200


async def test_a_logout_is_known_to_other_instances_within_a_second(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    login = await one.login()
    assert (await two.get("/api/token/verify", login["accessToken"])).status == 204
    await one.call("POST", "/api/auth/logout", {}, login["accessToken"])
    async with asyncio.timeout(1.0):
        while (await two.get("/api/token/verify", login["accessToken"])).status == 204:
            await asyncio.sleep(0.02)
    assert (await two.get("/api/token/verify", login["accessToken"])).error == "session_revoked"


async def test_an_access_token_expires_and_says_so(backend: Backend) -> None:
    login = await backend.login()
    backend.clock.advance(900 + 29)
    assert (await backend.get("/api/user/info", login["accessToken"])).status == 200
    backend.clock.advance(2)
    reply = await backend.get("/api/user/info", login["accessToken"])
    assert (reply.status, reply.error) == (401, "token_expired")


async def test_a_user_may_fill_the_profile_with_a_refresh(backend: Backend) -> None:
    login = await backend.login()
    data = backend.simulator.wechat.open_data("wx0000000000000001", "alice", "userInfo")
    reply = await backend.auth("autoLogin", refreshToken=login["refreshToken"], **data)
    assert reply.data["user"]["nickname"] == "爱丽丝"
