"""A refresh family against a small model: two instances over one MariaDB, a clock that only the test moves."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from app.auth.grants import Client
from app.auth.tokens import Claims
from app.commands import AutoLogin, Login, Logout, Register
from app.kaimen import Kaimen
from backend import PASSWORD, Store, make_settings
from cli.compose import open_kaimen
from core.clock import Clock
from core.errors import AppError, Code

CLIENT = Client("192.0.2.1", "192.0.2.1", "test")
ACCOUNT = {"username": "alice", "password": PASSWORD}
DAY_MS = 86_400_000
STEPS_MS = [1, 9_999, 10_000, 10_001, 60_000, 6 * DAY_MS, 7 * DAY_MS - 1, 7 * DAY_MS, 40 * DAY_MS]


class StillClock(Clock):
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.at = super().now_ms()

    def now_ms(self) -> int:
        return self.at

    def monotonic(self) -> float:
        return self.at / 1000


@dataclass
class World:
    """Two instances, one clock, one loop."""

    runner: asyncio.Runner
    instances: list[Kaimen]
    clock: StillClock


@dataclass
class Family:
    """The model: what the row of a session must say, and the token of each generation."""

    session_id: str
    user_id: str
    rotated_at: int
    expires_at: int
    ends_at: int
    tokens: list[str] = field(default_factory=list)
    ended: bool = False

    def bring(self, generation: int, now: int) -> Code | None:
        """What must come of the token of that generation: an error, or None and the newest token."""
        newest = len(self.tokens) - 1
        if self.ended or now >= min(self.expires_at, self.ends_at):
            return Code.REFRESH_INVALID
        if generation == newest:
            self.tokens.append("")
            self.rotated_at, self.expires_at = now, min(now + 7 * DAY_MS, self.ends_at)
        elif generation < newest - 1 or now - self.rotated_at > 10_000:
            self.ended = True
            return Code.REFRESH_REUSED
        return None


@pytest.fixture
def world(server_store: Store) -> Iterator[World]:
    clock = StillClock()
    given = make_settings(server_store, "http://127.0.0.1:1", rate_limits="off", max_sessions=1000)
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        instances = [runner.run(stack.enter_async_context(open_kaimen(given, clock))) for _ in range(2)]
        yield World(runner, instances, clock)
        runner.run(stack.aclose())


class Machine(RuleBasedStateMachine):
    """What may happen to a family; ``world`` is set by the test."""

    world: ClassVar[World]
    family: Family

    @initialize()
    def log_in(self) -> None:
        now = self.world.clock.at
        data = self.world.runner.run(self.world.instances[0].auth.login(Login.model_validate(ACCOUNT), CLIENT))
        ends_at = now + 90 * DAY_MS
        session_id, user_id = data["sessionId"], data["user"]["id"]
        self.family = Family(session_id, user_id, now, now + 7 * DAY_MS, ends_at, [data["refreshToken"]])

    @rule(step=st.sampled_from(STEPS_MS))
    def wait(self, step: int) -> None:
        self.world.clock.at += step

    @rule(back=st.sampled_from([0, 0, 0, 0, 1, 1, 2, 5]), instance=st.sampled_from([0, 1]))
    def refresh(self, back: int, instance: int) -> None:
        generation = max(0, len(self.family.tokens) - 1 - back)
        self.compare(generation, [self.bring(generation, instance)])

    @rule(count=st.integers(2, 6))
    def refresh_at_once(self, count: int) -> None:
        """All bring the newest token: the first rotates, the others get the same successor."""
        generation = len(self.family.tokens) - 1
        self.compare(generation, [self.bring(generation, n % 2) for n in range(count)])

    @rule(instance=st.sampled_from([0, 1]))
    def log_out(self, instance: int) -> None:
        claims = Claims(self.family.user_id, self.family.session_id, (), None, 0, 0)
        self.world.runner.run(self.world.instances[instance].guard.logout(claims, Logout()))
        self.family.ended = True

    @rule(instance=st.sampled_from([0, 1]))
    def look(self, instance: int) -> None:
        """A second after an end, no instance takes a token of the session."""
        self.world.clock.at += 1001
        assert self.world.runner.run(self.verdict(instance)) == (Code.SESSION_REVOKED if self.family.ended else None)

    async def verdict(self, instance: int) -> Code | None:
        claims = Claims(self.family.user_id, self.family.session_id, (), None, 0, 0)
        try:
            await self.world.instances[instance].guard.check_session(claims)
        except AppError as error:
            return error.code
        return None

    async def bring(self, generation: int, instance: int) -> Any:
        command = AutoLogin.model_validate({"refreshToken": self.family.tokens[generation]})
        try:
            return (await self.world.instances[instance].auth.auto_login(command, CLIENT))["refreshToken"]
        except AppError as error:
            return error.code

    def compare(self, generation: int, calls: list[Any]) -> None:
        async def all_at_once() -> list[Any]:
            return await asyncio.gather(*calls)

        given = self.world.runner.run(all_at_once())
        expected = self.family.bring(generation, self.world.clock.at)
        if expected is not None:
            assert given == [expected] * len(given)
            return
        assert len(set(given)) == 1
        assert self.family.tokens[-1] in ("", given[0])
        self.family.tokens[-1] = given[0]


def test_whatever_happens_to_a_refresh_family_it_does_what_the_model_does(world: World) -> None:
    world.runner.run(world.instances[0].auth.register(Register.model_validate(ACCOUNT), CLIENT))

    Machine.world = world
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Machine,
        settings=settings(max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=checks),
    )
