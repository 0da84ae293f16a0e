"""Messages to a group robot of 企业微信, DingTalk or Feishu.

A robot is a URL; which kind it is, its path says. What follows ``#`` is the secret of a robot that wants signed
messages (DingTalk, Feishu).

- 企业微信: developer.work.weixin.qq.com/document/path/91770
- DingTalk: open.dingtalk.com/document/robots/custom-robot-access
- Feishu: open.feishu.cn/document/client-docs/bot-v3/add-custom-bot
"""

import asyncio
import base64
import hashlib
import hmac
import http.client
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

from core.clock import Clock

TIMEOUT_S = 5.0
BYTES_MAX = 2000  # 企业微信 takes 2048 bytes of text
REPLY_MAX = 64 * 1024

Message = tuple[str, dict[str, Any]]  # what is added to the query, and the body


class RobotFailed(Exception):
    """The message did not arrive; the text says why, without the URL."""


async def tell(url: str, text: str, clock: Clock) -> None:
    """Posts the text; raises ``RobotFailed``."""
    await asyncio.to_thread(_tell, url, _cut(text), clock)


def is_robot(url: str) -> bool:
    """Whether the URL is that of a robot we know."""
    parts = urlsplit(url)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and _kind(parts.path) is not None


def _tell(url: str, text: str, clock: Clock) -> None:
    parts = urlsplit(url)
    build = _kind(parts.path)
    if build is None:
        raise RobotFailed("the URL is none of a robot of 企业微信, DingTalk or Feishu")
    query, body = build(text, parts.fragment, clock.now_ms())
    target = f"{parts.path}?{parts.query}{query}".rstrip("?")
    secure = parts.scheme == "https"
    connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        connection.request("POST", target, json.dumps(body).encode(), {"Content-Type": "application/json"})
        reply = json.loads(connection.getresponse().read(REPLY_MAX))
        refused = reply.get("errcode") or reply.get("code")
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
        raise RobotFailed(f"the robot cannot be reached: {type(error).__name__}") from None
    finally:
        connection.close()
    if refused:
        raise RobotFailed(f"the robot refuses: {refused} {str(reply.get('errmsg') or reply.get('msg', ''))[:200]}")


def _kind(path: str) -> Callable[[str, str, int], Message] | None:
    return next((build for start, build in KINDS.items() if path.startswith(start)), None)


def _wecom(text: str, _secret: str, _now_ms: int) -> Message:
    return "", {"msgtype": "text", "text": {"content": text}}


def _dingtalk(text: str, secret: str, now_ms: int) -> Message:
    body = {"msgtype": "text", "text": {"content": text}}
    if not secret:
        return "", body
    sign = _sign(secret.encode(), f"{now_ms}\n{secret}".encode())
    return f"&timestamp={now_ms}&sign={quote(sign, safe='')}", body


def _feishu(text: str, secret: str, now_ms: int) -> Message:
    body: dict[str, Any] = {"msg_type": "text", "content": {"text": text}}
    if not secret:
        return "", body
    timestamp = str(now_ms // 1000)
    return "", {**body, "timestamp": timestamp, "sign": _sign(f"{timestamp}\n{secret}".encode(), b"")}


KINDS: dict[str, Callable[[str, str, int], Message]] = {
    "/cgi-bin/webhook/send": _wecom,
    "/robot/send": _dingtalk,
    "/open-apis/bot/v2/hook/": _feishu,
}


def _sign(key: bytes, text: bytes) -> str:
    return base64.b64encode(hmac.digest(key, text, hashlib.sha256)).decode()


def _cut(text: str) -> str:
    raw = text.encode()
    return text if len(raw) <= BYTES_MAX else raw[: BYTES_MAX - 3].decode(errors="ignore") + "…"
