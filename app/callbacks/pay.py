"""WeChat Pay's notifications of payments and refunds. We receive them; orders are made elsewhere.

A notification is verified over the bytes as they came, opened, kept and answered; its event is written after that, in
one transaction with the note that it was dealt with. WeChat repeats what it is not sure of, under the same id or
another: the notification counts once, and so does the state of the transaction or refund it tells of.
See: pay.weixin.qq.com, payment-notice (answers, repeats).
"""

from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.callbacks.intake import Incoming, Intake
from app.callbacks.notifications import Envelope, hash_of, parse, parse_notified
from app.crypto.pay import PayForged, PayUnreadable, Signature, decrypt, verify
from core.clock import Clock
from core.errors import AppError, Code
from core.observe.logs import get_logger
from core.settings import Merchant
from models import payments
from models.db import Database
from models.inbox import Delivery
from models.payments import Notified


class Shop(NamedTuple):
    """A merchant with its keys read."""

    merchant: Merchant
    keys: dict[str, RSAPublicKey]


class PayNotifications:
    """``receive`` for the handler, ``work`` for the ``Intake``'s source ``wechatpay``."""

    def __init__(self, merchants: tuple[Merchant, ...], database: Database, clock: Clock) -> None:
        self._shops = {one.mchid: Shop(one, one.public_keys()) for one in merchants}
        self._database = database
        self._clock = clock
        self.intake: Intake | None = None  # which needs our ``work``

    async def receive(self, mchid: str, signature: Signature, body: bytes) -> None:
        """Keeps a genuine notification; raises 4000, 4010, 4040, 5001. What is refused leaves no trace."""
        shop = self._shops.get(mchid)
        if shop is None:
            raise AppError(Code.NOT_FOUND, cause="no such merchant in KAIMEN_MERCHANTS")
        try:
            verify(shop.keys, signature, body, self._clock.now_ms() // 1000)
        except PayForged as error:
            raise AppError(Code.UNAUTHENTICATED, cause=str(error)) from None
        envelope = parse(Envelope, body, "body")
        text, notified = self._open(shop, envelope)
        await self._keep(mchid, envelope, text, notified)

    async def work(self, delivery: Delivery, body: str) -> None:
        """Tells of it; may run more than once, and tells once."""
        mchid = delivery.source.partition(":")[2]
        notified = parse_notified(delivery.kind, body, mchid)
        if notified is None:
            get_logger().info("a notification of WeChat Pay that tells us nothing", kind=delivery.kind)
        await payments.tell(self._database, notified, delivery, self._clock.now_ms())

    def _open(self, shop: Shop, envelope: Envelope) -> tuple[str, Notified | None]:
        sealed, api_key = envelope.resource, shop.merchant.api_v3_key.get_secret_value()
        try:
            opened = decrypt(api_key, sealed.algorithm, sealed.nonce, sealed.associated_data, sealed.ciphertext)
            text = opened.decode()
        except (PayUnreadable, UnicodeDecodeError):
            raise AppError(Code.INVALID_REQUEST, cause="does not decrypt: check apiV3Key", field="resource") from None
        notified = parse_notified(envelope.event_type, text, shop.merchant.mchid)
        if notified and notified.appid and notified.appid not in shop.merchant.appids:
            raise AppError(Code.INVALID_REQUEST, cause="about another appid", field="resource")
        return text, notified

    async def _keep(self, mchid: str, envelope: Envelope, text: str, notified: Notified | None) -> None:
        if self.intake is None:
            raise RuntimeError("no intake")
        incoming = Incoming(
            source=f"wechatpay:{mchid}",
            dedup_key=hash_of(envelope.id),
            digest=hash_of(text),
            kind=envelope.event_type,
            body=text,
            subject=notified.paid_key if notified else envelope.id,  # a refund is worked on after its payment
        )
        await self.intake.accept(incoming)
