import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from wechat_stub import ExampleApp, HandClock
from wechat_token_stub import Api, Reverser, WeChat

from app.wechat.access_token import AccessTokens
from app.wechat.client import TokenRefused
from app.wechat.errcodes import Refusal
from core.clock import Clock, Deadline
from core.errors import AppError, Code
from models.kv import Kv, open_kv
from models.wx_tokens import Lease, StoredToken, WxTokens
from servers import Redis

APP = ExampleApp()


def soon(seconds: float = 3.0) -> Deadline:
    return Deadline.after(Clock(), seconds)


@pytest.fixture
def wechat(hand_clock: HandClock) -> WeChat:
    return WeChat(hand_clock)


@pytest.fixture(params=["memory", "redis"])
async def kv(request: pytest.FixtureRequest, hand_clock: HandClock) -> AsyncIterator[Kv]:
    if request.param == "redis":
        server: Redis = request.getfixturevalue("redis_server")
        server.flush()
        kv = open_kv(server.url, hand_clock)
    else:
        kv = open_kv("memory://", hand_clock)
    yield kv
    await kv.close()


@pytest.fixture
async def make_tokens(kv: Kv, wechat: WeChat, hand_clock: HandClock) -> AsyncIterator[Callable[..., AccessTokens]]:
    """One instance of the service; all share the Redis."""
    made: list[AccessTokens] = []

    def make(**changes: object) -> AccessTokens:
        made.append(AccessTokens(changes.get("client", wechat), kv, hand_clock, Reverser()))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for tokens in made:
        await tokens.close()


Make = Callable[..., AccessTokens]


async def settle() -> None:
    """Lets everything run that can, Redis included."""
    await asyncio.sleep(0.15)


def shut_redis(kv: Kv, clock: HandClock) -> None:
    kv._shut_until = clock.monotonic() + 86_400


async def test_twenty_callers_on_two_instances_cost_one_fetch(make_tokens: Make, wechat: WeChat) -> None:
    instances = [make_tokens(), make_tokens()]
    calls = [tokens.get(APP, soon()) for tokens in instances for _ in range(10)]
    assert set(await asyncio.gather(*calls)) == {"token-1"}
    assert wechat.calls == [False]


async def test_token_is_sealed_in_redis(make_tokens: Make, kv: Kv) -> None:
    await make_tokens().get(APP, soon())
    stored = await kv.run("HGETALL", f"kaimen:{{wxtoken:{APP.appid}}}:token")
    assert "token-1" not in str(stored)
    assert "1-nekot" in str(stored)


async def test_memory_serves_until_the_token_is_due(make_tokens: Make, wechat: WeChat, hand_clock: HandClock) -> None:
    tokens = make_tokens()
    await tokens.get(APP, soon())
    hand_clock.advance(7200 - 61)  # jitter at its lower bound: 60 s before the end
    assert await tokens.get(APP, soon()) == "token-1"
    assert len(wechat.calls) == 1
    hand_clock.advance(2)
    assert await tokens.get(APP, soon()) == "token-2"


async def test_token_of_another_instance_is_used(make_tokens: Make, wechat: WeChat) -> None:
    await make_tokens().get(APP, soon())
    assert await make_tokens().get(APP, soon()) == "token-1"
    assert len(wechat.calls) == 1


async def test_apps_have_tokens_of_their_own(make_tokens: Make, wechat: WeChat) -> None:
    tokens = make_tokens()
    await tokens.get(APP, soon())
    await tokens.get(ExampleApp(appid="wx0000000000000002"), soon())
    assert len(wechat.calls) == 2


async def test_impatient_or_cancelled_waiter_leaves_the_fetch_to_the_others(make_tokens: Make, wechat: WeChat) -> None:
    tokens = make_tokens()
    wechat.gate.clear()
    first = asyncio.create_task(tokens.get(APP, soon()))
    patient = asyncio.create_task(tokens.get(APP, soon()))
    await settle()
    first.cancel()
    with pytest.raises(AppError) as raised:
        await tokens.get(APP, soon(0.05))
    assert raised.value.code is Code.WX_TIMEOUT
    wechat.gate.set()
    assert await patient == "token-1"
    assert len(wechat.calls) == 1


async def test_failure_reaches_every_waiter_and_gives_the_lock_back(make_tokens: Make, wechat: WeChat) -> None:
    wechat.failure = AppError(Code.WX_UNAVAILABLE)
    tokens = make_tokens()
    results = await asyncio.gather(*[tokens.get(APP, soon()) for _ in range(3)], return_exceptions=True)
    assert [getattr(result, "code", None) for result in results] == [Code.WX_UNAVAILABLE] * 3
    wechat.failure = None
    assert await make_tokens().get(APP, soon()) == "token-1"


async def test_last_good_token_is_served_while_wechat_is_away(
    make_tokens: Make, wechat: WeChat, hand_clock: HandClock
) -> None:
    tokens = make_tokens()
    await tokens.get(APP, soon())
    wechat.failure = AppError(Code.WX_UNAVAILABLE)
    hand_clock.advance(7200 - 30)
    assert await tokens.get(APP, soon()) == "token-1"
    hand_clock.advance(31)
    with pytest.raises(AppError):
        await tokens.get(APP, soon())


async def test_token_sealed_with_another_key_is_fetched_anew(make_tokens: Make, wechat: WeChat, kv: Kv) -> None:
    await make_tokens().get(APP, soon())
    await kv.run("HSET", f"kaimen:{{wxtoken:{APP.appid}}}:token", "sealed", "elsewhere|x")
    assert await make_tokens().get(APP, soon()) == "token-1"
    assert len(wechat.calls) == 2


# --- renewal after a refusal ---


async def test_refused_token_is_renewed_and_the_call_repeated(make_tokens: Make, wechat: WeChat) -> None:
    tokens = make_tokens()
    await tokens.get(APP, soon())
    api = Api({wechat.turn()})
    assert await tokens.call(APP, soon(), api) == "token-2"
    assert (api.tried, wechat.calls) == (["token-1", "token-2"], [False, False])


async def test_renewal_by_one_instance_serves_the_other(make_tokens: Make, wechat: WeChat) -> None:
    one, other = make_tokens(), make_tokens()
    await one.get(APP, soon())
    await other.get(APP, soon())
    wechat.turn()
    assert await one.renew(APP, "token-1", soon()) == "token-2"
    assert await other.renew(APP, "token-1", soon()) == "token-2"
    assert len(wechat.calls) == 2


async def test_token_that_is_no_longer_current_is_not_renewed_again(make_tokens: Make, wechat: WeChat) -> None:
    tokens = make_tokens()
    await tokens.get(APP, soon())
    wechat.turn()
    await tokens.renew(APP, "token-1", soon())
    assert await tokens.renew(APP, "token-1", soon()) == "token-2"
    assert len(wechat.calls) == 2


async def test_many_refused_callers_renew_once(make_tokens: Make, wechat: WeChat) -> None:
    tokens = make_tokens()
    await tokens.get(APP, soon())
    api = Api({wechat.turn()})
    assert set(await asyncio.gather(*[tokens.call(APP, soon(), api) for _ in range(20)])) == {"token-2"}
    assert wechat.calls == [False, False]


async def test_new_token_is_forced_only_after_the_same_one_was_refused_twice(make_tokens: Make, wechat: WeChat) -> None:
    api = Api({"token-2"})
    assert await make_tokens().call(APP, soon(), api) == "token-2"
    assert api.tried == ["token-1", "token-1", "token-2"]
    assert wechat.calls == [False, False, True]


async def test_forcing_happens_once_in_ten_minutes_over_all_instances(make_tokens: Make, wechat: WeChat) -> None:
    nothing_good = Api(set())
    for tokens in (make_tokens(), make_tokens()):
        with pytest.raises(AppError) as raised:
            await tokens.call(APP, soon(), nothing_good)
        assert raised.value.code is Code.WX_BAD_REPLY
    assert wechat.calls.count(True) == 1


async def test_refused_forced_token_is_the_end(make_tokens: Make) -> None:
    api = Api(set())
    with pytest.raises(TokenRefused):
        await make_tokens().call(APP, soon(), api)
    assert api.tried == ["token-1", "token-1", "token-2"]


async def test_forcing_is_not_needed_when_another_instance_just_did(make_tokens: Make, wechat: WeChat) -> None:
    one, other = make_tokens(), make_tokens()
    await other.get(APP, soon())
    await one.call(APP, soon(), Api({"token-2"}))
    assert await other.call(APP, soon(), Api({"token-2"})) == "token-2"
    assert wechat.calls.count(True) == 1


async def test_calls_end_when_every_renewed_token_is_refused(make_tokens: Make, wechat: WeChat) -> None:
    tried: list[str] = []

    async def refuses_and_turns(token: str) -> None:
        tried.append(token)
        wechat.turn()
        raise TokenRefused(Refusal(42001, None))

    with pytest.raises(TokenRefused):
        await make_tokens().call(APP, soon(), refuses_and_turns)
    assert tried == [f"token-{n}" for n in range(1, 6)]
    assert True not in wechat.calls


async def test_closing_gives_up_a_fetch_and_its_lock(make_tokens: Make, wechat: WeChat) -> None:
    tokens = make_tokens()
    wechat.gate.clear()
    waiting = asyncio.create_task(tokens.get(APP, soon()))
    await settle()
    await tokens.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    wechat.gate.set()
    assert await make_tokens().get(APP, soon()) == "token-1"


async def test_other_errors_of_the_call_pass_through(make_tokens: Make) -> None:
    async def fails(_token: str) -> None:
        raise AppError(Code.INVALID_WX_CODE)

    with pytest.raises(AppError) as raised:
        await make_tokens().call(APP, soon(), fails)
    assert raised.value.code is Code.INVALID_WX_CODE


# --- the lock ---


async def test_instance_waits_while_another_fetches(make_tokens: Make, wechat: WeChat) -> None:
    one, other = make_tokens(), make_tokens()
    wechat.gate.clear()
    fetching = asyncio.create_task(one.get(APP, soon()))
    await settle()
    waiting = asyncio.create_task(other.get(APP, soon()))
    await settle()
    assert len(wechat.calls) == 1
    wechat.gate.set()
    assert await asyncio.gather(fetching, waiting) == ["token-1"] * 2
    assert len(wechat.calls) == 1


async def test_lock_of_a_dead_instance_is_taken_over(make_tokens: Make, kv: Kv, hand_clock: HandClock) -> None:
    dead = await WxTokens(kv, hand_clock).claim(APP.appid, 0, 0.2)
    assert isinstance(dead, Lease)
    waiting = asyncio.create_task(make_tokens().get(APP, soon()))
    await settle()
    assert not waiting.done()
    await kv.run("PEXPIRE", f"kaimen:{{wxtoken:{APP.appid}}}:lock", 1)  # its 15 s are over
    assert await waiting == "token-1"


async def test_lock_that_never_ends_is_a_timeout(make_tokens: Make, kv: Kv, hand_clock: HandClock) -> None:
    await WxTokens(kv, hand_clock).claim(APP.appid, 0, 0.2)
    waiting = asyncio.create_task(make_tokens().get(APP, soon()))
    await settle()
    hand_clock.advance(21)
    with pytest.raises(AppError) as raised:
        await waiting
    assert raised.value.code is Code.WX_TIMEOUT


async def test_who_lost_the_lock_discards_what_it_fetched(make_tokens: Make, wechat: WeChat, kv: Kv) -> None:
    slow, quick = WeChat(HandClock()), wechat
    slow.current = "token-0"
    slow.gate.clear()
    loser = make_tokens(client=slow)
    fetching = asyncio.create_task(loser.get(APP, soon()))
    await settle()
    await kv.run("DEL", f"kaimen:{{wxtoken:{APP.appid}}}:lock")
    assert await make_tokens().get(APP, soon()) == "token-1"
    slow.gate.set()
    assert await fetching == "token-1"
    assert (len(slow.calls), len(quick.calls)) == (1, 1)


async def test_older_answer_never_overwrites_a_newer_token(kv: Kv, hand_clock: HandClock) -> None:
    stored = WxTokens(kv, hand_clock)
    older = await stored.claim(APP.appid, 0, 0.2)
    assert isinstance(older, Lease)
    await stored.release(older)
    newer = await stored.claim(APP.appid, 0, 0.2)
    assert isinstance(newer, Lease)
    assert newer.version > older.version
    late = hand_clock.now_ms() + 7_200_000
    assert await stored.store(newer, "new", late, late - 300_000)
    assert not await stored.store(older, "old", late, late - 300_000)
    await kv.run("SET", f"kaimen:{{wxtoken:{APP.appid}}}:lock", older.owner)  # even holding the lock
    assert not await stored.store(older, "old", late, late - 300_000)
    found = await stored.claim(APP.appid, 0, 0.2)
    assert isinstance(found, StoredToken)
    assert found.sealed == "new"


async def test_versions_go_on_ascending_after_redis_lost_everything(kv: Kv, hand_clock: HandClock) -> None:
    stored = WxTokens(kv, hand_clock)
    before = await stored.claim(APP.appid, 0, 0.2)
    await kv.run("FLUSHALL")
    hand_clock.advance(1)
    after = await stored.claim(APP.appid, 0, 0.2)
    assert isinstance(before, Lease)
    assert isinstance(after, Lease)
    assert after.version > before.version


# --- Redis away ---


async def test_memory_serves_while_redis_is_away(
    make_tokens: Make, wechat: WeChat, kv: Kv, hand_clock: HandClock
) -> None:
    tokens = make_tokens()
    await tokens.get(APP, soon())
    hand_clock.advance(7200 - 30)
    shut_redis(kv, hand_clock)
    assert await tokens.get(APP, soon()) == "token-1"
    assert len(wechat.calls) == 1


async def test_token_is_fetched_directly_without_redis_and_memory(
    make_tokens: Make, wechat: WeChat, kv: Kv, hand_clock: HandClock
) -> None:
    shut_redis(kv, hand_clock)
    tokens = make_tokens()
    assert await tokens.get(APP, soon()) == "token-1"
    assert await tokens.get(APP, soon()) == "token-1"
    assert wechat.calls == [False]


async def test_refused_token_is_renewed_without_redis_but_never_forced(
    make_tokens: Make, wechat: WeChat, kv: Kv, hand_clock: HandClock
) -> None:
    shut_redis(kv, hand_clock)
    tokens = make_tokens()
    await tokens.get(APP, soon())
    assert await tokens.call(APP, soon(), Api({wechat.turn()})) == "token-2"
    with pytest.raises(AppError) as raised:
        await tokens.call(APP, soon(), Api(set()))
    assert raised.value.code is Code.CACHE_UNAVAILABLE
    assert True not in wechat.calls


async def test_token_is_kept_when_redis_goes_away_during_the_fetch(
    make_tokens: Make, wechat: WeChat, kv: Kv, hand_clock: HandClock
) -> None:
    wechat.gate.clear()
    tokens = make_tokens()
    fetching = asyncio.create_task(tokens.get(APP, soon()))
    await settle()
    shut_redis(kv, hand_clock)
    wechat.gate.set()
    assert await fetching == "token-1"
    assert await tokens.get(APP, soon()) == "token-1"
    assert len(wechat.calls) == 1


async def test_failure_is_wechats_when_redis_goes_away_too(
    make_tokens: Make, wechat: WeChat, kv: Kv, hand_clock: HandClock
) -> None:
    wechat.gate.clear()
    wechat.failure = AppError(Code.WX_UNAVAILABLE)
    fetching = asyncio.create_task(make_tokens().get(APP, soon()))
    await settle()
    shut_redis(kv, hand_clock)
    wechat.gate.set()
    with pytest.raises(AppError) as raised:
        await fetching
    assert raised.value.code is Code.WX_UNAVAILABLE
