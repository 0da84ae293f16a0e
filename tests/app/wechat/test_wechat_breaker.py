import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from wechat_stub import HandClock

from app.wechat.breaker import Breaker


def run(breaker: Breaker, ok: bool, times: int = 1) -> None:
    for _ in range(times):
        ticket = breaker.enter()
        assert ticket is not None
        breaker.leave(ticket, ok)


@pytest.fixture
def opened(hand_clock: HandClock) -> Breaker:
    breaker = Breaker(hand_clock)
    run(breaker, False, 20)
    return breaker


def test_breaker_opens_at_half_of_twenty_calls(hand_clock: HandClock) -> None:
    breaker = Breaker(hand_clock)
    run(breaker, True, 10)
    run(breaker, False, 9)
    assert breaker.enter() is not None
    run(breaker, False)
    assert breaker.enter() is None


def test_breaker_stays_closed_below_half(hand_clock: HandClock) -> None:
    breaker = Breaker(hand_clock)
    run(breaker, True, 11)
    run(breaker, False, 10)
    assert breaker.enter() is not None


def test_failures_older_than_ten_seconds_are_forgotten(hand_clock: HandClock) -> None:
    breaker = Breaker(hand_clock)
    run(breaker, False, 19)
    hand_clock.advance(11)
    run(breaker, False, 19)
    assert breaker.enter() is not None


def test_open_breaker_says_when_to_come_back(opened: Breaker, hand_clock: HandClock) -> None:
    assert opened.retry_after_s() == 10
    hand_clock.advance(7)
    assert opened.retry_after_s() == 3
    hand_clock.advance(7)
    assert opened.retry_after_s() == 1


def test_one_probe_goes_after_ten_seconds_and_its_success_closes(opened: Breaker, hand_clock: HandClock) -> None:
    hand_clock.advance(10)
    probe = opened.enter()
    assert probe is not None
    assert opened.enter() is None
    opened.leave(probe, True)
    run(opened, True, 30)


def test_failed_probe_opens_for_another_ten_seconds(opened: Breaker, hand_clock: HandClock) -> None:
    hand_clock.advance(10)
    run(opened, False)
    hand_clock.advance(9)
    assert opened.enter() is None
    hand_clock.advance(1)
    assert opened.enter() is not None


def test_cancelled_probe_lets_the_next_one_go(opened: Breaker, hand_clock: HandClock) -> None:
    hand_clock.advance(10)
    probe = opened.enter()
    assert probe is not None
    opened.leave(probe, None)
    assert opened.enter() is not None


def test_late_results_of_earlier_calls_do_not_count(hand_clock: HandClock) -> None:
    breaker = Breaker(hand_clock)
    early = breaker.enter()
    assert early is not None
    run(breaker, False, 20)
    hand_clock.advance(10)
    probe = breaker.enter()
    breaker.leave(early, True)
    assert probe is not None
    assert breaker.enter() is None


class AgainstModel(RuleBasedStateMachine):
    """The breaker does what a list of all results says it should."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        self.breaker = Breaker(self.clock)
        self.results: list[tuple[int, bool]] = []  # (second, ok) since it was last closed
        self.opened_at: float | None = None
        self.probe: int | None = None
        self.under_way: list[tuple[int, int]] = []  # (ticket, model generation)
        self.generation = 0

    def expect_entry(self) -> bool:
        if self.opened_at is None:
            return True
        return self.probe is None and self.clock.seconds >= self.opened_at + 10

    @rule(seconds=st.floats(0, 12))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def a_call_asks(self) -> None:
        expected = self.expect_entry()
        ticket = self.breaker.enter()
        assert (ticket is not None) == expected
        if ticket is not None:
            if self.opened_at is not None:
                self.probe = len(self.under_way)
            self.under_way.append((ticket, self.generation))

    @rule(ok=st.booleans(), count=st.integers(1, 30))
    def calls_run(self, ok: bool, count: int) -> None:
        for _ in range(count):
            if self.expect_entry() and self.opened_at is None:
                run(self.breaker, ok)
                self.record(ok)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), ok=st.sampled_from([True, False, None]))
    def a_call_ends(self, data: st.DataObject, ok: bool | None) -> None:
        index = data.draw(st.integers(0, len(self.under_way) - 1))
        ticket, generation = self.under_way.pop(index)
        was_probe = self.probe == index
        if self.probe is not None and not was_probe and index < self.probe:
            self.probe -= 1
        self.breaker.leave(ticket, ok)
        if was_probe:
            self.probe = None
            if ok is not None:
                self.turn(None if ok else self.clock.seconds)
        elif generation == self.generation and ok is not None:
            self.record(ok)

    def record(self, ok: bool) -> None:
        second = int(self.clock.seconds)
        self.results = [row for row in self.results if row[0] > second - 10] + [(second, ok)]
        failures = sum(not good for _, good in self.results)
        if len(self.results) >= 20 and failures * 2 >= len(self.results):
            self.turn(self.clock.seconds)

    def turn(self, opened_at: float | None) -> None:
        self.opened_at = opened_at
        self.results = []
        self.generation += 1

    @invariant()
    def waiting_time_is_sane(self) -> None:
        assert 1 <= self.breaker.retry_after_s() <= 10


AgainstModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAgainstModel = AgainstModel.TestCase
