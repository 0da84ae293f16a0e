"""The types of events and what ``data`` of each holds; ``docs/events.md`` says what it means."""

from typing import NamedTuple


class Fields(NamedTuple):
    """Names in ``data``: those always there, and those only sometimes."""

    always: tuple[str, ...] = ()
    sometimes: tuple[str, ...] = ()


TEST = "webhook.test"  # sent by kaimen webhooks test, never stored
PAYMENT = ("source", "transactionId", "outTradeNo", "amount", "currency")
OF_WECHATPAY = ("mchid", "appid", "tradeType", "payerAmount", "successTime")
REFUND = ("mchid", "transactionId", "outTradeNo", "refundId", "outRefundNo", "amount", "total", "successTime")
TYPES: dict[str, Fields] = {
    "user.created": Fields((), ("imported",)),
    "user.updated": Fields(("fields",), ("disabled", "imported", "appid", "revoked")),
    "user.bound": Fields(("appid", "kind"), ("imported",)),
    "user.merged": Fields(("userId", "mergedUserId")),
    "user.unmerged": Fields(("userId", "restoredUserId")),
    "user.deleted": Fields(("userId",)),
    "session.created": Fields(("sessionId", "method", "appid", "isNewUser", "newDevice")),
    "session.revoked": Fields(("sessionId", "reason")),
    "scan.redeemed": Fields(("sessionId", "channel", "appid", "site")),
    "payment.succeeded": Fields(PAYMENT, (*OF_WECHATPAY, "partner")),
    "refund.succeeded": Fields(REFUND),
    "refund.abnormal": Fields(REFUND),
    "refund.closed": Fields(REFUND),
    "device.bound": Fields(("partner", "deviceId")),
    "wechat.push": Fields(("appid", "msgType", "event", "message")),
}

REASONS = ("logout", "replaced", "password", "reused", "unbound", "too_many", "disabled", "admin")  # of session.revoked
