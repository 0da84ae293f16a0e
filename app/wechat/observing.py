"""What is counted, logged and traced of each call to WeChat."""

from typing import Any

from app.wechat.errcodes import Refusal
from app.wechat.transport import Failure
from app.wechat.wire import Endpoint
from core.observe import metrics, traces
from core.observe.logs import get_logger


def note_call(api: str, appid: str, outcome: str, errcode: int | None, rid: str | None, duration_s: float) -> None:
    """Counts the call; one line for each that did not simply succeed, those that did are at debug level."""
    metrics.WECHAT_CALLS.inc(api, appid, outcome, "" if errcode is None else str(errcode))
    metrics.WECHAT_S.observe(duration_s, api)
    write = get_logger().debug if outcome == "ok" else get_logger().info
    write("wechat", api=api, appid=appid, outcome=outcome, errcode=errcode, rid=rid, ms=round(duration_s * 1000, 1))


def span_of(endpoint: Endpoint, appid: str) -> traces.Span:
    """The span of one try; without the query, which holds secrets. WeChat is sent nothing of it."""
    if traces.current() is None:
        return traces.NO_SPAN
    about = {"http.request.method": endpoint.method, "url.template": endpoint.path}
    whose = {"kaimen.wechat.api": endpoint.name, "kaimen.wechat.appid": appid}
    return traces.span(f"{endpoint.method} {endpoint.path}", "client", about | whose)


def note_result(span: traces.Span, result: Any) -> None:
    """How the try ended."""
    if isinstance(result, Refusal):
        span.set({"kaimen.wechat.outcome": "refused", "kaimen.wechat.errcode": result.errcode})
        span.set({"kaimen.wechat.rid": result.rid or ""})
        span.fail("refused")
    elif isinstance(result, Failure):
        span.set({"kaimen.wechat.outcome": result.outcome})
        span.fail(result.outcome)
    else:
        span.set({"kaimen.wechat.outcome": "ok"})
