"""The day that is replayed: how many people have the mini-program open at which hour, compressed into minutes."""

import itertools
import math
from dataclasses import dataclass

DAY, RUSH, AFTER = "day", "rush", "after"
SHARES = {DAY: 0.84, RUSH: 0.1, AFTER: 0.06}  # of the run
CALM = 0.1  # of all clients, after the rush
# Hour and share of all clients: a quiet night, the morning, noon, the afternoon, the evening.
CURVE = (
    (0.0, 0.2), (2.0, 0.08), (4.5, 0.04), (6.0, 0.1), (8.0, 0.5), (9.5, 0.62), (11.0, 0.6), (12.0, 1.0), (13.0, 1.0),
    (14.5, 0.55), (17.0, 0.5), (18.5, 0.7), (20.0, 1.0), (21.5, 1.0), (23.0, 0.5), (24.0, 0.25),
)  # fmt: skip


@dataclass(frozen=True)
class Moment:
    """What is going on: the phase, the hour of the day in the first, and the share of clients that are there."""

    phase: str
    hour: float | None
    share: float


def moment_of(progress: float) -> Moment:
    """At this part of the run, from 0 to 1."""
    if progress < SHARES[DAY]:
        hour = 24 * progress / SHARES[DAY]
        return Moment(DAY, hour, share_at(hour))
    is_rush = progress < SHARES[DAY] + SHARES[RUSH]
    return Moment(RUSH, None, 1.0) if is_rush else Moment(AFTER, None, CALM)


def share_at(hour: float) -> float:
    """Between two points of the curve, without a kink."""
    for (start, low), (end, high) in itertools.pairwise(CURVE):
        if hour <= end:
            way = (1 - math.cos(math.pi * (hour - start) / (end - start))) / 2
            return low + (high - low) * way
    return CURVE[-1][1]
