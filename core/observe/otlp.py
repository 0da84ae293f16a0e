"""Spans by the OpenTelemetry SDK, sent to a collector by OTLP over HTTP (protobuf).

Imported only where ``KAIMEN_OTLP_URL`` is set: the SDK costs memory and a tenth of a second. A thread sends what has
gathered. A collector that is slow, away or refuses holds up nothing: what finds the queue full, or is not taken in
time, is dropped and counted. Sampler, queue and headers are those of OpenTelemetry's own environment variables
(``OTEL_TRACES_SAMPLER``, ``OTEL_BSP_…``, ``OTEL_EXPORTER_OTLP_HEADERS``, ``OTEL_RESOURCE_ATTRIBUTES`` …).
"""

import asyncio
import contextlib
import logging
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import Token
from importlib.metadata import version
from typing import Self
from urllib.parse import urlsplit

from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from core.clock import Clock
from core.errors import AppError
from core.observe import metrics
from core.observe.logs import get_logger
from core.observe.traces import ATTRIBUTES, Attributes, Kind, Parent, Span, Value, attach, detach, traced_by

PATH = "/v1/traces"
QUEUE_MAX = 4096  # spans
EXPORT_S = 3.0  # of one export; and when the process ends, for beginning another
STOP_S = 6.0
TEXT_MAX = 1000  # characters of an attribute
OF_THREAD = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk._shared_internal",
    "urllib3.connectionpool",
)
KINDS: dict[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
}
FAILED = Status(StatusCode.ERROR)


class RecordedSpan(Span):
    """A span of the SDK."""

    def __init__(self, span: api.Span) -> None:
        self._span = span
        self._outside: Token[Span | None] | None = None

    @property
    def is_recorded(self) -> bool:
        """See ``Span``."""
        return self._span.is_recording()

    @property
    def trace_id(self) -> str:
        """See ``Span``."""
        return f"{self._span.get_span_context().trace_id:032x}"

    @property
    def traceparent(self) -> str:
        """See ``Span``."""
        context = self._span.get_span_context()
        return f"00-{self.trace_id}-{context.span_id:016x}-{context.trace_flags:02x}"

    def __enter__(self) -> Self:
        self._outside = attach(self)
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if self._outside is not None:
            detach(self._outside)
        if error is not None:
            self.fail(error.code.error if isinstance(error, AppError) else type(error).__name__)
        self.end()

    def set(self, attributes: Attributes) -> None:
        """See ``Span``."""
        self._span.set_attributes(_listed(attributes))

    def fail(self, error_type: str) -> None:
        """See ``Span``."""
        self._span.set_attribute("error.type", error_type)
        self._span.set_status(FAILED)

    def enter(self) -> None:
        """See ``Span``."""
        attach(self)

    def end(self) -> None:
        """See ``Span``."""
        if self._span.is_recording():
            self._span.end()

    def as_link(self) -> Link:
        """What points at it."""
        return Link(self._span.get_span_context())

    def as_context(self) -> Context:
        """For its parts."""
        return api.set_span_in_context(self._span, Context())


class OtlpTracer:
    """A ``Tracer`` over one provider of the SDK."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("kaimen", version("kaimen"))

    def begin(self, name: str, kind: Kind, attributes: Attributes, parent: Span, links: Sequence[Span]) -> Span:
        """See ``Tracer``."""
        context = parent.as_context() if isinstance(parent, RecordedSpan) else Context()
        pointed_at = [one.as_link() for one in links if isinstance(one, RecordedSpan)]
        return self._start(name, kind, attributes, context, pointed_at)

    def begin_trace(
        self, name: str, kind: Kind, attributes: Attributes, parent: Parent | None, link: Parent | None
    ) -> Span:
        """See ``Tracer``."""
        context = Context()
        if parent:
            context = api.set_span_in_context(NonRecordingSpan(_remote(parent)), context)
        return self._start(name, kind, attributes, context, [Link(_remote(link))] if link else [])

    def _start(self, name: str, kind: Kind, attributes: Attributes, context: Context, links: list[Link]) -> Span:
        return RecordedSpan(self._tracer.start_span(name, context, KINDS[kind], _listed(attributes), links))


class _Exporter(SpanExporter):
    """Sends and counts, in the thread of the SDK; once the process ends, only for ``STOP_S`` more."""

    def __init__(self, sender: SpanExporter, clock: Clock, tell: Callable[[bool], None]) -> None:
        self.taken = 0  # spans that left the queue
        self.ends_at = float("inf")
        self._sender = sender
        self._clock = clock
        self._tell = tell
        self._works = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See ``SpanExporter``."""
        self.taken += len(spans)
        in_time = self._clock.monotonic() < self.ends_at
        result = self._sender.export(spans) if in_time else SpanExportResult.FAILURE
        works = result is SpanExportResult.SUCCESS
        metrics.SPANS.inc("sent" if works else "refused", by=len(spans))
        if works != self._works:
            self._works = works
            self._tell(works)
        return result

    def shutdown(self) -> None:
        """See ``SpanExporter``."""
        self._sender.shutdown()


class _Processor(BatchSpanProcessor):
    """Counts what finds the queue full; belongs to the thread of the event loop."""

    def __init__(self, exporter: _Exporter) -> None:
        super().__init__(exporter, max_queue_size=QUEUE_MAX)
        self._ours = exporter
        self._given = 0

    def on_end(self, span: ReadableSpan) -> None:
        """See ``SpanProcessor``."""
        if self._given - self._ours.taken >= QUEUE_MAX:
            metrics.SPANS.inc("dropped")
            return
        self._given += 1
        super().on_end(span)


@asynccontextmanager
async def tracing(url: str, env: str, clock: Clock) -> AsyncIterator[None]:
    """Within the block spans are recorded and sent to the collector; then what is left, within ``STOP_S``."""
    for name in OF_THREAD:
        logging.getLogger(name).addFilter(_nothing)
    for outcome in ("sent", "refused", "dropped"):  # no thread makes a row of its own
        metrics.SPANS.inc(outcome, by=0)
    exporter = _Exporter(OTLPSpanExporter(endpoint_of(url), timeout=EXPORT_S), clock, _teller())
    limits = SpanLimits(max_span_attribute_length=TEXT_MAX)
    provider = TracerProvider(resource=_resource(env, clock), span_limits=limits, shutdown_on_exit=False)
    provider.add_span_processor(_Processor(exporter))
    try:
        with traced_by(OtlpTracer(provider)):
            yield
    finally:
        exporter.ends_at = clock.monotonic() + EXPORT_S
        await _ended(provider.shutdown)


def endpoint_of(url: str) -> str:
    """Where spans are posted: below a URL without a path at OTLP's own, else exactly there."""
    return url if urlsplit(url).path.strip("/") else url.rstrip("/") + PATH


def _resource(env: str, clock: Clock) -> Resource:
    ours: dict[str, str | int] = {
        "service.name": "kaimen",
        "service.version": version("kaimen"),
        "service.instance.id": clock.new_id(),
        "deployment.environment.name": env,
        "host.name": socket.gethostname(),
        "process.pid": os.getpid(),
    }
    return Resource({**ours}).merge(OTELResourceDetector().detect())


def _teller() -> Callable[[bool], None]:
    """Brings a change from the thread that sends to the log, which belongs to the event loop."""
    loop = asyncio.get_running_loop()

    def tell(works: bool) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(_log_change, works)

    return tell


def _log_change(works: bool) -> None:
    if works:
        get_logger().info("traces are taken again")
    else:
        get_logger().warning("traces are not taken", setting="KAIMEN_OTLP_URL")


async def _ended(work: Callable[[], None]) -> None:
    """Waits for ``work`` in a thread that does not outlive the process, and not longer than ``STOP_S``."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def run() -> None:
        work()
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=run, daemon=True).start()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_S):
            await done.wait()


def _nothing(_record: logging.LogRecord) -> bool:
    """The exporter's own lines are written by its thread, and one for each try; ours are enough."""
    return False


def _remote(parent: Parent) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if parent.sampled else TraceFlags.DEFAULT)
    return SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=flags)


def _listed(attributes: Attributes) -> dict[str, Value]:
    return {name: value for name, value in attributes.items() if name in ATTRIBUTES}
