import hashlib
import json

import pytest
from simulator_client import APPID, OTHER_APP, Client, HandClock

from simulator import crypto


async def open_data(wx: Client, **fields: str) -> dict[str, str]:
    return await wx.post("/sim/open-data", {"appid": APPID, "user": "alice", "kind": "userInfo", **fields})


def opened(data: dict[str, str], key: str) -> dict[str, object]:
    return json.loads(crypto.decrypt(key, data["iv"], data["encryptedData"]))


async def test_every_login_rotates_the_key(wx: Client) -> None:
    assert await wx.session_key() != await wx.session_key()


async def test_a_login_within_the_refresh_period_keeps_the_key(wx: Client, clock: HandClock) -> None:
    wx.sim.wechat.keys.min_refresh_s = 60
    first = await wx.session_key()
    clock.now += 59
    assert await wx.session_key() == first
    clock.now += 1
    assert await wx.session_key() != first


async def test_an_exchange_gives_the_newest_key_whichever_code_it_is_for(wx: Client) -> None:
    older_code, newer_code = await wx.login(), await wx.login()
    older, newer = await wx.exchange(older_code), await wx.exchange(newer_code)
    assert older["session_key"] == newer["session_key"]


async def test_open_data_decrypts_under_the_version_asked_for(wx: Client) -> None:
    older, previous, current = [await wx.session_key() for _ in range(3)]
    for version, key in (("current", current), ("previous", previous), ("older", older)):
        data = await open_data(wx, keyVersion=version)
        assert opened(data, key)["nickName"] == "爱丽丝"


async def test_a_version_that_never_was_is_sealed_under_a_random_key(wx: Client) -> None:
    key = await wx.session_key()
    data = await open_data(wx, keyVersion="previous")
    assert data["signature"] != crypto.sign_raw_data(data["rawData"], key)


async def test_user_info_carries_ids_and_watermark_and_a_signature_over_raw_data(wx: Client, clock: HandClock) -> None:
    session = await wx.exchange(await wx.login())
    data = await open_data(wx)
    secret = opened(data, session["session_key"])
    assert secret["openId"] == session["openid"]
    assert secret["unionId"] == session["unionid"]
    assert secret["watermark"] == {"timestamp": int(clock.now), "appid": APPID}
    signed = (data["rawData"] + session["session_key"]).encode()
    assert data["signature"] == hashlib.sha1(signed).hexdigest()
    assert json.loads(data["rawData"]).items() <= secret.items()


async def test_the_watermark_may_name_another_app(wx: Client) -> None:
    key = await wx.session_key()
    data = await open_data(wx, watermarkAppid=OTHER_APP["appid"])
    assert opened(data, key)["watermark"]["appid"] == OTHER_APP["appid"]


async def test_phone_and_group_data_have_their_own_fields(wx: Client) -> None:
    key = await wx.session_key()
    phone = opened(await open_data(wx, kind="phone"), key)
    group = opened(await open_data(wx, kind="group"), key)
    assert phone.keys() == {"phoneNumber", "purePhoneNumber", "countryCode", "watermark"}
    assert group.keys() == {"openGId", "watermark"}


async def signed_call(wx: Client, api: str, key: str, **changes: str) -> dict[str, object]:
    openid = wx.sim.wechat.users.openids(wx.sim.wechat.users.get("alice"))[APPID]
    query = {
        "access_token": await wx.token(),
        "openid": openid,
        "signature": crypto.sign_session(key),
        "sig_method": "hmac_sha256",
    }
    return await wx.get(f"/wxa/{api}", **{**query, **changes})


async def test_checksession_accepts_only_the_current_key(wx: Client) -> None:
    previous, current = await wx.session_key(), await wx.session_key()
    assert (await signed_call(wx, "checksession", current)) == {"errcode": 0, "errmsg": "ok"}
    assert (await signed_call(wx, "checksession", previous))["errcode"] == 87009


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [
        ({"access_token": ""}, 41001),
        ({"access_token": "nonsense"}, 40014),
        ({"openid": ""}, 41009),
        ({"openid": "oNobody"}, 40003),
        ({"sig_method": "md5"}, 87008),
        ({"signature": ""}, 87009),
    ],
)
async def test_checksession_refuses(wx: Client, changes: dict[str, str], errcode: int) -> None:
    reply = await signed_call(wx, "checksession", await wx.session_key(), **changes)
    assert reply["errcode"] == errcode


async def test_a_key_expires_three_days_after_the_last_login(wx: Client, clock: HandClock) -> None:
    key = await wx.session_key()
    clock.now += 3 * 86_400
    assert (await signed_call(wx, "checksession", key))["errcode"] == 87007


async def test_a_reset_replaces_the_key_at_once_and_inherits_its_end(wx: Client, clock: HandClock) -> None:
    key = await wx.session_key()
    clock.now += 86_400
    reset = await signed_call(wx, "resetusersessionkey", key)
    assert reset["errcode"] == 0
    assert (await signed_call(wx, "checksession", key))["errcode"] == 87009
    fresh = reset["session_key"]
    assert (await signed_call(wx, "checksession", fresh))["errcode"] == 0
    clock.now += 2 * 86_400
    assert (await signed_call(wx, "checksession", fresh))["errcode"] == 87007
