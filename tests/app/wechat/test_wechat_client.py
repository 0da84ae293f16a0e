import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from wechat_stub import (
    CODE,
    LOGIN,
    SECRET,
    SESSION_KEY,
    ExampleApp,
    HandClock,
    Stub,
    answer,
    gzip_bomb,
    hang,
    huge,
    reset,
)

from app.wechat.client import TokenRefused, WeChatClient
from app.wechat.wire import AccessToken, Code2Session, PhoneInfo
from core.clock import Clock, Deadline
from core.errors import AppError, Code

APP = ExampleApp()
BUSY = answer({"errcode": -1, "errmsg": "system error"})
OK = answer({"errcode": 0, "errmsg": "ok"})
MakeClient = Callable[..., WeChatClient]


def soon(seconds: float = 3.0) -> Deadline:
    return Deadline.after(Clock(), seconds)


async def login(client: WeChatClient, deadline: Deadline | None = None) -> Code2Session:
    return await client.code2session(APP, CODE, deadline or soon())


async def login_fails(client: WeChatClient, code: Code, deadline: Deadline | None = None) -> AppError:
    with pytest.raises(AppError) as raised:
        await login(client, deadline)
    assert raised.value.code is code
    return raised.value


async def quickest_refusal(client: WeChatClient, deadline: Deadline) -> float:
    """Seconds; the best of five, so that a busy machine does not matter."""
    seconds = []
    for _ in range(5):
        started = time.monotonic()
        await login_fails(client, Code.WX_UNAVAILABLE, deadline)
        seconds.append(time.monotonic() - started)
    return min(seconds)


# --- what each method sends and gives back ---


async def test_code2session_gives_back_who_logged_in(stub: Stub, client: WeChatClient) -> None:
    assert await login(client) == Code2Session(LOGIN["openid"], SESSION_KEY)
    assert stub.seen[0].path == "/sns/jscode2session"
    assert stub.seen[0].query == {
        "appid": APP.appid,
        "secret": SECRET,
        "js_code": CODE,
        "grant_type": "authorization_code",
    }


async def test_nothing_compressed_is_asked_for(stub: Stub, client: WeChatClient) -> None:
    await login(client)
    assert "accept-encoding" not in stub.seen[0].headers


@pytest.mark.parametrize(("errcode", "current"), [(0, True), (87009, False), (87007, False)])
async def test_check_session_says_whether_the_key_is_current(
    stub: Stub, client: WeChatClient, errcode: int, current: bool
) -> None:
    stub.default = answer({"errcode": errcode, "errmsg": "?"})
    assert await client.check_session(APP, "token", "o1", SESSION_KEY, soon()) is current
    assert stub.seen[0].query["sig_method"] == "hmac_sha256"
    assert SESSION_KEY not in stub.seen[0].target


async def test_wrong_sig_method_is_our_bug(stub: Stub, client: WeChatClient) -> None:
    stub.default = answer({"errcode": 87008, "errmsg": "?"})
    with pytest.raises(AppError) as raised:
        await client.check_session(APP, "token", "o1", SESSION_KEY, soon())
    assert raised.value.code is Code.WX_BAD_REPLY


async def test_reset_gives_the_new_key(stub: Stub, client: WeChatClient) -> None:
    stub.default = answer({"errcode": 0, **LOGIN})
    assert await client.reset_user_session_key(APP, "token", "o1", "old", soon()) == SESSION_KEY


async def test_phone_request_is_json_with_a_content_length(stub: Stub, client: WeChatClient) -> None:
    info = {"phoneNumber": "13000000000", "purePhoneNumber": "13000000000", "countryCode": 86}
    stub.default = answer({"errcode": 0, "errmsg": "ok", "phone_info": info})
    found = await client.get_user_phone_number(APP, "t+1", "手机", soon(), openid="o1")
    assert found == PhoneInfo("13000000000", "13000000000", "86")
    seen = stub.seen[0]
    assert (seen.method, seen.query) == ("POST", {"access_token": "t+1"})
    assert seen.json() == {"code": "手机", "openid": "o1"}
    assert "手机".encode() in seen.body
    assert seen.headers["content-length"] == str(len(seen.body))
    assert "transfer-encoding" not in seen.headers
    assert "expect" not in seen.headers


async def test_both_token_families_are_fetched(stub: Stub, client: WeChatClient) -> None:
    stub.default = answer({"access_token": "canary-token", "expires_in": 7200})
    assert await client.token(APP, soon()) == AccessToken("canary-token", 7200)
    assert await client.stable_token(APP, soon()) == AccessToken("canary-token", 7200)
    assert [seen.method for seen in stub.seen] == ["GET", "POST"]
    assert SECRET not in stub.seen[1].target


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
async def test_refused_token_has_an_exception_of_its_own(stub: Stub, client: WeChatClient, errcode: int) -> None:
    stub.default = answer({"errcode": errcode, "errmsg": "?"})
    with pytest.raises(TokenRefused):
        await client.get_user_phone_number(APP, "token", "code", soon())
    with pytest.raises(AppError) as raised:
        await client.stable_token(APP, soon())
    assert not isinstance(raised.value, TokenRefused)


async def test_twenty_calls_share_one_connection(stub: Stub, client: WeChatClient) -> None:
    for _ in range(20):
        await login(client)
    assert len(stub.transports) == 1


# --- what is sent again, and what is not ---


async def test_busy_is_tried_again_once_for_a_code(stub: Stub, client: WeChatClient) -> None:
    stub.plan.append(BUSY)
    assert (await login(client)).openid == LOGIN["openid"]
    stub.default = BUSY
    await login_fails(client, Code.WX_UNAVAILABLE)
    assert len(stub.seen) == 4


async def test_used_code_after_busy_is_a_used_code(stub: Stub, client: WeChatClient) -> None:
    stub.plan.append(BUSY)
    stub.default = answer({"errcode": 40163, "errmsg": "code been used"})
    await login_fails(client, Code.WX_CODE_USED)


async def test_busy_is_tried_again_twice_where_no_code_is_spent(stub: Stub, client: WeChatClient) -> None:
    stub.plan.extend([BUSY, BUSY])
    stub.default = answer({"access_token": "t", "expires_in": 7200})
    assert (await client.stable_token(APP, soon())).token == "t"


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (reset, Code.WX_UNAVAILABLE),
        (hang, Code.WX_TIMEOUT),
        (huge, Code.WX_BAD_REPLY),
        (gzip_bomb, Code.WX_BAD_REPLY),
        (answer(LOGIN, length=4000), Code.WX_BAD_REPLY),
        (answer(b"<html>busy</html>"), Code.WX_BAD_REPLY),
        (answer(LOGIN, status=500), Code.WX_BAD_REPLY),
        (answer(b"Content-Length required", status=412), Code.WX_BAD_REPLY),
        (answer(b"", status=302), Code.WX_BAD_REPLY),
        (answer(b"x" * 65_537), Code.WX_BAD_REPLY),
        (answer({"errcode": "0"}), Code.WX_BAD_REPLY),
        (answer({"session_key": SESSION_KEY}), Code.WX_BAD_REPLY),
    ],
)
async def test_code_that_may_be_spent_is_never_sent_again(
    stub: Stub, client: WeChatClient, behaviour: Any, code: Code
) -> None:
    stub.default = behaviour
    started = time.monotonic()
    await login_fails(client, code, soon(0.4))
    assert time.monotonic() - started < 0.6
    assert len(stub.seen) == 1


async def test_reset_on_a_kept_alive_connection_does_not_send_the_code_again(stub: Stub, client: WeChatClient) -> None:
    await login(client)
    stub.default = reset
    await login_fails(client, Code.WX_UNAVAILABLE)
    assert len(stub.seen) == 2


async def test_connection_closed_while_idle_costs_nobody_a_login(stub: Stub, client: WeChatClient) -> None:
    await login(client)
    stub.transports[0].close()
    await asyncio.sleep(1.3)  # libcurl looks for closed connections once a second
    assert (await login(client)).openid == LOGIN["openid"]


async def test_harmless_call_is_repeated_once_after_a_reset(stub: Stub, client: WeChatClient) -> None:
    stub.default = OK
    stub.plan.append(reset)
    assert await client.check_session(APP, "token", "o1", SESSION_KEY, soon()) is True
    stub.plan.extend([reset, reset])
    with pytest.raises(AppError):
        await client.check_session(APP, "token", "o1", SESSION_KEY, soon())
    assert len(stub.seen) == 4


async def test_refused_connection_is_tried_again_until_the_server_is_up(make_client: MakeClient) -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    stub = Stub()

    class ListensBeforeTheRetry(Clock):
        def jitter(self, low: float, high: float) -> float:
            listener.listen()
            self.starting = asyncio.ensure_future(stub.start(sock=listener))
            return low

    client = make_client(f"http://127.0.0.1:{listener.getsockname()[1]}", ListensBeforeTheRetry())
    assert (await login(client)).openid == LOGIN["openid"]
    assert len(stub.seen) == 1
    await stub.stop()


async def test_refused_connection_is_unavailable_after_two_retries(make_client: MakeClient) -> None:
    outcomes: list[str] = []
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = make_client(
            f"http://127.0.0.1:{unused.getsockname()[1]}", observer=lambda *seen: outcomes.append(seen[2])
        )
        await login_fails(client, Code.WX_UNAVAILABLE)
    assert outcomes == ["connect"] * 3


async def test_unknown_host_is_unavailable(make_client: MakeClient) -> None:
    await login_fails(make_client("http://wechat.invalid"), Code.WX_UNAVAILABLE)


# --- the budget ---


async def test_budget_holds_while_wechat_is_busy(stub: Stub, client: WeChatClient) -> None:
    stub.default = hang
    stub.plan.append(BUSY)
    started = time.monotonic()
    await login_fails(client, Code.WX_TIMEOUT, soon(0.5))
    assert 0.45 < time.monotonic() - started < 0.7


async def test_nothing_is_sent_without_time(stub: Stub, client: WeChatClient) -> None:
    await login_fails(client, Code.WX_TIMEOUT, soon(0))
    assert stub.seen == []


async def test_no_retry_starts_that_cannot_end_in_time(stub: Stub, make_client: MakeClient) -> None:
    class LongBackOff(Clock):
        def jitter(self, low: float, high: float) -> float:
            return 60.0

    stub.default = BUSY
    started = time.monotonic()
    await login_fails(make_client(stub.url, LongBackOff()), Code.WX_UNAVAILABLE, soon(1))
    assert time.monotonic() - started < 0.5


async def test_more_calls_than_allowed_are_refused_at_once(stub: Stub, make_client: MakeClient) -> None:
    client = make_client(stub.url, max_in_flight=2)
    stub.default = hang
    waiting = [asyncio.create_task(login(client, soon(0.5))) for _ in range(2)]
    await asyncio.sleep(0)
    assert await quickest_refusal(client, soon()) < 0.01
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert [error.code for error in ended if isinstance(error, AppError)] == [Code.WX_TIMEOUT] * 2


async def test_cancelled_call_keeps_its_slot_until_the_request_ends(stub: Stub, make_client: MakeClient) -> None:
    client = make_client(stub.url, max_in_flight=1)
    stub.default = hang
    call = asyncio.create_task(login(client, soon(0.3)))
    await asyncio.sleep(0.05)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await login_fails(client, Code.WX_UNAVAILABLE)
    await asyncio.sleep(0.4)
    stub.default = answer(LOGIN)
    assert (await login(client)).openid == LOGIN["openid"]


# --- the breaker ---


@pytest.mark.parametrize("behaviour", [BUSY, reset, answer(b"<html>"), answer(LOGIN, status=503)])
async def test_breaker_opens_answers_at_once_and_recovers(
    stub: Stub, make_client: MakeClient, hand_clock: HandClock, behaviour: Any
) -> None:
    client = make_client(stub.url, hand_clock)
    stub.default = behaviour
    budget = Deadline.after(hand_clock, 3)
    while len(stub.seen) < 20:
        await login_fails_somehow(client, budget)
    assert await quickest_refusal(client, budget) < 0.01
    refused = await login_fails(client, Code.WX_UNAVAILABLE, budget)
    assert (refused.retry_after_s, len(stub.seen)) == (10, 20)
    stub.default = answer(LOGIN)
    hand_clock.advance(10)
    assert (await login(client, Deadline.after(hand_clock, 3))).openid == LOGIN["openid"]


async def login_fails_somehow(client: WeChatClient, deadline: Deadline) -> None:
    with pytest.raises(AppError):
        await login(client, deadline)


@pytest.mark.parametrize("errcode", [40029, 40163, 45011, 40226, 40013])
async def test_refusals_never_open_the_breaker(
    stub: Stub, make_client: MakeClient, hand_clock: HandClock, errcode: int
) -> None:
    client = make_client(stub.url, hand_clock)
    stub.default = answer({"errcode": errcode, "errmsg": "?"})
    for _ in range(30):
        await login_fails_somehow(client, Deadline.after(hand_clock, 3))
    stub.default = answer(LOGIN)
    assert (await login(client)).openid == LOGIN["openid"]


async def test_one_api_in_trouble_does_not_stop_another(
    stub: Stub, make_client: MakeClient, hand_clock: HandClock
) -> None:
    client = make_client(stub.url, hand_clock)
    stub.default = reset
    for _ in range(20):
        await login_fails_somehow(client, Deadline.after(hand_clock, 3))
    stub.default = answer({"access_token": "t", "expires_in": 7200})
    assert (await client.stable_token(APP, Deadline.after(hand_clock, 3))).token == "t"
