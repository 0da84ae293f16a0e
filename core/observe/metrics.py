"""The table of metrics: what is counted, under which labels; served as Prometheus text on the admin port.

Counting happens on the hot path and reading every few seconds, so the instruments here are plain dictionaries of
numbers (a count 0.15 µs, an observation 0.2 µs; those of prometheus_client lock, and cost 1.1 and 0.7), and
prometheus_client writes the text when somebody asks. They belong to the thread of the event loop.

A label's value comes from a table of ours or from the settings, never from a client: each new one is a new series.
"""

import platform
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.metadata import version
from typing import Any

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

SERIES_MAX = 2000  # of one metric; whatever comes then is counted together
OTHER = "other"

Labels = tuple[str, ...]
Bucket = tuple[str, float] | tuple[str, float, Exemplar]
Reader = Callable[[], float | Mapping[Labels, float]]


class Instrument(ABC):
    """One row of the table; ``name`` without Prometheus's own endings (``_total``, ``_bucket`` …)."""

    kind: str

    def __init__(self, name: str, about: str, *labels: str) -> None:
        self.name = f"kaimen_{name}"
        self.about = about
        self.labels = labels
        TABLE.append(self)

    @abstractmethod
    def family(self) -> Metric:
        """All series as they are now."""

    def _bounded(self, rows: Mapping[Labels, Any], labels: Labels) -> Labels:
        """The labels under which a new series is kept."""
        if len(labels) != len(self.labels):
            raise TypeError(f"{self.name} has the labels {self.labels}")
        return labels if len(rows) < SERIES_MAX else (OTHER,) * len(labels)


TABLE: list[Instrument] = []


class Counter(Instrument):
    """Rises only: ``LOGINS.inc("login", "ok")``."""

    kind = "counter"

    def __init__(self, name: str, about: str, *labels: str) -> None:
        super().__init__(name, about, *labels)
        self._rows: dict[Labels, float] = {} if labels else {(): 0}

    def inc(self, *labels: str, by: float = 1) -> None:
        """One more (or ``by`` more). ``by=0`` makes the series known before anything happened."""
        try:
            self._rows[labels] += by
        except KeyError:
            row = self._bounded(self._rows, labels)
            self._rows[row] = self._rows.get(row, 0) + by

    def value(self, *labels: str) -> float:
        """The count so far."""
        return self._rows.get(labels, 0)

    def family(self) -> Metric:
        """See ``Instrument``."""
        family = CounterMetricFamily(self.name, self.about, labels=self.labels)
        for labels, value in self._rows.items():
            family.add_metric(labels, value)
        return family


class Histogram(Instrument):
    """How values are spread: ``REQUEST_S.observe(0.012, "/api/auth")``. Few buckets: each is a series."""

    kind = "histogram"

    def __init__(self, name: str, about: str, *labels: str, bounds: tuple[float, ...]) -> None:
        super().__init__(name, about, *labels)
        self._bounds = bounds
        self._rows: dict[Labels, list[float]] = {}
        self._examples: dict[tuple[int, int], Exemplar] = {}  # by row and bucket; rows are never removed

    def observe(self, value: float, *labels: str, trace_id: str = "") -> None:
        """One more value; ``trace_id`` makes it the example of its bucket, which leads to the trace (OpenMetrics)."""
        row = self._rows.get(labels)
        if row is None:
            row = self._rows.setdefault(self._bounded(self._rows, labels), [0] * (len(self._bounds) + 2))
        bucket = bisect_left(self._bounds, value)
        row[bucket] += 1
        row[-1] += value
        if trace_id:
            self._examples[id(row), bucket] = Exemplar({"trace_id": trace_id}, value)

    def count(self, *labels: str) -> float:
        """How many values so far."""
        return sum(self._rows.get(labels, [0])[:-1])

    def family(self) -> Metric:
        """See ``Instrument``."""
        family = HistogramMetricFamily(self.name, self.about, labels=self.labels)
        for labels, row in self._rows.items():
            family.add_metric(labels, list(self._buckets(row)), row[-1])
        return family

    def _buckets(self, row: list[float]) -> Iterator[Bucket]:
        total = 0.0
        for number, bound in enumerate((*self._bounds, float("inf"))):
            total += row[number]
            name, example = "+Inf" if bound == float("inf") else str(bound), self._examples.get((id(row), number))
            yield (name, total, example) if example else (name, total)


class Gauge(Instrument):
    """What is so at the moment, asked when Prometheus asks: ``POOL.watch(lambda: {("idle",): 3, ("busy",): 1})``."""

    kind = "gauge"

    def __init__(self, name: str, about: str, *labels: str) -> None:
        super().__init__(name, about, *labels)
        self._readers: list[Reader] = []

    def watch(self, reader: Reader) -> Callable[[], None]:
        """Asks ``reader`` from now on: a number, or numbers by label values; call the result to end that.

        What several readers say of the same series is added up.
        """
        self._readers.append(reader)
        return partial(self._readers.remove, reader)

    def value(self, *labels: str) -> float:
        """What the readers say."""
        return self._read().get(labels, 0)

    def family(self) -> Metric:
        """See ``Instrument``."""
        family = GaugeMetricFamily(self.name, self.about, labels=self.labels)
        for labels, value in self._read().items():
            family.add_metric(labels, value)
        return family

    def _read(self) -> dict[Labels, float]:
        values: dict[Labels, float] = {}
        for reader in self._readers:
            found = reader()
            for labels, value in (found if isinstance(found, Mapping) else {(): found}).items():
                values[labels] = values.get(labels, 0) + value
        return values


class _Table(Collector):
    def collect(self) -> Iterator[Metric]:
        return (instrument.family() for instrument in TABLE)


REGISTRY = CollectorRegistry(auto_describe=False)
REGISTRY.register(_Table())
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)


def expose(accept: str) -> tuple[bytes, str]:
    """All metrics in the form that ``Accept`` asks for (Prometheus text or OpenMetrics), and its content type."""
    encode, content_type = choose_encoder(accept)
    return encode(REGISTRY), content_type


# --- the table ---

LATENCY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)

BUILD = Gauge("build_info", "1, with the version of Kaimen and of Python as labels", "version", "python")
BUILD.watch(lambda: {(version("kaimen"), platform.python_version()): 1})

REQUESTS = Counter("http_requests", "Requests answered, by the code of the reply (200, or the contract's number)",
                   "route", "method", "code")  # fmt: skip
REQUEST_S = Histogram("http_request_seconds", "Seconds from a request's first byte to the reply's last", "route",
                      bounds=LATENCY_S)  # fmt: skip
DECRYPT_FAILURES = Counter("decrypt_failures", "Open data that did not decrypt, by the reason of 4003", "reason")
LIMITED = Counter("limited", "Requests refused by a limit of KAIMEN_LIMITS", "limit")

WECHAT_CALLS = Counter("wechat_calls", "Calls to WeChat; errcode is empty unless the outcome is refused",
                       "api", "appid", "outcome", "errcode")  # fmt: skip
WECHAT_S = Histogram("wechat_call_seconds", "Seconds a call to WeChat took", "api", bounds=LATENCY_S)
WECHAT_BREAKER = Gauge("wechat_breaker_state", "Circuit breaker of an API: 0 closed, 1 half-open, 2 open", "api")
ACCESS_TOKEN_FETCHES = Counter("access_token_fetches", "access_tokens asked for: normal, forced, or elsewhere",
                               "appid", "how")  # fmt: skip
ACCESS_TOKEN_REFUSED = Counter("access_token_refused", "access_tokens that WeChat refused before their end: somebody "
                               "else fetches tokens of the same appid", "appid")  # fmt: skip

DB_S = Histogram("db_seconds", "Seconds of a transaction or read, with its retries and the wait for a connection",
                 "kind", bounds=LATENCY_S)  # fmt: skip
DB_RETRIES = Counter("db_retries", "Transactions and reads tried again, by reason", "reason")
DB_FAILURES = Counter("db_failures", "Transactions and reads given up: the database was not usable in time")
DB_POOL = Gauge("db_pool", "Calls that have a connection (busy), that wait for one, and how many may have one (size)",
                "state")  # fmt: skip
BATCH = Histogram("batch_items", "Items written, read or sent together", "batch",
                  bounds=(1, 2, 4, 8, 16, 32, 64, 128))  # fmt: skip
REDIS_S = Histogram("redis_seconds", "Seconds of a pipeline to Redis", bounds=LATENCY_S)
REDIS_FAILURES = Counter("redis_failures", "Pipelines that failed and error replies, by kind", "kind")
REDIS_POOL = Gauge("redis_pool", "Pipelines under way (busy), commands that wait for the next, and how many pipelines "
                   "there may be (size)", "state")  # fmt: skip

LOGINS = Counter("logins", "Sign-ins by action, method (wechat, password, refresh, scan) and outcome (ok, new, or the "
                 "error)", "action", "method", "outcome")  # fmt: skip
SCANS = Counter("scans", "QR logins by the step they came to: shown, scanned, confirmed, redeemed, cancelled, or "
                "expired (where somebody still looked)", "step", "channel")  # fmt: skip
SCAN_TOLD_S = Histogram("scan_told_seconds", "Seconds from a confirmation on the phone to its message to the browser",
                        bounds=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2))  # fmt: skip
REFRESH_REUSED = Counter("refresh_reused", "Old refresh tokens that came again: their sessions were revoked")
PASSWORDS = Gauge("passwords_waiting", "Passwords that are being checked or wait for it")
SOCKETS = Gauge("sockets", "Open WebSockets")
UNDER_WAY = Gauge("http_requests_under_way", "Requests that have not been answered yet")
FEED_AGE_S = Gauge("revocation_feed_age_seconds", "Seconds since the revocation feed was last read")
CLOCK_SKEW_S = Gauge("clock_skew_seconds", "By how much our clock is ahead of the database's or Redis's, whichever is "
                     "nearer")  # fmt: skip
AUDIT_DROPPED = Counter("audit_dropped", "Audit entries of refused sign-ins that could not be written")
ACCEPT_RESTS = Counter("accept_rests", "Half seconds in which no connection was accepted: no descriptors were left")
LOG_LINES = Counter("log_lines", "Log lines by level", "level")
LOG_DROPPED = Counter("log_lines_dropped", "Log lines dropped because the output was full, slow or gone")
SPANS = Counter("spans", "Spans of traces: sent, refused by the collector (or not taken in time), dropped because the "
                "queue was full", "outcome")  # fmt: skip
LOOP_LAG_S = Histogram("loop_lag_seconds", "By how much the event loop was late, looked at four times a second",
                       bounds=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1))  # fmt: skip

EVENTS = Counter("events_published", "Events appended to the stream by this process")
EVENT_LAG_S = Histogram("event_lag_seconds", "Seconds from an event's change to its place in the stream",
                        bounds=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600))  # fmt: skip
RELAY = Gauge("relay", "1 in the process that relays events, 0 in the others")
RELAY_STALLED_S = Gauge("relay_stalled_seconds", "Seconds for which the relay has not been able to publish what waits")
WEBHOOK_POSTS = Counter("webhook_posts", "Events posted to a webhook: ok, http_<status>, or why there was no answer",
                        "webhook", "outcome")  # fmt: skip
WEBHOOK_PAUSED = Gauge("webhook_paused", "1 while a webhook takes nothing and is asked with one event at a time",
                       "webhook")  # fmt: skip

CALLBACKS = Counter("callbacks", "Deliveries of callbacks: kept, repeated, done, put_off (tried again later) and dead",
                    "source", "outcome")  # fmt: skip
CALLBACK_S = Histogram("callback_work_seconds", "Seconds from the arrival of a callback to the end of its work",
                       "source", bounds=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300))  # fmt: skip
