"""What a day under load was like: kept for each second, summed up, held against the targets."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from load_wire import NO_ANSWER

KINDS = {
    "login": "Login by code",
    "autoLogin": "Refresh (autoLogin)",
    "profile": "Profile",
    "change": "Change of the profile",
    "scan": "QR login, its requests",
    "told": "Confirmed → browser told",
}
REQUESTS = ("login", "autoLogin", "profile", "change", "scan")  # "told" is a time, and no request
ALLOWED = {429, 502, 503, 504}
STEP = 1.04  # a bucket of latencies ends that much after the one before
CROWDED = 0.95  # of all clients: seconds that count as having all of them
P99_CROWDED_MS, P99_CARRIED_MS, ERRORS_PERCENT, GROWTH_PERCENT = 800.0, 200.0, 0.15, 5.0

Histogram = Counter[int]


def bucket_of(seconds: float) -> int:
    """The bucket of a latency; the one of 1 ms is 0."""
    return round(math.log(max(seconds * 1000, 0.05), STEP))


def percentile(histogram: Histogram, share: float) -> float | None:
    """Milliseconds, to 2 %; None where nothing was measured."""
    left = histogram.total() * share
    for bucket in sorted(histogram):
        left -= histogram[bucket]
        if left <= 0:
            return float(STEP**bucket)
    return None


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """All in one."""
    together: Histogram = Counter()
    for one in histograms:
        together.update(one)
    return together


@dataclass
class Second:
    """One second of the run; ``cores`` is CPU by who used it, as a share of a core."""

    phase: str
    hour: float | None  # of the day; None outside of it
    clients: int = 0
    memory_mib: float = 0.0
    cores: dict[str, float] = field(default_factory=dict)
    latencies: dict[str, Histogram] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    hopeless: int = 0  # refusals that did not say when to try again

    def note(self, kind: str, status: int, taken_s: float | None) -> None:
        """An answer; only what succeeded or was refused in time says how long answers take."""
        self.requests[kind] += 1
        self.statuses[status] += 1
        if taken_s is not None and status != NO_ANSWER:
            self.time(kind, taken_s)

    def time(self, kind: str, taken_s: float) -> None:
        """How long something took."""
        self.latencies.setdefault(kind, Counter())[bucket_of(taken_s)] += 1

    def as_json(self) -> dict[str, Any]:
        """Plain values; a histogram as pairs of milliseconds and count."""
        latencies = {
            kind: [[round(STEP**bucket, 2), histogram[bucket]] for bucket in sorted(histogram)]
            for kind, histogram in self.latencies.items()
        }
        return {**vars(self), "latencies": latencies}


def is_error(status: int) -> bool:
    """Whether the client did not get what it asked for."""
    return status == NO_ANSWER or status >= 400


def count_errors(seconds: list[Second]) -> Counter[int]:
    """Answers that were none, by status."""
    found: Counter[int] = Counter()
    for second in seconds:
        found.update({status: count for status, count in second.statuses.items() if is_error(status)})
    return found


def count_answers(seconds: list[Second]) -> int:
    """All requests."""
    return sum(second.statuses.total() for second in seconds)


def latencies_of(seconds: list[Second], kinds: Iterable[str] = REQUESTS) -> Histogram:
    """Of these kinds together."""
    wanted = set(kinds)
    return merged(found for second in seconds for kind, found in second.latencies.items() if kind in wanted)


def summary(seconds: list[Second]) -> dict[str, dict[str, float | None]]:
    """Count and percentiles by kind."""
    rows: dict[str, dict[str, float | None]] = {}
    for kind in KINDS:
        found = latencies_of(seconds, (kind,))
        times = {name: percentile(found, share) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}
        rows[kind] = {"count": float(found.total()), **times}
    return rows


# --- the targets ---


@dataclass
class Target:
    """What was aimed at, and what came of it; ``held`` is None where the run could not tell."""

    name: str
    aim: str
    measured: str
    held: bool | None


def targets(seconds: list[Second], clients: int) -> list[Target]:
    """All of them."""
    crowded = [second for second in seconds if second.clients >= CROWDED * clients]
    carried = [second for second in seconds if second.hour is not None]
    return [
        of_latency(f"p99 with all {clients} clients", P99_CROWDED_MS, crowded),
        of_latency("p99 over the day", P99_CARRIED_MS, carried),
        of_errors(carried),
        of_kinds_of_errors(seconds),
        of_memory(carried),
    ]


def of_latency(name: str, aim_ms: float, seconds: list[Second]) -> Target:
    """The 99th percentile of what was answered."""
    p99 = percentile(latencies_of(seconds), 0.99)
    held = None if p99 is None else p99 < aim_ms
    return Target(name, f"under {aim_ms:.0f} ms", "not reached" if p99 is None else f"{p99:.0f} ms", held)


def of_errors(carried: list[Second]) -> Target:
    """How many, at a load that can be carried."""
    answers, errors = count_answers(carried), count_errors(carried).total()
    percent = 100 * errors / max(answers, 1)
    measured = f"{percent:.3f} % ({errors} of {answers})"
    return Target(
        "errors over the day", f"under {ERRORS_PERCENT} %", measured, percent < ERRORS_PERCENT if answers else None
    )


def of_kinds_of_errors(seconds: list[Second]) -> Target:
    """Which, at any load."""
    errors = count_errors(seconds)
    wrong = {status: count for status, count in errors.items() if status not in ALLOWED}
    hopeless = sum(second.hopeless for second in seconds)
    said = [f"{count} × {status_name(status)}" for status, count in sorted(errors.items())] or ["no error at all"]
    said += [f"{hopeless} without Retry-After"] if hopeless else []
    return Target(
        "errors at any load", "429, 502, 503, 504, with Retry-After", ", ".join(said), not wrong and not hopeless
    )


def status_name(status: int) -> str:
    """As people read it."""
    return str(status) if status != NO_ANSWER else "no answer"


def of_memory(carried: list[Second]) -> Target:
    """From the peak at noon to that in the evening, medians of both: caches are filled by then."""
    grown = growth(carried)
    aim = f"grows less than {GROWTH_PERCENT:.0f} %"
    if grown is None:
        return Target("memory of the server", aim, "not reached", None)
    before, after = grown
    percent = 100 * (after / before - 1)
    measured = f"{before:.0f} → {after:.0f} MiB ({percent:+.1f} %)"
    return Target("memory of the server", aim, measured, percent < GROWTH_PERCENT)


def growth(carried: list[Second]) -> tuple[float, float] | None:
    """MiB at noon and in the evening, at like load; None where the day did not come that far."""
    parts = [
        sorted(second.memory_mib for second in carried if first <= (second.hour or 0) <= last)
        for first, last in ((11.5, 13.5), (20.0, 22.0))
    ]
    if not all(parts):
        return None
    before, after = (part[len(part) // 2] for part in parts)
    return before, after
