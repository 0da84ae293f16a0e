"""What WeChat Pay's notifications hold, as it is read: pure, without sockets or rows.

See: pay.weixin.qq.com, payment-notice and refund notices (fields of the envelope and of the decrypted resource).
"""

import hashlib
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import AppError, Code
from models.payments import Notified

REFUNDS = {
    "REFUND.SUCCESS": "refund.succeeded",
    "REFUND.ABNORMAL": "refund.abnormal",
    "REFUND.CLOSED": "refund.closed",
}
PAID = "TRANSACTION.SUCCESS"
KIND_MAX = 64


M = TypeVar("M", bound=BaseModel)


class Resource(BaseModel):
    """What is encrypted, and how."""

    model_config = ConfigDict(strict=True)

    algorithm: str
    ciphertext: str
    nonce: str
    associated_data: str = ""


class Envelope(BaseModel):
    """A notification as it comes."""

    model_config = ConfigDict(strict=True)

    id: str = Field(min_length=1, max_length=128)
    event_type: str = Field(min_length=1, max_length=KIND_MAX)
    resource: Resource


class Amount(BaseModel):
    """In fen; a refund's own is ``refund``, ``total`` is the order's."""

    model_config = ConfigDict(strict=True)

    total: int
    payer_total: int | None = None
    refund: int | None = None
    currency: str = "CNY"


class Payer(BaseModel):
    """Who paid."""

    openid: str = ""


class Transaction(BaseModel):
    """A payment as decrypted."""

    model_config = ConfigDict(strict=True)

    mchid: str
    appid: str
    out_trade_no: str
    transaction_id: str
    trade_state: str
    trade_type: str = ""
    success_time: str | None = None
    payer: Payer = Payer()
    amount: Amount


class Refund(BaseModel):
    """A refund as decrypted."""

    model_config = ConfigDict(strict=True)

    mchid: str
    out_trade_no: str
    transaction_id: str
    out_refund_no: str
    refund_id: str
    refund_status: str
    success_time: str | None = None
    amount: Amount


def parse_notified(kind: str, text: str, mchid: str) -> Notified | None:
    """What it tells, None for what is neither payment nor refund; raises 4000 for what has another form."""
    if kind == PAID:
        paid = parse(Transaction, text, "resource")
        _check_mchid(paid.mchid, mchid)
        return _paid(paid) if paid.trade_state == "SUCCESS" else None
    if kind in REFUNDS:
        refund = parse(Refund, text, "resource")
        _check_mchid(refund.mchid, mchid)
        return _refunded(REFUNDS[kind], refund)
    return None


def _paid(paid: Transaction) -> Notified:
    data = {
        "source": "wechatpay",
        "mchid": paid.mchid,
        "appid": paid.appid,
        "transactionId": paid.transaction_id,
        "outTradeNo": paid.out_trade_no,
        "tradeType": paid.trade_type,
        "amount": paid.amount.total,
        "payerAmount": paid.amount.payer_total,
        "currency": paid.amount.currency,
        "successTime": paid.success_time,
    }
    key = hash_of("paid", paid.transaction_id)
    return Notified("payment.succeeded", data, key, key, paid.appid, paid.payer.openid)


def _refunded(kind: str, refund: Refund) -> Notified:
    data = {
        "mchid": refund.mchid,
        "transactionId": refund.transaction_id,
        "outTradeNo": refund.out_trade_no,
        "refundId": refund.refund_id,
        "outRefundNo": refund.out_refund_no,
        "amount": refund.amount.refund,
        "total": refund.amount.total,
        "successTime": refund.success_time,
    }
    return Notified(kind, data, hash_of(kind, refund.refund_id), hash_of("paid", refund.transaction_id))


def _check_mchid(told: str, mchid: str) -> None:
    if told != mchid:
        raise AppError(Code.INVALID_REQUEST, cause="about another merchant", field="resource")


def parse(model: type[M], given: str | bytes, field: str) -> M:
    """The model in that JSON; raises 4000 with the name of the field."""
    try:
        return model.model_validate_json(given)
    except ValidationError:
        raise AppError(Code.INVALID_REQUEST, cause=f"no {model.__name__}", field=field) from None


def hash_of(*parts: str) -> str:
    """A key of the inbox that tells nothing of what it stands for."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
