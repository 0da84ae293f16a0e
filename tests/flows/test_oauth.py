"""OAuth 2.0 sign-in: from a link to a session, in official accounts and on websites."""

import asyncio
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import pytest

from backend import APPID, OFFICIAL, WEBSITE, Backend, StartBackend, Store
from browser import HTML, Browser, login_path

CALLBACK = f"http://kaimen.test/oauth/{OFFICIAL}/callback"


async def count(backend: Backend, table: str) -> int:
    return int((await backend.kaimen.privacy._database.fetch(f"SELECT COUNT(*) FROM {table}"))[0][0])


@pytest.mark.parametrize(
    ("appid", "query", "path", "scope"),
    [
        (OFFICIAL, {}, "/connect/oauth2/authorize", "snsapi_base"),
        (OFFICIAL, {"scope": "userinfo"}, "/connect/oauth2/authorize", "snsapi_userinfo"),
        (WEBSITE, {}, "/connect/qrconnect", "snsapi_login"),
    ],
)
async def test_a_login_leads_to_wechat_with_every_parameter_where_wechat_wants_it(
    backend: Backend, appid: str, query: dict[str, str], path: str, scope: str
) -> None:
    url = await Browser(backend).begin(appid, **query)
    parts = urlsplit(url)
    assert url.startswith(f"{backend.simulator.url}{path}?")
    given = parse_qsl(parts.query)
    assert [name for name, _ in given] == ["appid", "redirect_uri", "response_type", "scope", "state"]
    assert given[:4] == [
        ("appid", appid),
        ("redirect_uri", f"http://kaimen.test/oauth/{appid}/callback"),
        ("response_type", "code"),
        ("scope", scope),
    ]
    assert given[4][1].isalnum()
    assert 32 <= len(given[4][1]) <= 128
    assert parts.fragment == "wechat_redirect"
    assert quote(f"http://kaimen.test/oauth/{appid}/callback", safe="") in parts.query


async def test_a_silent_login_signs_the_browser_in_and_returns_to_where_it_came_from(backend: Backend) -> None:
    browser = Browser(backend)
    reply = await browser.sign_in(return_="/orders?id=7#top")
    assert (reply.status, reply.headers["Location"]) == (302, "/orders?id=7#top")
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Referrer-Policy"] == "no-referrer"
    info = await browser.info()
    assert info["bindings"][0]["appid"] == OFFICIAL
    assert info["nickname"] == ""
    assert backend.count_calls("userinfo") == 0


@pytest.mark.parametrize(("appid", "query"), [(OFFICIAL, {"scope": "userinfo"}), (WEBSITE, {})])
async def test_a_login_with_consent_brings_nickname_and_avatar(
    backend: Backend, appid: str, query: dict[str, str]
) -> None:
    browser = Browser(backend)
    await browser.sign_in("bob", appid, **query)
    info = await browser.info()
    assert info["nickname"] == "老鲍 🎣"
    assert info["avatarUrl"].endswith("/avatar/bob.svg")


async def test_all_apps_lead_to_one_user_through_the_unionid(backend: Backend) -> None:
    login = await backend.login("alice")
    phone, desk = Browser(backend), Browser(backend)
    await phone.sign_in("alice", OFFICIAL, scope="userinfo")
    await desk.sign_in("alice", WEBSITE)
    infos = [await phone.info(), await desk.info()]
    assert {info["id"] for info in infos} == {login["user"]["id"]}
    assert {one["appid"] for one in infos[1]["bindings"]} == {APPID, OFFICIAL, WEBSITE}


async def test_a_name_that_the_user_chose_here_is_not_replaced_by_wechats(backend: Backend) -> None:
    login = await backend.login("alice")
    await backend.call("PATCH", "/api/user/info", {"nickname": "Chosen"}, login["accessToken"])
    browser = Browser(backend)
    await browser.sign_in("alice", WEBSITE)
    assert (await browser.info())["nickname"] == "Chosen"


async def test_a_user_who_was_silent_first_stays_the_same_after_consent(backend: Backend) -> None:
    first, second = Browser(backend), Browser(backend)
    await first.sign_in("alice")
    await second.sign_in("alice", scope="userinfo")
    assert (await first.info())["id"] == (await second.info())["id"]
    assert await count(backend, "users") == 1


async def test_the_callback_twice_signs_in_once_and_shows_the_same(backend: Backend) -> None:
    browser = Browser(backend)
    callback = await browser.agree(await browser.begin(return_="/a"))
    replies = [await browser.open(callback) for _ in range(3)]
    assert {(reply.status, reply.headers["Location"]) for reply in replies} == {(302, "/a")}
    assert await count(backend, "sessions") == 1
    assert backend.count_calls("access_token") == 1


async def test_ten_callbacks_at_once_on_two_instances_are_one_session(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    browser = Browser(one)
    callback = await browser.agree(await browser.begin(return_="/a"))
    header = browser.cookie_header()
    replies = await asyncio.gather(*(at.get(callback, Cookie=header) for at in [one, two] * 5))
    assert {(reply.status, reply.headers["Location"]) for reply in replies} == {(302, "/a")}
    assert await count(one, "sessions") == 1
    assert one.count_calls("access_token") == 1
    cookies = set()
    for reply in replies:
        browser.keep(reply)
        cookies.add(browser.cookies["kaimen"].partition(".")[0])
    assert len(cookies) == 1


async def test_after_30_seconds_a_callback_is_over(backend: Backend) -> None:
    browser = Browser(backend)
    callback = await browser.agree(await browser.begin())
    assert (await browser.open(callback)).status == 302
    await forget_states(backend)
    reply = await browser.open(callback)
    assert (reply.status, reply.body["code"]) == (400, 4000)
    assert await count(backend, "sessions") == 1


async def forget_states(backend: Backend) -> None:
    """What time does: Redis's own clock cannot be moved."""
    kv = backend.kaimen.oauth._kv
    for key in await kv.run("KEYS", "kaimen:oauth:*"):
        assert 0 < await kv.run("TTL", key) <= 600
        await kv.run("DEL", key)


async def test_a_used_state_lives_no_longer_than_its_repeats(backend: Backend) -> None:
    browser = Browser(backend)
    consent = await browser.begin()
    kv = backend.kaimen.oauth._kv
    (key,) = await kv.run("KEYS", "kaimen:oauth:*")
    assert 590 < await kv.run("TTL", key) <= 600
    await browser.open(await browser.agree(consent))
    assert 20_000 < await kv.run("PTTL", key) <= 30_000
    state = parse_qs(urlsplit(consent).query)["state"][0]
    stored = str(await kv.run("HGETALL", key))
    assert state not in stored
    assert browser.cookies["kaimen-oauth"] not in stored


async def test_a_state_of_another_browser_is_refused_and_stays_good(backend: Backend) -> None:
    victim, attacker, nobody = Browser(backend), Browser(backend), Browser(backend)
    callback = await victim.agree(await victim.begin())
    await attacker.begin()
    for browser in (attacker, nobody):
        reply = await browser.open(callback)
        assert (reply.status, reply.body["code"]) == (400, 4000)
        assert "Location" not in reply.headers
        assert "Set-Cookie" not in reply.headers
    assert backend.count_calls("access_token") == 0
    assert (await victim.open(callback)).status == 302


async def test_bad_states_and_codes_reach_neither_wechat_nor_the_database(backend: Backend) -> None:
    browser = Browser(backend)
    callback = await browser.agree(await browser.begin())
    given = dict(parse_qsl(urlsplit(callback).query))
    path = urlsplit(callback).path
    for query in (
        "",
        f"code={given['code']}",
        f"code={given['code']}&state=",
        f"code={given['code']}&state={'0' * 64}",
        f"code={given['code']}&state={given['state']}x",
        f"code={given['code']}&state={given['state']}&state={given['state']}",
        f"code=&state={given['state']}",
        f"state={given['state']}",
        f"code=a%0Ab&state={given['state']}",
        f"code={'a' * 129}&state={given['state']}",
        f"code={given['code']}&state=%F0%9F%8D%BA",
    ):
        reply = await browser.open(f"{path}?{query}")
        assert (reply.status, reply.body["code"]) == (400, 4000), query
    assert backend.count_calls("access_token") == 0
    assert await count(backend, "users") == 0
    assert (await browser.open(callback)).status == 302  # none of them used it up


async def test_a_state_takes_one_code_only(backend: Backend) -> None:
    browser = Browser(backend)
    consent = await browser.begin()
    assert (await browser.open(await browser.agree(consent))).status == 302
    reply = await browser.open(await browser.agree(consent, "bob"))
    assert (reply.status, reply.body["code"]) == (400, 4000)
    assert (await browser.info())["bindings"][0]["appid"] == OFFICIAL
    assert backend.count_calls("access_token") == 1


async def test_a_state_of_another_app_is_refused_and_stays_good(backend: Backend) -> None:
    browser = Browser(backend)
    callback = await browser.agree(await browser.begin(OFFICIAL))
    foreign = callback.replace(OFFICIAL, WEBSITE)
    assert (await browser.open(foreign)).body["code"] == 4000
    assert (await browser.open(callback)).status == 302


async def test_logins_in_two_tabs_keep_their_own_ways(backend: Backend) -> None:
    browser = Browser(backend)
    first, second = await browser.begin(return_="/first"), await browser.begin(WEBSITE, return_="/second")
    assert (await browser.open(await browser.agree(second))).headers["Location"] == "/second"
    assert (await browser.open(await browser.agree(first))).headers["Location"] == "/first"


async def test_who_refuses_on_the_consent_page_is_told_so_and_may_try_again(backend: Backend) -> None:
    browser = Browser(backend)
    callback = await browser.agree(await browser.begin(scope="userinfo"), allow=False)
    reply = await browser.open(callback, Accept=HTML)
    assert reply.status == 400
    assert "您没有同意授权" in reply.text
    assert f'href="/oauth/{OFFICIAL}/login"' in reply.text
    assert await count(backend, "sessions") == 0


async def test_a_snapshot_user_is_nobody(backend: Backend) -> None:
    backend.simulator.wechat.users.save({"name": "carol", "snapshot": True})
    browser = Browser(backend)
    reply = await browser.sign_in("carol", scope="userinfo")
    assert (reply.status, reply.body["code"], reply.data) == (403, 4030, {"reason": "snapshot"})
    assert await count(backend, "users") == 0
    assert await count(backend, "identities") == 0
    page = await browser.open(await browser.agree(await browser.begin(scope="userinfo"), "carol"), Accept=HTML)
    assert "使用完整服务" in page.text


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"errcode": 40029}, 4004),
        ({"errcode": 40163}, 4005),
        ({"errcode": 45011}, 4292),
        ({"errcode": 40125}, 5020),
        ({"status": 502}, 5020),
        ({"reset": True}, 5030),
        ({"truncate": True}, 5020),
    ],
)
async def test_what_goes_wrong_at_wechat_has_its_own_error(
    backend: Backend, fault: dict[str, object], code: int
) -> None:
    backend.simulator.faults.add({"api": "access_token", **fault})
    reply = await Browser(backend).sign_in()
    assert reply.body["code"] == code
    assert await count(backend, "users") == 0


async def test_a_reload_after_wechat_was_away_goes_on_with_the_same_state(backend: Backend) -> None:
    backend.simulator.faults.add({"api": "access_token", "reset": True, "times": 1})
    browser = Browser(backend)
    callback = await browser.agree(await browser.begin(return_="/a"))
    assert (await browser.open(callback)).body["code"] == 5030
    assert (await browser.open(callback)).headers["Location"] == "/a"


async def test_a_login_holds_without_the_profile_when_the_unionid_is_known(backend: Backend) -> None:
    backend.simulator.faults.add({"api": "userinfo", "status": 500})
    browser = Browser(backend)
    await browser.sign_in("alice", scope="userinfo")
    assert (await browser.info())["nickname"] == ""


@pytest.mark.parametrize("reply", [{"openid": ""}, {"openid": None}, {"openid": 7}, {}])
async def test_a_reply_without_an_openid_signs_nobody_in(
    backend: Backend, reply: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    from simulator import endpoints

    def broken(_grant: object) -> dict[str, object]:
        return {"access_token": "A", "expires_in": 7200, "refresh_token": "R", "scope": "snsapi_base", **reply}

    monkeypatch.setattr(endpoints, "show_grant", broken)
    answer = await Browser(backend).sign_in()
    assert (answer.status, answer.body["code"]) == (502, 5020)
    assert await count(backend, "users") == 0


async def test_a_mini_program_has_no_oauth(backend: Backend) -> None:
    for path in (login_path(APPID), f"/oauth/{APPID}/callback?code=a&state={'0' * 64}", login_path("wxnone")):
        reply = await backend.get(path)
        assert (reply.status, reply.body["code"]) == (404, 4042)


async def test_a_preset_session_cookie_is_replaced_and_its_session_ends(backend: Backend) -> None:
    browser = Browser(backend)
    await browser.sign_in("alice")
    before = browser.cookies["kaimen"]
    await browser.sign_in("bob")
    assert browser.cookies["kaimen"].partition(".")[0] != before.partition(".")[0]
    old = await backend.get("/api/user/info", Cookie=f"kaimen={before}")
    assert old.status == 401
    assert (await browser.info())["id"] != ""


async def test_an_answer_to_the_old_cookie_does_not_take_the_new_one_away(backend: Backend) -> None:
    browser = Browser(backend)
    await browser.sign_in("alice")
    before = browser.cookie_header()
    await browser.sign_in("alice")
    late = await backend.get("/api/user/info", Cookie=before)  # sent by another tab before the login was finished
    assert (late.status, late.body["code"]) == (401, 4015)
    assert "Set-Cookie" not in late.headers
    browser.keep(late)
    assert await browser.info()


async def test_without_redis_nobody_is_let_in_and_nothing_is_500(
    start_backend: StartBackend, server_store: Store
) -> None:
    backend = await start_backend(server_store, redis_url="redis://127.0.0.1:1/0")
    reply = await backend.get(login_path(OFFICIAL))
    assert (reply.status, reply.body["code"]) == (503, 5002)
    assert "Location" not in reply.headers


async def test_logins_begun_from_one_network_are_limited(start_backend: StartBackend, store: Store) -> None:
    backend = await start_backend(store, limits={"oauth_network": "2/60"})
    for expected in (302, 302, 429):
        reply = await backend.get(login_path(OFFICIAL))
        assert reply.status == expected
    assert "Retry-After" in reply.headers


async def test_who_is_not_registered_stays_so_where_registration_is_off(
    start_backend: StartBackend, store: Store
) -> None:
    backend = await start_backend(store, auto_register=False)
    reply = await Browser(backend).sign_in()
    assert (reply.status, reply.body["code"]) == (404, 4041)
    assert await count(backend, "users") == 0


async def test_neither_code_nor_state_nor_token_is_logged(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    from core.observe.logs import set_up_logs

    set_up_logs("debug", "json")
    browser = Browser(backend)
    callback = await browser.agree(await browser.begin(scope="userinfo"))
    await browser.open(callback)
    await browser.open(callback.replace("state=", "state=0"))
    set_up_logs("error", "json")
    logged = capsys.readouterr().out
    assert "/oauth/" in logged
    secrets = [value for _, value in parse_qsl(urlsplit(callback).query)]
    secrets += [one["reply"]["access_token"] for one in backend.simulator.calls.last("access_token")]
    assert [one for one in secrets if one in logged] == []
