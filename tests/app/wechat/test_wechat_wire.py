import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wechat_stub import LOGIN, SECRET, SESSION_KEY, ExampleApp

from app.wechat import errcodes, wire
from core.errors import AppError, Code

APP = ExampleApp()
PHONE = {"phoneNumber": "13000000000", "purePhoneNumber": "13000000000", "countryCode": "86"}


def refuses(parse, payload) -> None:
    with pytest.raises(AppError) as raised:
        parse(payload)
    assert raised.value.code is Code.WX_BAD_REPLY


def test_signature_of_a_session_matches_the_public_vector() -> None:
    key = "o0q0otL8aEzpcZL/FT9WsQ=="
    assert wire.sign_session(key, '{"foo":"bar"}') == "654571f79995b2ce1e149e53c0a33dc39c0a74090db514261454e8dbe432aa0b"
    assert wire.sign_session(key) == "46e043c5525c2d817c44be603d30837a808a1d930d038f6fdc3e62a201fed128"


def test_code2session_request_names_its_parameters_as_the_page_does() -> None:
    request = wire.code2session_request(APP, "c-1_2")
    assert request.endpoint.path == "/sns/jscode2session"
    assert request.query == f"appid={APP.appid}&secret={SECRET}&js_code=c-1_2&grant_type=authorization_code"


def test_parameters_are_percent_encoded() -> None:
    request = wire.check_session_request("a+b/c=&d", "o1", SESSION_KEY)
    assert request.query.startswith("access_token=a%2Bb%2Fc%3D%26d&openid=o1&signature=")


def test_bodies_are_raw_utf8_without_escapes() -> None:
    body = wire.phone_number_request("t", "码", None).body
    assert body == '{"code": "码"}'.encode()


def test_force_refresh_is_sent_only_when_asked_for() -> None:
    assert "force_refresh" not in json.loads(wire.stable_token_request(APP, False).body or b"")
    assert json.loads(wire.stable_token_request(APP, True).body or b"")["force_refresh"] is True


def test_secrets_stay_out_of_every_repr() -> None:
    shown = repr(
        [
            wire.code2session_request(APP, "canary-code"),
            wire.stable_token_request(APP, True),
            wire.parse_code2session(dict(LOGIN)),
            wire.parse_access_token({"access_token": "canary-token", "expires_in": 7200}),
            wire.parse_phone_info({"phone_info": PHONE}),
        ]
    )
    assert not [secret for secret in (SECRET, "canary", SESSION_KEY, "13000000000") if secret in shown]


def test_byte_order_mark_is_tolerated() -> None:
    assert wire.parse_object(b"\xef\xbb\xbf{}") == {}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"<html></html>", b'{"a":', b"\xff", b"[" * 60_000, b'{"a":%s}' % (b"9" * 5000)]
)
def test_what_is_not_a_json_object_is_refused_without_a_trace_of_it(body: bytes) -> None:
    with pytest.raises(AppError) as raised:
        wire.parse_object(body)
    assert raised.value.code is Code.WX_BAD_REPLY
    assert raised.value.__context__ is None


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_are_a_bad_reply(body: bytes) -> None:
    try:
        parsed = wire.parse_object(body)
    except AppError as error:
        parsed = {"refused": error.code}
    assert isinstance(parsed, dict)
    assert parsed.get("refused") in (None, Code.WX_BAD_REPLY)


@pytest.mark.parametrize("openid", [None, "", 7, True, "o" * 65, "o 1", "o\n", "ö1", ["o1"]])
def test_login_without_a_sane_openid_is_refused(openid: object) -> None:
    refuses(wire.parse_code2session, {**LOGIN, "openid": openid})
    refuses(wire.parse_code2session, {"session_key": SESSION_KEY})


@pytest.mark.parametrize("key", [None, "", 7, "c2hvcnQ=", SESSION_KEY[:-2], SESSION_KEY + "\n", "!" * 22 + "=="])
def test_login_without_a_key_of_16_bytes_is_refused(key: object) -> None:
    refuses(wire.parse_code2session, {**LOGIN, "session_key": key})


@pytest.mark.parametrize("absent", [{}, {"unionid": ""}, {"unionid": None}])
def test_empty_unionid_is_no_unionid(absent: dict[str, object]) -> None:
    assert wire.parse_code2session({**LOGIN, **absent}).unionid is None


@pytest.mark.parametrize("unionid", [0, 1, False, [], {}, "u 1"])
def test_unionid_of_another_type_is_refused(unionid: object) -> None:
    refuses(wire.parse_code2session, {**LOGIN, "unionid": unionid})


def test_unknown_fields_are_ignored() -> None:
    parsed = wire.parse_code2session({**LOGIN, "unionid": "u1", "errcode": 0, "later": {}})
    assert (parsed.openid, parsed.session_key, parsed.unionid) == (LOGIN["openid"], SESSION_KEY, "u1")


@pytest.mark.parametrize("country", ["86", 86])
def test_country_code_may_be_text_or_number(country: object) -> None:
    parsed = wire.parse_phone_info({"phone_info": {**PHONE, "countryCode": country}})
    assert parsed == wire.PhoneInfo("13000000000", "13000000000", "86")


@pytest.mark.parametrize(
    "info",
    [None, [], {}, {**PHONE, "phoneNumber": 13}, {**PHONE, "purePhoneNumber": ""}, {**PHONE, "countryCode": True}],
)
def test_half_a_phone_is_refused(info: object) -> None:
    refuses(wire.parse_phone_info, {"phone_info": info})


@pytest.mark.parametrize(
    "payload",
    [
        {"access_token": "", "expires_in": 7200},
        {"access_token": "t"},
        {"access_token": "t", "expires_in": "7200"},
        {"access_token": "t", "expires_in": True},
        {"access_token": "t", "expires_in": 0},
        {"access_token": 5, "expires_in": 7200},
    ],
)
def test_half_a_token_is_refused(payload: dict[str, object]) -> None:
    refuses(wire.parse_access_token, payload)


@pytest.mark.parametrize(
    ("errcode", "code"),
    [
        (-1, Code.WX_UNAVAILABLE),
        (40029, Code.INVALID_WX_CODE),
        (42003, Code.INVALID_WX_CODE),
        (40163, Code.WX_CODE_USED),
        (40226, Code.WX_USER_BLOCKED),
        (45009, Code.WX_RATE_LIMITED),
        (45011, Code.WX_RATE_LIMITED),
        *((number, Code.WX_BAD_REPLY) for number in (40001, 40013, 40125, 40164, 40243, 41002, 41004, 41008, 12)),
    ],
)
def test_errcode_becomes_its_public_code(errcode: int, code: Code) -> None:
    refusal = errcodes.find_refusal({"errcode": errcode, "errmsg": "?"})
    assert refusal is not None
    assert refusal.code is code
    assert f"errcode {errcode}:" in refusal.cause


@pytest.mark.parametrize(
    ("errmsg", "rid"),
    [
        ("invalid code, rid: 6129ee10-272863a4-64d75414", "6129ee10-272863a4-64d75414"),
        ("invalid code, hints: [ req_id: abcDEF ]", "abcDEF"),
        ("invalid code hint: [abcDEF] rid: 6129ee10-272863a4-64d75414", "6129ee10-272863a4-64d75414"),
        ("invalid code", None),
    ],
)
def test_rid_is_found_in_all_three_forms(errmsg: str, rid: str | None) -> None:
    refusal = errcodes.find_refusal({"errcode": 40029, "errmsg": errmsg})
    assert refusal is not None
    assert refusal.rid == rid


def test_cause_of_40164_names_the_address_to_whitelist() -> None:
    errmsg = "invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist rid: 6129ee10-272863a4-64d75414"
    refusal = errcodes.find_refusal({"errcode": 40164, "errmsg": errmsg})
    assert refusal is not None
    assert "203.0.113.9" in refusal.cause
    assert "whitelist" in refusal.cause


def test_success_is_errcode_missing_or_zero() -> None:
    assert errcodes.find_refusal({}) is None
    assert errcodes.find_refusal({"errcode": 0, "errmsg": "ok"}) is None


@pytest.mark.parametrize("errcode", ["0", "40029", None, True, 0.0, []])
def test_errcode_of_another_type_is_a_bad_reply(errcode: object) -> None:
    refuses(errcodes.find_refusal, {"errcode": errcode})
