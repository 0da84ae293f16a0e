import base64
import json
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from Crypto.Cipher import AES
from hypothesis import given, settings
from hypothesis import strategies as st

from app.crypto.open_data import decrypt_open_data, sign_raw_data
from core.errors import AppError, Code

KEY = "MDEyMzQ1Njc4OWFiY2RlZg=="
IV = "ZmVkY2JhOTg3NjU0MzIxMA=="
APPID = "wx0000000000000001"
NOW_S = 1_700_000_000
NOW_MS = NOW_S * 1000
WATERMARK = {"timestamp": NOW_S, "appid": APPID}
OTHER_KEY = base64.b64encode(b"another key 1234").decode()

DEMO = {
    "appid": "wx4f4bc4dec97d474b",
    "key": "tiihtNczf5v6AKRyjwEUhQ==",
    "iv": "r7BXXKkLb8qrSNn05n0qiA==",
    "data": (
        "CiyLU1Aw2KjvrjMdj8YKliAjtP4gsMZMQmRzooG2xrDcvSnxIMXFufNstNGTyaGS9uT5geRa0W4oTOb1WT7fJlAC+oNPdbB+"
        "3hVbJSRgv+4lGOETKUQz6OYStslQ142dNCuabNPGBzlooOmB231qMM85d2/fV6ChevvXvQP8Hkue1poOFtnEtpyxVLW1zAo6"
        "/1Xx1COxFvrc2d7UL/lmHInNlxuacJXwu0fjpXfz/YqYzBIBzD6WUfTIF9GRHpOn/Hz7saL8xz+W//FRAUid1OksQaQx4CMs"
        "8LOddcQhULW4ucetDf96JcR3g0gfRK4PC7E/r7Z6xNrXd2UIeorGj5Ef7b1pJAYB6Y5anaHqZ9J6nKEBvB4DnNLIVWSgARns"
        "/8wR2SiRS7MNACwTyrGvt9ts8p12PKFdlqYTopNHR1Vf7XjfhQlVsAJdNiKdYmYVoKlaRv85IfVunYzO0IKXsyl7JCUjCpoG"
        "20f0a04COwfneQAGGwd5oa+T8yO5hzuyDb/XcxxmK01EpqOyuxINew=="
    ),
}
PHONE = (
    "/zKksLWsmvxbw65eoGVnlP6KRVPgJ98WOmmeX7YpXavEccZj+ZlZB2R0xX9gKJnragfnaCbq16rg2YBPaBb1wI+JrkHxFzdZjg5U"
    "9tB7bBeu0pwN3HYldKYKCyUKaB10EtgfJ/uIBehc9qX68gr6XKTjiIh3Wg0q/9dA7P7zWTPVtrt2qpRaHXo/IY3DwqtA9chVzRPK"
    "fSrA7kWaD/g4lw=="
)
GROUP = (
    "Gh9BWp6WtBEGk5sLXeQif8Mpfo+m7aag9ZujoLZke/nralid/H4X2z54WarEouGgUDVWcjIXR7VL3wenXYwjcPhXOYYYmcHmhCx3"
    "grPYMaF4B+88re5EjHImUTl0rfJHE2jq1Frxr1oyeKBG/b/D0g=="
)
RAW_DATA = (
    '{"nickName":"Band","gender":1,"language":"zh_CN","city":"Guangzhou","province":"Guangdong",'
    '"country":"CN","avatarUrl":"http://wx.qlogo.cn/mmopen/vi_32/1vZvI39NWFQ9XM4LtQpFrQJ1xlgZxx3w7bQxKARol'
    '6503Iuswjjn6nIGBiaycAjAtpujxyzYsrztuuICqIM5ibXQ/0"}'
)


def encrypt(plaintext: bytes, *, key: str = KEY, padding: bytes | None = None) -> str:
    size = 16 - len(plaintext) % 16
    padded = plaintext + (bytes([size]) * size if padding is None else padding)
    cipher = AES.new(base64.b64decode(key), AES.MODE_CBC, base64.b64decode(IV))
    return base64.b64encode(cipher.encrypt(padded)).decode()


def seal(payload: Any, **options: Any) -> str:
    return encrypt(json.dumps(payload, ensure_ascii=False).encode(), **options)


def reason(encrypted_data: str, iv: str = IV, keys: tuple[str, ...] = (KEY,), **options: Any) -> str:
    with pytest.raises(AppError) as raised:
        decrypt_open_data(keys, APPID, encrypted_data, iv, now_ms=NOW_MS, **options)
    assert raised.value.code is Code.DECRYPT_FAILED
    return str((raised.value.data or {})["reason"])


# --- vectors ---


def test_demo_of_wechat_decrypts() -> None:
    found = decrypt_open_data([DEMO["key"]], DEMO["appid"], DEMO["data"], DEMO["iv"], now_ms=1_477_314_187_000)
    assert found["openId"] == "oGZUI0egBJY1zhBYw2KhdUfwVJJE"
    assert found["watermark"] == {"timestamp": 1477314187, "appid": DEMO["appid"]}


def test_signature_of_wechats_page_matches() -> None:
    assert sign_raw_data(RAW_DATA, "HyVFkGl5F5OQWJZZaNzBBg==") == "75e81ceda165f4ffa64f4068af58c64b8f54b88c"


def test_phone_and_group_vectors_decrypt() -> None:
    phone = decrypt_open_data([KEY], APPID, PHONE, IV, now_ms=NOW_MS)
    assert (phone["phoneNumber"], phone["countryCode"]) == ("13000000000", "86")
    group = decrypt_open_data([KEY], APPID, GROUP, IV, now_ms=NOW_MS)
    assert group == {"openGId": "tGroupExample0000000000000001", "watermark": WATERMARK}


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(max_size=20), st.integers() | st.text(max_size=40), max_size=8))
def test_any_payload_decrypts_as_wechatpy_decrypts_it(fields: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from wechatpy.crypto import WeChatWxaCrypto
    data = seal({**fields, "watermark": WATERMARK})
    expected = WeChatWxaCrypto(KEY, IV, APPID).decrypt_message(data)
    assert decrypt_open_data([KEY], APPID, data, IV, now_ms=NOW_MS) == expected


# --- keys ---


def test_older_kept_key_is_tried_after_the_newest() -> None:
    data = seal({"watermark": WATERMARK, "n": 1})
    assert decrypt_open_data([OTHER_KEY, KEY], APPID, data, IV, now_ms=NOW_MS)["n"] == 1


def test_no_key_at_all_is_a_stale_key() -> None:
    assert reason(PHONE, keys=()) == "stale_session_key"


def test_signature_is_checked_with_the_key_that_decrypts() -> None:
    good = sign_raw_data(RAW_DATA, KEY)
    keys = [OTHER_KEY, KEY]
    found = decrypt_open_data(keys, APPID, PHONE, IV, now_ms=NOW_MS, raw_data=RAW_DATA, signature=good)
    assert found["purePhoneNumber"] == "13000000000"
    newest = sign_raw_data(RAW_DATA, OTHER_KEY)
    assert reason(PHONE, keys=tuple(keys), raw_data=RAW_DATA, signature=newest) == "bad_signature"


@pytest.mark.parametrize("signature", ["", "0" * 40, "é", "\ud800", sign_raw_data(RAW_DATA, KEY).upper()])
def test_wrong_signature_is_refused(signature: str) -> None:
    assert reason(PHONE, raw_data=RAW_DATA, signature=signature) == "bad_signature"


@pytest.mark.parametrize("half", [{"raw_data": RAW_DATA}, {"signature": "0" * 40}])
def test_raw_data_and_signature_come_together(half: dict[str, str]) -> None:
    assert reason(PHONE, **half) == "malformed"


# --- malformed ---

PLUSES = next(data for data in (PHONE, GROUP) if "+" in data)


@pytest.mark.parametrize(
    "encrypted_data",
    [
        "",
        PLUSES.replace("+", " "),
        PHONE[:-1],
        PHONE + "=",
        PHONE + "\n",
        PHONE.replace("/", "_"),
        "é" * 24,
        PHONE[:-4],
        base64.b64encode(b"x" * 17).decode(),
        base64.b64encode(b"x" * (64 * 1024 + 16)).decode(),
    ],
)
def test_data_that_is_not_whole_blocks_in_strict_base64_is_malformed(encrypted_data: str) -> None:
    assert reason(encrypted_data) == "malformed"


@pytest.mark.parametrize("iv", ["", "AAAA", IV[:-2], IV + " ", base64.b64encode(b"x" * 32).decode()])
def test_iv_that_is_not_16_bytes_is_malformed(iv: str) -> None:
    assert reason(PHONE, iv) == "malformed"


# --- everything that goes wrong after AES ---

GOOD = json.dumps({"watermark": WATERMARK}).encode()
AFTER_AES: dict[str, Callable[[], str]] = {
    "another key": lambda: seal({"watermark": WATERMARK}, key=OTHER_KEY),
    "padding of 0": lambda: encrypt(b"x" * 15, padding=b"\0"),
    "padding of 17": lambda: encrypt(b"x" * 15, padding=b"\x11"),
    "uneven padding": lambda: encrypt(b"x" * 13, padding=b"\x02\x03\x03"),
    "nothing but padding": lambda: encrypt(b""),
    "not UTF-8": lambda: encrypt(b"\xff\xfe"),
    "not JSON": lambda: encrypt(GOOD[:-1]),
    "deep JSON": lambda: encrypt(b"[" * 60_000),
    "an array": lambda: encrypt(b"[]"),
    "no watermark": lambda: seal({"opengid": "g"}),
    "watermark of another type": lambda: seal({"watermark": "w"}),
    "timestamp of another type": lambda: seal({"watermark": {**WATERMARK, "timestamp": str(NOW_S)}}),
    "timestamp true": lambda: seal({"watermark": {**WATERMARK, "timestamp": True}}),
    "too old": lambda: seal({"watermark": {**WATERMARK, "timestamp": NOW_S - 301}}),
    "from the future": lambda: seal({"watermark": {**WATERMARK, "timestamp": NOW_S + 301}}),
    "too old, another app": lambda: seal({"watermark": {"appid": "wx2", "timestamp": NOW_S - 301}}),
}


@pytest.mark.parametrize("what", AFTER_AES)
def test_failures_after_aes_look_alike(what: str) -> None:
    with pytest.raises(AppError) as raised:
        decrypt_open_data([KEY], APPID, AFTER_AES[what](), IV, now_ms=NOW_MS)
    error = raised.value
    assert error.data == {"reason": "stale_session_key"}
    assert (str(error), error.cause, error.__context__, error.__cause__) == ("decrypt_failed", "", None, None)


def test_failures_after_aes_take_similar_time() -> None:
    length = 384  # one length for all: what differs is what goes wrong
    wrong = [
        encrypt(b"x" * (length - 1), padding=b"\0"),
        encrypt(b"\xff" * (length - 1)),
        encrypt(b"x" * (length - 1)),
        encrypt(json.dumps({"watermark": {}}).encode().ljust(length - 1)),
    ]
    medians = []
    for data in wrong:
        times = []
        for _ in range(200):
            started = time.perf_counter()
            reason(data)
            times.append(time.perf_counter() - started)
        medians.append(statistics.median(times))
    assert max(medians) - min(medians) < 0.001


@pytest.mark.parametrize("age_s", [-300, 0, 300])
def test_five_minutes_of_age_are_allowed(age_s: int) -> None:
    data = seal({"watermark": {**WATERMARK, "timestamp": NOW_S - age_s}})
    assert decrypt_open_data([KEY], APPID, data, IV, now_ms=NOW_MS)


@pytest.mark.parametrize("appid", ["wx0000000000000002", None, 7, APPID.upper(), ""])
def test_watermark_of_another_app_is_refused(appid: object) -> None:
    assert reason(seal({"watermark": {"timestamp": NOW_S, "appid": appid}})) == "wrong_app"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80), st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_whatever_a_client_sends_is_4003(data: str, iv: str, raw_data: str, signature: str) -> None:
    for vector in (iv, IV):
        assert reason(data, vector, raw_data=raw_data, signature=signature) in {"malformed", "stale_session_key"}
