"""States of OAuth logins do what a small model does, over Redis and over its stand-in."""

import asyncio
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.clock import Clock
from models import oauth_states
from models.kv import open_kv
from models.oauth_states import LoginState
from servers import Redis

CLOCK = Clock()
BROWSERS, APPS, CODES = ("chrome", "safari"), ("wx1", "wx2"), ("c1", "c2", "c3")


class Take(NamedTuple):
    """Somebody brings the nth state of this run with a code."""

    state: int
    browser: str
    appid: str
    code: str


class Begin(NamedTuple):
    """A login begins."""

    browser: str
    appid: str


TAKE = st.builds(Take, st.integers(0, 3), st.sampled_from(BROWSERS), st.sampled_from(APPS), st.sampled_from(CODES))
BEGIN = st.builds(Begin, st.sampled_from(BROWSERS), st.sampled_from(APPS))


class Model:
    """A state is its browser's and its app's, and belongs to the first code that takes it."""

    def __init__(self) -> None:
        self.begun: list[Begin] = []
        self.codes: dict[int, str] = {}

    def takes(self, step: Take) -> bool:
        if step.state >= len(self.begun) or self.begun[step.state] != Begin(step.browser, step.appid):
            return False
        return self.codes.setdefault(step.state, step.code) == step.code


async def play(url: str, steps: list[Begin | Take]) -> None:
    kv, model, states = open_kv(url, CLOCK), Model(), [CLOCK.token(256) for _ in range(len(steps) + 4)]
    for step in steps:
        if isinstance(step, Begin):
            state, asked = states[len(model.begun)], LoginState(f"/{len(model.begun)}", "base", "cookie")
            await oauth_states.keep_state(kv, state, step.appid, step.browser, asked)
            model.begun.append(step)
        else:
            taken = await oauth_states.take_state(kv, states[step.state], step.appid, step.browser, step.code)
            expected = LoginState(f"/{step.state}", "base", "cookie") if model.takes(step) else None
            assert taken == expected
    await kv.close()


@given(st.lists(st.one_of(BEGIN, TAKE, TAKE), max_size=20))
@settings(max_examples=60, deadline=None)
def test_the_stand_in_does_what_the_model_does(steps: list[Begin | Take]) -> None:
    asyncio.run(play("memory://", steps))


@given(st.lists(st.one_of(BEGIN, TAKE, TAKE), max_size=20))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_redis_does_what_the_model_does(redis_server: Redis, steps: list[Begin | Take]) -> None:
    asyncio.run(play(redis_server.url, steps))


async def test_of_many_codes_at_once_one_takes_the_state(redis_server: Redis) -> None:
    kv, state = open_kv(redis_server.url, CLOCK), CLOCK.token(256)
    await oauth_states.keep_state(kv, state, "wx1", "chrome", LoginState("/", "base", "cookie"))
    taking = (oauth_states.take_state(kv, state, "wx1", "chrome", f"code {number % 10}") for number in range(50))
    taken = await asyncio.gather(*taking)
    await kv.close()
    assert sum(one is not None for one in taken) == 5
