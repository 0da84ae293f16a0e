"""How a webhook is tried again: back-off for each event, and a pause for a webhook that takes nothing at all."""

from dataclasses import dataclass

from core.clock import Clock


@dataclass(frozen=True, slots=True)
class Policy:
    """Seconds: the first delay doubles with each attempt up to the longest; an event is given up ``give_up_s`` after
    its first attempt. ``trip_after`` failures in a row pause the webhook as a whole.
    """

    first_delay_s: float = 5.0
    longest_delay_s: float = 300.0
    give_up_s: float = 86_400.0
    trip_after: int = 5

    def delay_s(self, attempts: int) -> float:
        """How long to wait after that many attempts."""
        return min(self.longest_delay_s, self.first_delay_s * 2.0 ** min(attempts - 1, 16))


class Pace:
    """Whether a webhook takes events at all; while it does not, it is asked with one event at a time."""

    def __init__(self, policy: Policy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._failures = 0
        self._trips = 0
        self.resume_at = 0

    @property
    def is_suspect(self) -> bool:
        """Nothing but a single try until one succeeds."""
        return self._failures >= self._policy.trip_after

    @property
    def is_paused(self) -> bool:
        """Not even that."""
        return self.is_suspect and self._clock.now_ms() < self.resume_at

    def succeeded(self) -> None:
        """It took one."""
        self._failures = self._trips = 0

    def failed(self) -> None:
        """It did not."""
        self._failures += 1
        if self.is_suspect:
            self._trips += 1
            self.resume_at = self.due_after(self._trips)

    def relent(self) -> None:
        """There is nothing to try it with but what is new."""
        self._failures = min(self._failures, self._policy.trip_after - 1)

    def due_after(self, attempts: int) -> int:
        """When (ms) to try again after that many attempts; not at the same moment for all."""
        delay_s = self._policy.delay_s(attempts) * self._clock.jitter(0.85, 1.0)
        return self._clock.now_ms() + int(delay_s * 1000)

    def gives_up(self, first_at: int) -> bool:
        """Whether an event first tried then (ms) has been tried for long enough."""
        return self._clock.now_ms() - first_at >= self._policy.give_up_s * 1000
