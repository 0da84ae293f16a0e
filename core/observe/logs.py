"""Logs: JSON lines for machines, coloured text for people; secrets cannot get in by construction.

An event is logged with named values that the caller chose; request bodies, query strings, headers and exception
messages are never among them. Tracebacks are frames only, for a driver's message may hold a value.
"""

import json
import logging
import sys
import traceback
from typing import Any, TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class _Stdout:
    """Standard output as it is at the moment: whoever redirects it for a while must not keep the logs."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


_bound: list[FilteringBoundLogger] = [structlog.get_logger()]


def set_up_logs(level: str, log_format: str) -> None:
    """Once per process; also brings the libraries' own warnings into the same form."""
    console = log_format == "console"
    renderer: Any = _for_people if console else structlog.processors.JSONRenderer(serializer=_to_json)
    stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S" if console else "iso", utc=not console)
    structlog.configure(
        processors=[structlog.processors.add_log_level, stamp, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Stdout())),
    )
    _bound[:] = [structlog.get_logger().bind()]  # structlog's own get_logger would bind anew at each call
    logging.basicConfig(handlers=[_LibraryHandler()], level=max(LEVELS[level], logging.WARNING), force=True)


def get_logger() -> FilteringBoundLogger:
    """The logger: ``log.info("event", name=value)``."""
    return _bound[-1]


def frames_of(error: BaseException) -> list[str]:
    """Where it happened, innermost last, without any message or local value."""
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=repr).encode


def _for_people(_logger: Any, _method: str, event: dict[str, Any]) -> str:
    """``12:00:01 POST /api/auth 200 16 ms`` and what else there is; a request's id only when it went wrong."""
    at, level, name = event.pop("timestamp"), event.pop("level"), event.pop("event")
    if name == "request":
        name = f"{event.pop('method'):6} {event.pop('path')} {event['status']} {event.pop('ms'):.0f} ms"
        if event.pop("status") < 400:
            event.pop("request_id")
    rest = " ".join(f"{key}={value}" for key, value in event.items() if value not in (None, ""))
    return f"{at} {level.upper() + ' ' if level not in ('info', 'debug') else ''}{name}  {rest}".rstrip()


def _to_json(event: dict[str, Any], **_: Any) -> str:
    return _encode(event)


class _LibraryHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        values: dict[str, Any] = {"logger": record.name, "where": f"{record.pathname}:{record.lineno}"}
        if record.exc_info and record.exc_info[1]:
            error = record.exc_info[1]
            values |= {"exception": type(error).__name__, "frames": frames_of(error)}
        level = "error" if record.levelno >= logging.ERROR else "warning"
        getattr(get_logger(), level)("library", template=str(record.msg).partition("\n")[0], **values)
