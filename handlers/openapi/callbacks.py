"""What WeChat, WeChat Pay and partners send."""

from app.callbacks.partner import COMMON
from app.replies import PartnerAnswer
from core.errors import Code
from handlers.openapi.operation import FORM, JSON, STRING, TEXT, Form, Operation, Reply, header, plain, query

PUSH = tuple(query(name, "as WeChat sends it") for name in ("signature", "timestamp", "nonce"))
PAY = tuple(
    header(f"Wechatpay-{name}", "as WeChat Pay sends it")
    for name in ("Serial", "Timestamp", "Nonce", "Signature", "Signature-Type")
)
CALL = {
    "type": "object",
    "description": "with the parameters of the event; `sign` is RSA-SHA256 over the others",
    "properties": dict.fromkeys(sorted(COMMON), STRING),
    "required": sorted(COMMON),
    "additionalProperties": {"type": ["string", "integer"]},
}

OPERATIONS = {
    "GET /callback/wechat/{appid}": Operation(
        summary="WeChat checks the URL of the message push",
        parameters=(*PUSH, query("echostr", "what is to be echoed")),
        replies=(Reply("The `echostr`.", media=(TEXT,)),),
        raises=(Code.UNAUTHENTICATED, Code.UNKNOWN_APP),
        failures=Form.TEXT,
    ),
    "POST /callback/wechat/{appid}": Operation(
        summary="WeChat pushes a message or an event",
        says="XML or JSON, in safe mode; unsigned, wrongly signed or stale: 401 and nothing happens.",
        parameters=(*PUSH, query("encrypt_type", "`aes`"), query("msg_signature", "the signature of the message")),
        replies=(Reply("`success`, or what is to be answered.", media=(TEXT,)),),
        raises=(Code.UNAUTHENTICATED, Code.UNKNOWN_APP, Code.DATABASE_UNAVAILABLE),
        failures=Form.TEXT,
    ),
    "POST /callback/wechatpay/{mchid}": Operation(
        summary="WeChat Pay tells of a payment or a refund",
        says="Pay v3: signed over the body as it is, its resource encrypted.",
        parameters=PAY,
        raw={"type": "object", "description": "as WeChat Pay sends it"},
        example={"id": "EV-2018022511223320873", "resource_type": "encrypt-resource"},
        replies=(Reply("It is kept.", status=204),),
        raises=(Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.DATABASE_UNAVAILABLE),
        failures=Form.PAY,
    ),
    "POST /callback/partner/{name}": Operation(
        summary="A partner calls",
        says="`event`: `scan_login`, `pay_success` or `bind_device`. Unsigned, wrongly signed or stale: 401 and "
        "nothing happens; an identical repeat gets the first answer.",
        raw=CALL,
        media=(JSON, FORM),
        example={"event": "bind_device", "timestamp": "1763666085", "nonce": "kJ3vR8wQ2mZx5tYb", "sign": "…"},
        replies=(plain(PartnerAnswer, "Done."), plain(PartnerAnswer, "A device was bound.", 201)),
        raises=(
            Code.UNAUTHENTICATED,
            Code.FORBIDDEN,
            Code.ACCOUNT_DISABLED,
            Code.NOT_FOUND,
            Code.IDENTITY_CONFLICT,
            Code.WRONG_STATE,
            Code.SCAN_EXPIRED,
            Code.SCAN_REDEEMED,
            Code.SCAN_CANCELLED,
            Code.UNSUPPORTED_MEDIA_TYPE,
            Code.DATABASE_UNAVAILABLE,
            Code.CACHE_UNAVAILABLE,
        ),
        failures=Form.PARTNER,
    ),
}
