"""A circuit breaker: when half of the calls to an API fail, spare it and answer at once.

| state     | a call          | success                | failure                              |
|-----------|-----------------|------------------------|--------------------------------------|
| closed    | goes through    | counted                | counted; half of ≥ 20 in 10 s: open  |
| open      | refused         | –                      | –                                    |
| half-open | one probe goes  | closed, counts cleared | open for another 10 s                |

Open becomes half-open after 10 s. A result that was under way when the state changed no longer counts.
"""

from collections import deque

from core.clock import Clock

WINDOW_S = 10
OPEN_S = 10.0
MIN_CALLS = 20
FAILURE_RATIO = 0.5


class Breaker:
    """``enter`` before a call, ``leave`` after it, also when it was cancelled."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._epoch = 0
        self._opened_at: float | None = None
        self._probing = False
        self._seconds: deque[list[int]] = deque()  # [second, calls, failures]

    def enter(self) -> int | None:
        """A ticket for ``leave``, or None: do not call."""
        if self._opened_at is not None:
            if self._probing or self._clock.monotonic() < self._opened_at + OPEN_S:
                return None
            self._probing = True
        return self._epoch

    def leave(self, ticket: int, ok: bool | None) -> None:
        """``ok`` is None when the call ended without telling anything about WeChat (cancelled)."""
        if ticket != self._epoch:
            return
        if self._opened_at is not None:
            self._end_probe(ok)
        elif ok is not None:
            self._count(ok)

    @property
    def state(self) -> int:
        """0 closed, 1 half-open, 2 open."""
        if self._opened_at is None:
            return 0
        return 1 if self._clock.monotonic() >= self._opened_at + OPEN_S else 2

    def retry_after_s(self) -> int:
        """Whole seconds until a call may go through, at least 1."""
        if self._opened_at is None:
            return 1
        return max(1, round(self._opened_at + OPEN_S - self._clock.monotonic()))

    def _end_probe(self, ok: bool | None) -> None:
        self._probing = False
        if ok is not None:
            self._turn(open_=not ok)

    def _count(self, ok: bool) -> None:
        second = int(self._clock.monotonic())
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append([second, 0, 0])
        while self._seconds[0][0] <= second - WINDOW_S:
            self._seconds.popleft()
        self._seconds[-1][1] += 1
        self._seconds[-1][2] += not ok
        calls = sum(row[1] for row in self._seconds)
        if calls >= MIN_CALLS and sum(row[2] for row in self._seconds) >= calls * FAILURE_RATIO:
            self._turn(open_=True)

    def _turn(self, *, open_: bool) -> None:
        self._epoch += 1
        self._opened_at = self._clock.monotonic() if open_ else None
        self._seconds.clear()
