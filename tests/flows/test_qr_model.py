"""A scan against a small model: two instances over one Redis and one MariaDB, a clock that only the test moves."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from app.auth.grants import Client
from app.auth.tokens import Claims
from app.commands import Register
from app.kaimen import Kaimen
from app.scan.commands import CreateScan, RedeemScan
from app.scan.hub import Waiter
from app.scan.service import Scans
from backend import PASSWORD, Store, make_settings
from cli.compose import open_kaimen
from core.clock import Clock
from core.errors import AppError, Code
from rows import fetch

CLIENT = Client("192.0.2.1", "192.0.2.1", "test")
FINISHED = {"expired": Code.SCAN_EXPIRED, "redeemed": Code.SCAN_REDEEMED, "cancelled": Code.SCAN_CANCELLED}
STEPS_MS = [1, 1000, 30_000, 59_999, 60_000, 119_999, 120_000]
USERS = st.sampled_from([0, 0, 0, 1])
INSTANCES = st.sampled_from([0, 1])


class StillClock(Clock):
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.at = super().now_ms()

    def now_ms(self) -> int:
        return self.at


@dataclass
class World:
    """Two instances, two users, one clock, one loop."""

    runner: asyncio.Runner
    instances: list[Kaimen]
    clock: StillClock
    store: Store
    users: list[Claims]

    def run(self, work: Any) -> Any:
        """What the call gives, or the code of its error."""
        try:
            return self.runner.run(work)
        except AppError as error:
            return error.code


@dataclass
class Model:
    """What a scan must do."""

    ends_at: int
    state: str = "pending"
    version: int = 1
    by: int | None = None
    wrong: int = 0

    def turn(self, state: str) -> None:
        self.state, self.version = state, self.version + 1

    def pass_time(self, now: int) -> Code | None:
        if self.state not in FINISHED and now >= self.ends_at:
            self.turn("expired")
        return FINISHED.get(self.state)

    def act(self, user: int, now: int) -> Code | None:
        """What stands in the way of anything the phone does."""
        return self.pass_time(now) or (Code.FORBIDDEN if self.by not in (None, user) else None)

    def scan(self, user: int, now: int) -> Code | None:
        refused = self.act(user, now)
        if refused is None and self.state == "pending":
            self.by = user
            self.turn("scanned")
        return refused

    def confirm(self, user: int, match: bool | None, now: int) -> Code | None:
        refused = self.act(user, now)
        if refused or self.state == "confirmed":
            return refused
        if self.state == "pending":
            return Code.WRONG_STATE
        if match is False:
            self.wrong += 1
            if self.wrong == 3:
                self.turn("cancelled")
            return Code.WRONG_MATCH_CODE
        self.ends_at = now + 60_000
        self.turn("confirmed")
        return None

    def cancel(self, user: int, now: int) -> Code | None:
        refused = self.act(user, now)
        if refused is None and self.state == "confirmed":
            return Code.WRONG_STATE
        if refused is None:
            self.turn("cancelled")
        return refused

    def redeem(self, ticket: bool, now: int) -> Code | None:
        refused = self.pass_time(now)
        if refused is None and self.state != "confirmed":
            return Code.WRONG_STATE
        if refused is None and not ticket:
            return Code.NOT_FOUND
        if refused is None:
            self.turn("redeemed")
        return refused


@pytest.fixture
def world(server_store: Store) -> Iterator[World]:
    clock = StillClock()
    given = make_settings(server_store, "http://127.0.0.1:1", rate_limits="off", max_sessions=1000)
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        instances = [runner.run(stack.enter_async_context(open_kaimen(given, clock))) for _ in range(2)]
        made = [
            runner.run(
                instances[0].auth.register(Register.model_validate({"username": name, "password": PASSWORD}), CLIENT)
            )
            for name in ("alice", "bob")
        ]
        users = [Claims(data["user"]["id"], data["sessionId"], (), None, 0, 0) for data in made]
        yield World(runner, instances, clock, server_store, users)
        runner.run(stack.aclose())


class Machine(RuleBasedStateMachine):
    """What may happen to a scan; ``world`` is set by the test."""

    world: ClassVar[World]
    model: Model
    page: dict[str, Any]
    ticket: str

    @property
    def now(self) -> int:
        return self.world.clock.at

    @initialize(instance=INSTANCES)
    def create(self, instance: int) -> None:
        scans = self.world.instances[instance].scans
        self.page = self.world.run(scans.create(CreateScan(channel="page"), "http://kaimen.test", CLIENT))
        self.model, self.ticket = Model(self.now + 120_000), ""
        self.sessions = self.count_sessions()

    def count_sessions(self) -> int:
        sql = "SELECT COUNT(*) FROM sessions WHERE auth_method = 'scan'"
        return int(self.world.runner.run(fetch(self.world.store, sql))[0][0])

    @rule(step=st.sampled_from(STEPS_MS))
    def wait(self, step: int) -> None:
        self.world.clock.at += step

    @rule(user=USERS, instance=INSTANCES)
    def scan(self, user: int, instance: int) -> None:
        scans = self.world.instances[instance].scans
        given = self.world.run(scans.scan(self.world.users[user], self.page["scanId"], "zh"))
        expected = self.model.scan(user, self.now)
        assert (given if isinstance(given, Code) else given["state"]) == (expected or self.model.state)

    @rule(user=USERS, instance=INSTANCES, match=st.sampled_from([None, True, True, False]))
    def confirm(self, user: int, instance: int, match: bool | None) -> None:
        right = str(self.page["matchCode"])
        code = None if match is None else right if match else f"{(int(right) + 1) % 100:02d}"
        scans = self.world.instances[instance].scans
        given = self.world.run(scans.confirm(self.world.users[user], self.page["scanId"], code))
        expected = self.model.confirm(user, match, self.now)
        assert given == (expected or {"state": "confirmed"})

    @rule(instance=INSTANCES, times=st.integers(1, 3))
    def guess(self, instance: int, times: int) -> None:
        self.scan(0, instance)
        for _ in range(times):
            self.confirm(0, instance, False)

    @rule(instance=INSTANCES)
    def approve(self, instance: int) -> None:
        """The way it goes most of the time, so that there is something to redeem."""
        self.scan(0, instance)
        self.confirm(0, instance, True)
        self.look(instance)

    @rule(user=USERS, instance=INSTANCES)
    def cancel(self, user: int, instance: int) -> None:
        given = self.world.run(self.world.instances[instance].scans.cancel(self.world.users[user], self.page["scanId"]))
        assert given == (self.model.cancel(user, self.now) or {"state": "cancelled"})

    @rule(instance=INSTANCES, ticket=st.sampled_from([True, True, False]), count=st.sampled_from([1, 5]))
    def redeem(self, instance: int, ticket: bool, count: int) -> None:
        """Of several at once one wins."""
        given = self.world.runner.run(self.bring(instance, ticket and bool(self.ticket), count))
        expected = self.model.redeem(ticket and bool(self.ticket), self.now)
        won = [one for one in given if not isinstance(one, Code)]
        assert len(won) == (0 if expected else 1)
        if expected:
            assert given == [expected] * count
        else:
            assert won[0]["user"]["id"] == self.world.users[self.model.by or 0].sub
            assert sorted(one.name for one in given if isinstance(one, Code)) == ["SCAN_REDEEMED"] * (count - 1)

    async def bring(self, instance: int, is_right: bool, count: int) -> list[Any]:
        ticket = self.ticket if is_right else "A" * 22
        command = RedeemScan.model_validate({"pollSecret": self.page["pollSecret"], "ticket": ticket})

        async def one(number: int) -> Any:
            scans = self.world.instances[(instance + number) % 2].scans
            try:
                return await scans.redeem(self.page["scanId"], command, CLIENT)
            except AppError as error:
                return error.code

        return await asyncio.gather(*(one(number) for number in range(count)))

    @rule(instance=INSTANCES)
    def use_a_wrong_secret(self, instance: int) -> None:
        command = RedeemScan.model_validate({"pollSecret": "A" * 43, "ticket": self.ticket or "A" * 22})
        scans = self.world.instances[instance].scans
        assert self.world.run(scans.watch(self.page["scanId"], "A" * 43)) == Code.NOT_FOUND
        assert self.world.run(scans.redeem(self.page["scanId"], command, CLIENT)) == Code.NOT_FOUND

    @rule(instance=INSTANCES)
    def look(self, instance: int) -> None:
        """Whatever instance is asked, it comes to the state of the model, and every read gives the same ticket."""
        self.model.pass_time(self.now)
        before = self.model.version - 1
        scans = self.world.instances[instance].scans
        seen = self.world.run(self.wait_for(scans, before))
        assert (seen["state"], seen["version"]) == (self.model.state, self.model.version)
        assert ("ticket" in seen) == (self.model.state == "confirmed")
        assert self.ticket in ("", seen.get("ticket", self.ticket))
        self.ticket = seen.get("ticket", self.ticket)

    async def wait_for(self, scans: Scans, version: int) -> dict[str, Any]:
        return await scans.wait(self.page["scanId"], self.page["pollSecret"], version, 5.0, "n", Waiter())

    @invariant()
    def one_session_at_most(self) -> None:
        if hasattr(self, "sessions"):
            assert self.count_sessions() - self.sessions == (1 if self.model.state == "redeemed" else 0)


def test_whatever_happens_to_a_scan_it_does_what_the_model_does(world: World) -> None:
    Machine.world = world
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Machine,
        settings=settings(max_examples=150, stateful_step_count=12, deadline=None, suppress_health_check=checks),
    )
