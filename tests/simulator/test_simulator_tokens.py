import pytest
from simulator_client import APP, APPID, OFFICIAL, OTHER_APP, SECRET, Client, HandClock

from simulator.tokens import TOKEN_LIFE_S

REFUSED_CODE = 40029  # the token held, only the phone code did not


async def verdict(wx: Client, token: str) -> int:
    return (await wx.phone(token, code="0" * 64))["errcode"]


async def test_every_plain_call_gives_a_new_token_and_the_old_one_lives_five_minutes(
    wx: Client, clock: HandClock
) -> None:
    old, new = await wx.token(), await wx.token()
    assert old != new
    clock.now += 299
    assert await verdict(wx, old) == REFUSED_CODE
    clock.now += 1
    assert await verdict(wx, old) == 40001
    assert await verdict(wx, new) == REFUSED_CODE


async def test_a_third_token_does_not_lengthen_the_life_of_the_first(wx: Client, clock: HandClock) -> None:
    first, _second = await wx.token(), await wx.token()
    clock.now += 200
    await wx.token()
    clock.now += 100
    assert await verdict(wx, first) == 40001


async def test_a_token_expires_after_two_hours(wx: Client, clock: HandClock) -> None:
    token = await wx.token()
    clock.now += TOKEN_LIFE_S
    assert await verdict(wx, token) == 42001


async def test_the_stable_token_stays_and_tells_what_is_left(wx: Client, clock: HandClock) -> None:
    first = await wx.stable()
    clock.now += 1000
    second = await wx.stable()
    assert first["access_token"] == second["access_token"]
    assert (first["expires_in"], second["expires_in"]) == (7200, 6200)


async def test_in_its_last_five_minutes_a_stable_token_is_replaced_and_both_hold(wx: Client, clock: HandClock) -> None:
    old = (await wx.stable())["access_token"]
    clock.now += 6900
    new = await wx.stable()
    assert new["access_token"] != old
    assert new["expires_in"] == 7200
    assert await verdict(wx, old) == await verdict(wx, new["access_token"]) == REFUSED_CODE
    clock.now += 300
    assert await verdict(wx, old) == 42001


async def test_forcing_ends_the_previous_stable_token(wx: Client) -> None:
    old = (await wx.stable())["access_token"]
    new = (await wx.stable(force_refresh=True))["access_token"]
    assert await verdict(wx, old) == 40001
    assert await verdict(wx, new) == REFUSED_CODE


async def test_forcing_again_within_thirty_seconds_gives_the_same(wx: Client, clock: HandClock) -> None:
    first = await wx.stable(force_refresh=True)
    clock.now += 29
    second = await wx.stable(force_refresh=True)
    assert second["access_token"] == first["access_token"]
    assert second["expires_in"] == 7171
    clock.now += 1
    assert (await wx.stable(force_refresh=True))["access_token"] != first["access_token"]


async def test_forcing_works_twenty_times_a_day(wx: Client, clock: HandClock) -> None:
    for _ in range(20):
        assert "access_token" in await wx.stable(force_refresh=True)
        clock.now += 30
    assert (await wx.stable(force_refresh=True))["errcode"] == 45009
    assert "access_token" in await wx.stable()
    clock.now += 86_400
    assert "access_token" in await wx.stable(force_refresh=True)


async def test_the_two_families_leave_each_other_alone(wx: Client, clock: HandClock) -> None:
    plain, stable = await wx.token(), (await wx.stable())["access_token"]
    await wx.stable(force_refresh=True)
    clock.now += 300
    assert await verdict(wx, plain) == REFUSED_CODE
    await wx.token()
    assert await verdict(wx, (await wx.stable())["access_token"]) == REFUSED_CODE
    assert await verdict(wx, stable) == 40001


@pytest.mark.parametrize(
    ("fields", "errcode"),
    [
        ({"appid": ""}, 41002),
        ({"secret": ""}, 41004),
        ({"appid": "wx9999999999999999"}, 40013),
        ({"secret": "wrong"}, 40125),
        ({"grant_type": "authorization_code"}, 40002),
        ({"force_refresh": "true"}, 47001),
    ],
)
async def test_stable_token_refuses(wx: Client, fields: dict[str, str], errcode: int) -> None:
    assert (await wx.stable(**fields))["errcode"] == errcode


@pytest.mark.parametrize(("body", "errcode"), [("", 44002), ("{", 47001), ("[]", 47001), ("[" * 99_999, 47001)])
async def test_a_body_that_is_no_object_is_refused(wx: Client, body: str, errcode: int) -> None:
    assert (await wx.post("/cgi-bin/stable_token", body))["errcode"] == errcode


async def test_a_get_of_stable_token_needs_post(wx: Client) -> None:
    assert (await wx.get("/cgi-bin/stable_token"))["errcode"] == 43002


@pytest.mark.parametrize(
    ("changes", "errcode"), [({"appid": ""}, 41002), ({"secret": "x"}, 40125), ({"grant_type": "x"}, 40002)]
)
async def test_the_plain_token_refuses(wx: Client, changes: dict[str, str], errcode: int) -> None:
    query = {"grant_type": "client_credential", "appid": APPID, "secret": SECRET, **changes}
    assert (await wx.get("/cgi-bin/token", **query))["errcode"] == errcode


async def post_without_length(wx: Client) -> tuple[int, bytes]:
    async def produce(write):  # type: ignore[no-untyped-def]
        await write(b"{}")

    response = await wx.fetch("/cgi-bin/stable_token", "POST", body_producer=produce)
    return response.code, response.body


async def test_a_post_without_content_length_is_412_and_not_json(wx: Client) -> None:
    status, body = await post_without_length(wx)
    assert status == 412
    assert body.startswith(b"<!DOCTYPE html>")


async def test_a_phone_code_gives_the_number_once(wx: Client, clock: HandClock) -> None:
    token, code = await wx.token(), await wx.phone_code()
    assert len(code) == 64
    info = (await wx.phone(token, code=code))["phone_info"]
    assert info == {
        "phoneNumber": "13800138001",
        "purePhoneNumber": "13800138001",
        "countryCode": "86",
        "watermark": {"timestamp": int(clock.now), "appid": APPID},
    }
    assert (await wx.phone(token, code=code))["errcode"] == 40029


async def test_a_foreign_number_carries_its_country(wx: Client) -> None:
    await wx.post("/sim/users", {"name": "eve", "phone": "+852 91234567"})
    info = (await wx.phone(await wx.token(), code=await wx.phone_code("eve")))["phone_info"]
    assert (info["phoneNumber"], info["purePhoneNumber"]) == ("+85291234567", "91234567")
    assert info["countryCode"] == "852"


async def test_a_phone_code_is_invalid_late_elsewhere_or_when_it_is_a_login_code(wx: Client, clock: HandClock) -> None:
    token = await wx.token()
    assert (await wx.phone(token, code=await wx.login()))["errcode"] == 40029
    assert (await wx.phone(await wx.token(OTHER_APP), code=await wx.phone_code()))["errcode"] == 40029
    code = await wx.phone_code()
    clock.now += 301
    assert (await wx.phone(await wx.token(), code=code))["errcode"] == 40029


async def test_a_given_openid_must_be_the_owners(wx: Client) -> None:
    token, code = await wx.token(), await wx.phone_code()
    openids = {name: wx.sim.wechat.users.openids(wx.sim.wechat.users.get(name))[APPID] for name in ("alice", "bob")}
    assert (await wx.phone(token, code=code, openid=openids["bob"]))["errcode"] == 40003
    assert (await wx.phone(token, code=code, openid=openids["alice"]))["errcode"] == 0


async def test_the_phone_number_needs_a_token_a_body_and_a_code(wx: Client) -> None:
    path = "/wxa/business/getuserphonenumber"
    token = await wx.token()
    assert (await wx.post(path, {"code": "x"}))["errcode"] == 41001
    assert (await wx.post(f"{path}?access_token=x", {"code": "x"}))["errcode"] == 40014
    assert (await wx.post(f"{path}?access_token={token}", ""))["errcode"] == 44002
    assert (await wx.phone(token))["errcode"] == 41008
    assert (await wx.phone(token, code=1))["errcode"] == 47001
    assert (await wx.phone(token, code="x", openid=["x"]))["errcode"] == 47001
    assert (await wx.get(path, access_token=token))["errcode"] == 43002


async def test_an_official_account_may_have_a_token_and_a_website_may_not(wx: Client) -> None:
    assert await wx.token(OFFICIAL)
    website = {**APP, "appid": "wx00000000000000b1"}
    query = {"appid": website["appid"], "secret": website["secret"], "grant_type": "client_credential"}
    assert (await wx.get("/cgi-bin/token", **query))["errcode"] == 40013
