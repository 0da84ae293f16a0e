"""The only source of time and randomness, so that tests can hold both still."""

import random
import secrets
import time
from dataclasses import dataclass

import uuid_utils


class Clock:
    """Wall clock, monotonic clock, randomness. Tests pass a subclass that they move by hand."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC: the unit of every stored time."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds of a clock that never steps, for budgets and back-off."""
        return time.monotonic()

    def new_id(self) -> str:
        """A UUIDv7 as 32 hex digits: unique, and ascending in time, so that new rows share index pages."""
        return uuid_utils.uuid7().hex

    def token(self, bits: int) -> str:
        """An unguessable URL-safe token of that many random bits."""
        return secrets.token_urlsafe(bits // 8)

    def random_bytes(self, count: int) -> bytes:
        """That many random bytes, for keys."""
        return secrets.token_bytes(count)

    def jitter(self, low: float, high: float) -> float:
        """A random number between the two, for back-off; not for secrets."""
        return random.uniform(low, high)  # noqa: S311 - spreads retries, guards nothing


@dataclass(frozen=True, slots=True)
class Deadline:
    """The one time budget of a request: made once, passed down, asked how much is left."""

    clock: Clock
    at: float

    @classmethod
    def after(cls, clock: Clock, seconds: float) -> "Deadline":
        """The moment that many seconds from now."""
        return cls(clock, clock.monotonic() + seconds)

    def remaining_s(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.at - self.clock.monotonic())
