"""What is counted and logged of each call to WeChat."""

from core.observe import metrics
from core.observe.logs import get_logger


def note_call(api: str, appid: str, outcome: str, errcode: int | None, rid: str | None, duration_s: float) -> None:
    """Counts the call; one line for each that did not simply succeed, those that did are at debug level."""
    metrics.WECHAT_CALLS.inc(api, appid, outcome, "" if errcode is None else str(errcode))
    metrics.WECHAT_S.observe(duration_s, api)
    write = get_logger().debug if outcome == "ok" else get_logger().info
    write("wechat", api=api, appid=appid, outcome=outcome, errcode=errcode, rid=rid, ms=round(duration_s * 1000, 1))
