"""Logs: JSON lines for machines, coloured text for people; secrets cannot get in by construction.

An event is logged with named values that the caller chose, and only with names of ``FIELDS``; request bodies, query
strings, headers and exception messages are never among them. Tracebacks are frames only, for a driver's message may
hold a value. A line written while a request is served bears its id.
"""

import json
import logging
import sys
import traceback
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, NamedTuple

import orjson
import structlog
from structlog.typing import FilteringBoundLogger

from core.observe import metrics
from core.observe.sink import Sink

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
LEVEL_COLOURS = {"warning": "33", "error": "31", "debug": "2"}
Event = MutableMapping[str, Any]
UNLISTED = "(not a field of the log)"

FIELDS = {
    "timestamp": "RFC 3339, UTC",
    "level": "`debug`, `info`, `warning`, `error`",
    "event": "what happened; `request` is the access line, `wechat` a call to WeChat",
    "request_id": "as in the reply's `X-Request-Id`; on every line written while the request was served",
    "trace_id": "of the request's trace; while traces are off, of its `traceparent` (W3C Trace Context)",
    "method": "of the request",
    "path": "of the request, without its query; what is long and opaque in it is left out",
    "status": "HTTP status",
    "code": "of the error, as in the reply",
    "cause": "of the error, for operators only",
    "ms": "how long it took",
    "user": "id of the user",
    "session": "id of the session",
    "api": "WeChat's API",
    "appid": "whose WeChat app",
    "outcome": "`ok`, `refused`, or how the call failed",
    "errcode": "WeChat's error number",
    "rid": "WeChat's id of a refused call, for its support",
    "kind": "of a transaction or read",
    "exception": "class of an unexpected exception",
    "frames": "where it happened, innermost last",
    "logger": "of a library's own line",
    "where": "file and line of it",
    "template": "its text, without the values",
    "url": "our own public URL",
    "host": "address we listen on",
    "port": "port we listen on",
    "name": "of a setting",
    "setting": "name of a setting",
    "delivery": "id of a callback in the inbox",
    "count": "how many",
    "deleted": "rows deleted, by table",
    "webhook": "name of a webhook",
    "event_id": "id of an event",
    "skew_s": "by how many seconds our clock is ahead",
}
_LISTED = frozenset(FIELDS)


class _Request(NamedTuple):
    id: str = ""
    trace_id: str = ""
    debug: bool = False


_NO_REQUEST = _Request()
_current: ContextVar[_Request] = ContextVar("request", default=_NO_REQUEST)


class _Line:
    """What structlog calls a logger: takes rendered lines."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def msg(self, message: str) -> None:
        self._sink.write(message + "\n")

    def error(self, message: str) -> None:
        self._sink.write(message + "\n", urgent=True)

    debug = info = warning = msg
    critical = error


_sink = Sink()
_bound: list[FilteringBoundLogger] = []
_of_debugged: list[FilteringBoundLogger] = []


def set_up_logs(level: str, log_format: str) -> None:
    """Once per process; also brings the libraries' own warnings into the same form."""
    _sink.flush()
    console = log_format == "console"
    renderer: Any = _for_people if console else structlog.processors.JSONRenderer(serializer=_to_json)
    stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S" if console else "iso", utc=not console)
    structlog.configure(
        processors=[structlog.processors.add_log_level, stamp, _of_request, _only_listed, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: _Line(_sink),
    )
    _bound[:] = [structlog.get_logger().bind()]  # structlog's own get_logger would bind anew at each call
    debugging = structlog.make_filtering_bound_logger(logging.DEBUG)
    _of_debugged[:] = [structlog.wrap_logger(_Line(_sink), wrapper_class=debugging).bind()]
    logging.basicConfig(handlers=[_LibraryHandler()], level=max(LEVELS[level], logging.WARNING), force=True)


def flush_logs() -> None:
    """Writes what is still gathered."""
    _sink.flush()


def get_logger() -> FilteringBoundLogger:
    """The logger: ``log.info("event", field=value)``; the fields are those of ``FIELDS``."""
    return _of_debugged[-1] if _current.get().debug else _bound[-1]


def begin_request(request_id: str, trace_id: str, *, debug: bool) -> None:
    """From here on lines of this task bear these ids; ``debug`` writes its debug lines whatever the level."""
    _current.set(_Request(request_id, trace_id, debug))


def frames_of(error: BaseException) -> list[str]:
    """Where it happened, innermost last, without any message or local value."""
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]


def _of_request(_logger: Any, _method: str, event: Event) -> Event:
    request = _current.get()
    if request.id:
        event.setdefault("request_id", request.id)
    if request.trace_id:
        event["trace_id"] = request.trace_id
    return event


def _only_listed(_logger: Any, _method: str, event: Event) -> Event:
    metrics.LOG_LINES.inc(event["level"])
    if not event.keys() <= _LISTED:
        event.update(dict.fromkeys(event.keys() - _LISTED, UNLISTED))
    return event


def _for_people(_logger: Any, _method: str, event: dict[str, Any]) -> str:
    """``12:00:01 POST /api/auth 200 16 ms`` and what else there is; a request's id only when it went wrong."""
    at, level, name = event.pop("timestamp"), event.pop("level"), event.pop("event")
    if name == "request":
        name = f"{event.pop('method'):6} {event.pop('path')} {event['status']} {event.pop('ms'):.0f} ms"
        if event.pop("status") < 400:
            event.pop("request_id", None)
            event.pop("trace_id", None)
    rest = " ".join(f"{key}={value}" for key, value in event.items() if value not in (None, ""))
    shown = level.upper() + " " if level not in ("info", "debug") else ""
    return _coloured(f"{at} {shown}{name}  {rest}".rstrip(), level)


def _coloured(line: str, level: str) -> str:
    """Printable in any case: a terminal obeys what a line tells it."""
    line = "".join(char if char.isprintable() else "�" for char in line)
    colour = LEVEL_COLOURS.get(level)
    return f"\x1b[{colour}m{line}\x1b[0m" if colour and sys.stdout.isatty() else line


def _encode(event: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(event, default=repr)
    except TypeError:  # such as half of a surrogate pair
        return json.dumps(event, default=repr).encode()


def _to_json(event: dict[str, Any], **_: Any) -> str:
    return _encode(event).decode()


def _log_errors_only() -> None:
    """Until ``set_up_logs``: what commands print is theirs alone."""
    quiet = structlog.make_filtering_bound_logger(logging.ERROR)
    logger: FilteringBoundLogger = structlog.wrap_logger(structlog.PrintLogger(sys.stderr), wrapper_class=quiet).bind()
    _bound[:], _of_debugged[:] = [logger], [logger]


class _LibraryHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        values: dict[str, Any] = {"logger": record.name, "where": f"{record.pathname}:{record.lineno}"}
        if record.exc_info and record.exc_info[1]:
            error = record.exc_info[1]
            values |= {"exception": type(error).__name__, "frames": frames_of(error)}
        level = "error" if record.levelno >= logging.ERROR else "warning"
        getattr(get_logger(), level)("library", template=str(record.msg).partition("\n")[0], **values)


_log_errors_only()
