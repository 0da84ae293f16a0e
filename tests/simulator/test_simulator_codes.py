import re

import pytest
from simulator_client import APP, APPID, OFFICIAL, OTHER_APP, SECRET, Client, HandClock

from simulator import Simulator

RID = re.compile(r"[a-z ]+, rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}")


async def test_a_login_code_gives_key_openid_and_unionid(wx: Client) -> None:
    reply = await wx.exchange(await wx.login())
    assert reply.keys() == {"session_key", "openid", "unionid"}
    assert len(reply["session_key"]) == 24
    assert len(reply["openid"]) == len(reply["unionid"]) == 28


async def test_a_code_works_once_and_says_so_afterwards(wx: Client) -> None:
    code = await wx.login()
    await wx.exchange(code)
    reply = await wx.exchange(code)
    assert reply["errcode"] == 40163
    assert RID.fullmatch(reply["errmsg"])


async def test_a_code_is_invalid_after_five_minutes(wx: Client, clock: HandClock) -> None:
    fresh, late = await wx.login(), await wx.login()
    clock.now += 300
    assert "openid" in await wx.exchange(fresh)
    clock.now += 1
    assert (await wx.exchange(late))["errcode"] == 40029


async def test_a_used_code_is_merely_invalid_once_it_is_old(wx: Client, clock: HandClock) -> None:
    code = await wx.login()
    await wx.exchange(code)
    clock.now += 301
    assert (await wx.exchange(code))["errcode"] == 40029


async def test_old_codes_are_forgotten(wx: Client, clock: HandClock) -> None:
    code = await wx.login()
    clock.now += 601
    await wx.login()
    assert code not in wx.sim.wechat.login_codes


async def test_a_code_of_another_app_is_invalid_and_stays_usable_in_its_own(wx: Client) -> None:
    code = await wx.login()
    assert (await wx.exchange(code, OTHER_APP))["errcode"] == 40029
    assert "openid" in await wx.exchange(code)


async def test_an_unknown_code_is_invalid(wx: Client) -> None:
    assert (await wx.exchange("0123456789abcdef"))["errcode"] == 40029


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [
        ({"appid": ""}, 41002),
        ({"secret": ""}, 41004),
        ({"js_code": ""}, 41008),
        ({"appid": "wx9999999999999999"}, 40013),
        ({"appid": OFFICIAL["appid"], "secret": OFFICIAL["secret"]}, 40013),
        ({"secret": "wrong"}, 40125),
        ({"grant_type": "client_credential"}, 40002),
    ],
)
async def test_a_wrong_exchange_is_refused_and_leaves_the_code_alone(
    wx: Client, changes: dict[str, str], errcode: int
) -> None:
    code = await wx.login()
    assert (await wx.exchange(code, **changes))["errcode"] == errcode
    assert "openid" in await wx.exchange(code)


async def test_parameters_in_a_post_body_count_as_missing(wx: Client) -> None:
    assert (await wx.post("/sns/jscode2session", {"appid": APPID}))["errcode"] == 41002


async def test_a_post_with_the_right_query_needs_get(wx: Client) -> None:
    code = await wx.login()
    query = f"appid={APPID}&secret={SECRET}&js_code={code}&grant_type=authorization_code"
    assert (await wx.post(f"/sns/jscode2session?{query}", {}))["errcode"] == 43001


async def test_a_blocked_user_is_refused_until_unblocked(wx: Client) -> None:
    await wx.post("/sim/users", {"name": "bob", "blocked": True})
    code = await wx.login("bob")
    assert (await wx.exchange(code))["errcode"] == 40226
    await wx.post("/sim/users", {"name": "bob", "blocked": False})
    assert "openid" in await wx.exchange(code)


async def test_unionid_may_be_absent_and_appear_later(wx: Client) -> None:
    await wx.post("/sim/users", {"name": "dora", "unionid": False})
    assert "unionid" not in await wx.exchange(await wx.login("dora"))
    known = await wx.post("/sim/users", {"name": "dora", "unionid": True})
    assert (await wx.exchange(await wx.login("dora")))["unionid"] == known["unionid"]


async def test_openids_differ_by_app_and_unionids_do_not(wx: Client) -> None:
    here = await wx.exchange(await wx.login())
    there = await wx.exchange(await wx.login(appid=OTHER_APP["appid"]), OTHER_APP)
    assert here["openid"] != there["openid"]
    assert here["unionid"] == there["unionid"]


async def test_sns_replies_are_labelled_as_plain_text(wx: Client) -> None:
    response = await wx.fetch("/sns/jscode2session")
    assert response.code == 200
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_an_unknown_path_is_an_invalid_url_with_status_200(wx: Client) -> None:
    response = await wx.fetch("/sns/nothing")
    assert response.code == 200
    assert b'"errcode":40066' in response.body


async def test_any_code_is_alices_once(clock: HandClock) -> None:
    sim = Simulator(clock=clock, any_code=True)
    await sim.start()
    wx = Client(sim)
    alice = await wx.exchange(await wx.login())
    assert (await wx.exchange("code-of-the-devtools"))["openid"] == alice["openid"]
    assert (await wx.exchange("code-of-the-devtools"))["errcode"] == 40163
    clock.now += 301
    assert (await wx.exchange("code-of-the-devtools"))["errcode"] == 40029
    assert (await wx.exchange("not%20a%20code"))["errcode"] == 40029
    assert "openid" in await wx.exchange("another", APP)
    assert (await wx.exchange(sim.wechat.phone_code(APP["appid"], "bob")))["errcode"] == 40029
    wx.http.close()
    await sim.stop()
