"""Callbacks signed with RSA: WeChat Pay's notifications, and partners' calls; answered without the envelope."""

from typing import Any

from app.callbacks.partner import Answer
from app.crypto.pay import Signature
from core.errors import AppError, Code
from handlers.base import JSON, ApiHandler, encode_json
from handlers.form import parse_form

FORM = "application/x-www-form-urlencoded"


class PayHandler(ApiHandler):
    """``/callback/wechatpay/{mchid}``: the status decides, and a refusal says FAIL."""

    async def post(self, mchid: str) -> None:
        """204, once it is kept."""
        headers = self.request.headers
        names = ("Serial", "Timestamp", "Nonce", "Signature", "Signature-Type")
        signature = Signature(*(headers.get(f"Wechatpay-{name}", "") for name in names))
        await self.kaimen.pay.receive(mchid, signature, self.raw_body())
        self.set_status(204)
        self.clear_header("Content-Type")
        self.finish()

    def _write_json(self, body: dict[str, Any]) -> None:
        self.set_header("Content-Type", JSON)
        self.finish(encode_json({"code": "FAIL", "message": body.get("error", "")}))


class PartnerHandler(ApiHandler):
    """``/callback/partner/{name}``."""

    async def post(self, name: str) -> None:
        """Does what the partner asks for; the answer is the same for a repeat."""
        answer: Answer = await self.kaimen.partners.receive(name, self._parameters())
        self.set_status(answer.status)
        self.finish(answer.body)

    def _parameters(self) -> dict[str, str]:
        """Of a form or a JSON object; whole numbers as they are written. Raises 4000, 4130, 4150."""
        given = self.request.headers.get("Content-Type", "").split(";", 1)[0].strip().lower()
        if given == FORM:
            return parse_form(self.raw_body())
        found: dict[str, str] = {}
        for name, value in self.json().items():
            if isinstance(value, bool) or not isinstance(value, str | int):
                raise AppError(Code.INVALID_REQUEST, cause="neither text nor a whole number", field=name[:64])
            found[name] = str(value)
        return found

    def _write_json(self, body: dict[str, Any]) -> None:
        self.finish(encode_json({name: value for name, value in body.items() if name != "requestId"}))
