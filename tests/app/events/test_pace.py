"""Back-off: doubled up to five minutes, a pause for a webhook that takes nothing, an end after a day."""

from app.events.pace import Pace, Policy
from backend import MovableClock


def test_the_delay_doubles_up_to_five_minutes() -> None:
    delays = [Policy().delay_s(attempts) for attempts in range(1, 10)]
    assert delays == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_five_failures_in_a_row_pause_the_webhook_and_one_success_ends_it() -> None:
    clock = MovableClock()
    pace = Pace(Policy(), clock)
    for _ in range(4):
        pace.failed()
    assert not pace.is_suspect
    pace.failed()
    assert (pace.is_suspect, pace.is_paused) == (True, True)
    clock.advance(5.1)
    assert (pace.is_suspect, pace.is_paused) == (True, False)
    pace.failed()
    clock.advance(5.1)
    assert pace.is_paused
    clock.advance(5.1)
    assert not pace.is_paused
    pace.succeeded()
    assert not pace.is_suspect


def test_the_pause_never_outlasts_five_minutes() -> None:
    clock = MovableClock()
    pace = Pace(Policy(), clock)
    for _ in range(100):
        pace.failed()
    assert pace.resume_at <= clock.now_ms() + 300_000


def test_an_event_is_given_up_a_day_after_its_first_attempt() -> None:
    clock = MovableClock()
    pace = Pace(Policy(), clock)
    first_at = clock.now_ms()
    clock.advance(86_399)
    assert not pace.gives_up(first_at)
    clock.advance(2)
    assert pace.gives_up(first_at)
