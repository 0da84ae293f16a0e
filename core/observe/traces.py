"""Traces: which part of a request took how long, told to an OpenTelemetry collector where the settings name one.

A span is a part: a request, a statement, a call. What is not part of a recorded request has none, so looks at the
clock and background reads are not told of. Without a collector nothing is recorded, and ``span`` costs one look at a
context variable. The work itself is that of ``core.observe.otlp``, which is not even imported then.

Spans hold nothing but the attributes of ``ATTRIBUTES``: no values of statements, keys, query strings or headers.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar, Token
from typing import Literal, NamedTuple, Protocol, Self

Kind = Literal["internal", "server", "client", "producer"]
Value = str | int | float
Attributes = Mapping[str, Value]
# W3C Trace Context §3.2; ids of zeros only are none
TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})", re.ASCII)

ATTRIBUTES = {
    "http.request.method": "method of a request, ours or one we send",
    "http.route": "route of the request, such as `/api/sessions/{id}`",
    "http.response.status_code": "HTTP status of our reply",
    "url.scheme": "`http` or `https`, as the client sees us",
    "url.path": "path of the request as in the log: without its query, what is long and opaque left out",
    "url.template": "path of WeChat's API, without its query",
    "error.type": "our name of the error, WeChat's outcome, or the class of an exception",
    "user.id": "id of the user",
    "session.id": "id of the session",
    "db.system.name": "`mysql`, `sqlite` or `redis`",
    "db.operation.name": "first word of a statement",
    "db.query.text": "the statement, with `%s` for each value, cut after 1000 characters",
    "db.query.summary": "names of the commands of a pipeline to Redis",
    "messaging.system": "`redis`",
    "messaging.destination.name": "the stream",
    "messaging.batch.message_count": "how many events",
    "kaimen.request_id": "as in the log and the reply",
    "kaimen.code": "code of the error, as in the reply",
    "kaimen.batch.items": "how many were written, read or sent together",
    "kaimen.wechat.api": "WeChat's API",
    "kaimen.wechat.appid": "whose WeChat app",
    "kaimen.wechat.outcome": "`ok`, `refused`, or how the call failed",
    "kaimen.wechat.errcode": "WeChat's error number",
    "kaimen.wechat.rid": "WeChat's id of a refused call, for its support",
    "kaimen.webhook": "name of a webhook",
    "kaimen.webhook.outcome": "`ok`, `http_<status>`, or why there was no answer",
    "kaimen.event_id": "id of an event",
}


class Parent(NamedTuple):
    """Whoever called, as a ``traceparent`` tells it."""

    trace_id: str
    span_id: str
    sampled: bool


class Span:
    """A part of a trace; this one is none, and costs nothing."""

    @property
    def is_recorded(self) -> bool:
        """Whether anybody will read of it: it was sampled and has not ended."""
        return False

    @property
    def trace_id(self) -> str:
        """32 hex digits, or nothing."""
        return ""

    @property
    def traceparent(self) -> str:
        """For whom we call, or nothing."""
        return ""

    def __enter__(self) -> Self:
        """What happens within the block is part of it."""
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        """Ends it; an exception makes it a failed one."""

    def set(self, attributes: Attributes) -> None:
        """What else is known of it; names of ``ATTRIBUTES`` only."""

    def fail(self, error_type: str) -> None:
        """It did not come out as it should."""

    def enter(self) -> None:
        """What this task and those it starts do from here on is part of it, until ``end``."""

    def end(self) -> None:
        """It is over; to say so twice does no harm."""


class Tracer(Protocol):
    """Where spans are recorded."""

    def begin(self, name: str, kind: Kind, attributes: Attributes, parent: Span, links: Sequence[Span]) -> Span:
        """A part of ``parent``."""
        ...

    def begin_trace(
        self, name: str, kind: Kind, attributes: Attributes, parent: Parent | None, link: Parent | None
    ) -> Span:
        """A trace, or what we do for ``parent``; sampled or not, as the sampler decides."""
        ...


NO_SPAN = Span()
_current: ContextVar[Span | None] = ContextVar("span", default=None)
_tracers: list[Tracer] = []


@contextmanager
def traced_by(tracer: Tracer) -> Iterator[None]:
    """Within the block spans are recorded."""
    _tracers.append(tracer)
    try:
        yield
    finally:
        _tracers.remove(tracer)


def is_on() -> bool:
    """Whether spans are recorded at all."""
    return bool(_tracers)


def attach(span: Span) -> "Token[Span | None]":
    """It is the current span from here on; ``detach`` takes the result."""
    return _current.set(span)


def detach(outside: "Token[Span | None]") -> None:
    """What was current before is so again."""
    _current.reset(outside)


def current() -> Span | None:
    """The span that whatever happens now is part of; None is by far the commonest answer."""
    found = _current.get()
    return found if found is not None and found.is_recorded else None


def span(name: str, kind: Kind, attributes: Attributes, links: Sequence[Span] = ()) -> Span:
    """A part of the current span, and none where there is none."""
    parent = current()
    return _tracers[-1].begin(name, kind, attributes, parent, links) if parent and _tracers else NO_SPAN


def trace(
    name: str, kind: Kind, attributes: Attributes, parent: Parent | None = None, link: Parent | None = None
) -> Span:
    """A trace of its own, or a part of that of whoever called; ``link`` is only pointed at."""
    return _tracers[-1].begin_trace(name, kind, attributes, parent, link) if _tracers else NO_SPAN


def together(
    name: str, kind: Kind, attributes: Attributes, members: Sequence[Span | None]
) -> AbstractContextManager[object]:
    """Work that is done at once for several: ``members`` are the spans that wait for it.

    It is a part of the first one, and linked to all where they are several; each of the others gets a part that
    is linked to it. So every trace tells of the work, and the work tells for whom it was done.
    """
    return _together(name, kind, attributes, members) if _tracers else NO_SPAN


@contextmanager
def _together(name: str, kind: Kind, attributes: Attributes, members: Sequence[Span | None]) -> Iterator[None]:
    parents = list(dict.fromkeys(one for one in members if one is not None and one.is_recorded))
    outside = _current.set(parents[0] if parents else None)
    try:
        with span(name, kind, attributes, parents if len(parents) > 1 else ()) as work:
            others = [_tracers[-1].begin(name, "internal", attributes, one, [work]) for one in parents[1:]]
            try:
                yield
            finally:
                for one in others:
                    one.end()
    finally:
        _current.reset(outside)


def parse_traceparent(header: str) -> Parent | None:
    """None for what is not well-formed."""
    found = TRACEPARENT.fullmatch(header)
    return Parent(found[1], found[2], bool(int(found[3], 16) & 1)) if found else None
