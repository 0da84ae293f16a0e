"""Payments and refunds as WeChat Pay notifies a merchant of them: sealed, signed, repeated, or wrong on demand.

See: pay.weixin.qq.com, payment-notice.
"""

import datetime
import json
import secrets
from collections.abc import Mapping
from typing import Any

from tornado.httpclient import HTTPClientError, HTTPRequest

from simulator.errors import ControlError
from simulator.pay_platform import PLATFORM, seal
from simulator.state import State

TAMPERS = ("body", "serial", "timestamp", "signtest")
SIGNERS = ("publicKey", "certificate")
SIGNATURE_TYPE = "WECHATPAY2-SHA256-RSA2048"


def make_notification(state: State, merchant: Mapping[str, Any], args: Mapping[str, Any]) -> bytes:
    """The body WeChat Pay sends: ``payload`` sealed, under ``id`` (a new one unless given)."""
    event = args.get("eventType", "TRANSACTION.SUCCESS")
    kind = "refund" if str(event).startswith("REFUND") else "transaction"
    created = datetime.datetime.fromtimestamp(state.clock(), datetime.UTC).isoformat(timespec="seconds")
    body = {
        "id": args.get("id") or f"EV-{secrets.token_hex(12)}",
        "create_time": created,
        "resource_type": "encrypt-resource",
        "event_type": event,
        "summary": "支付成功" if kind == "transaction" else "退款",
        "resource": seal(merchant["apiV3Key"], json.dumps(args["payload"], ensure_ascii=False), kind),
    }
    return json.dumps(body, ensure_ascii=False).encode()


def make_headers(state: State, body: bytes, signer: str, tamper: str | None) -> dict[str, str]:
    """Signed now; wrong in the way ``tamper`` says."""
    platform, nonce = PLATFORM, secrets.token_hex(16)
    timestamp = str(int(state.clock()) - (301 if tamper == "timestamp" else 0))
    signature = platform.sign(signer, f"{timestamp}\n{nonce}\n".encode() + body + b"\n")
    serial = platform.public_key_id if signer == "publicKey" else platform.serial
    if tamper == "signtest":
        signature = "WECHATPAY/SIGNTEST/" + signature
    return {
        "Content-Type": "application/json",
        "Wechatpay-Serial": "5F" * 20 if tamper == "serial" else serial,
        "Wechatpay-Timestamp": timestamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Signature": signature,
        "Wechatpay-Signature-Type": SIGNATURE_TYPE,
        "Request-ID": secrets.token_hex(16),
    }


async def notify(state: State, args: dict[str, Any]) -> dict[str, Any]:
    """``{mchid, payload, eventType?, id?, signer?, tamper?, repeat?}`` → ``{answers: [{status, body}]}``.

    Repeats have the same body under new signatures, as WeChat Pay's do; ControlError says what is wrong.
    """
    merchant = next((one for one in state.merchants if one["mchid"] == args.get("mchid")), None)
    if merchant is None:
        raise ControlError(f"unknown mchid; known: {', '.join(one['mchid'] for one in state.merchants)}")
    signer, tamper, repeat = args.get("signer", "publicKey"), args.get("tamper"), args.get("repeat", 1)
    if signer not in SIGNERS or tamper not in (None, *TAMPERS) or not isinstance(repeat, int) or not 1 <= repeat <= 100:
        raise ControlError(f"signer: {', '.join(SIGNERS)}; tamper: {', '.join(TAMPERS)}; repeat: 1 to 100")
    if not isinstance(args.get("payload"), dict):
        raise ControlError("payload must be an object")
    body = make_notification(state, merchant, args)
    return {"answers": [await _send(state, merchant["mchid"], body, signer, tamper) for _ in range(repeat)]}


async def _send(state: State, mchid: str, body: bytes, signer: str, tamper: str | None) -> dict[str, Any]:
    if state.backend_url is None:
        raise ControlError("no backend is configured; start the simulator with --backend URL")
    headers = make_headers(state, body, signer, tamper)
    sent = bytes([body[0], body[1] ^ 1]) + body[2:] if tamper == "body" else body
    url = f"{state.backend_url.rstrip('/')}/callback/wechatpay/{mchid}"
    request = HTTPRequest(url, "POST", headers, sent, follow_redirects=False, request_timeout=5)
    try:
        response = await state.client().fetch(request, raise_error=False)
    except (OSError, HTTPClientError) as error:
        raise ControlError(f"no backend answers at {state.backend_url}: {error}", 502) from error
    return {"status": response.code, "body": (response.body or b"").decode(errors="replace")}


def show_merchants(state: State, _args: dict[str, Any]) -> dict[str, Any]:
    """→ ``{merchants}``: as ``KAIMEN_MERCHANTS`` takes them."""
    return {"merchants": merchant_settings(state)}


def merchant_settings(state: State) -> list[dict[str, Any]]:
    """The merchants with the platform's keys."""
    return [{**one, "platformKeys": PLATFORM.platform_keys()} for one in state.merchants]
