"""Mini-program codes and QR codes of official accounts, without sockets.

WeChat answers with the picture itself, or with JSON where something is wrong; its content type is not told apart
reliably, so the first bytes decide. See qrcode-link/qr-code/api_getunlimitedqrcode and qrcode/qrcodes/api_createqrcode.
"""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from app.wechat.wire import Endpoint, Request, bad_reply, parse_object

WXACODE = Endpoint("getwxacodeunlimit", "POST", "/wxa/getwxacodeunlimit", needs_token=True, repeatable=True)
CREATE_QRCODE = Endpoint("qrcode_create", "POST", "/cgi-bin/qrcode/create", needs_token=True, repeatable=True)
SHOW_QRCODE = Endpoint("showqrcode", "GET", "/cgi-bin/showqrcode", repeatable=True)
ENDPOINTS = (WXACODE, CREATE_QRCODE, SHOW_QRCODE)
PICTURES = {WXACODE.name, SHOW_QRCODE.name}
WIDTH_PX = 430
IMAGE_MAX = 512 * 1024
MAGIC = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}

Image = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class QrTicket:
    """An official account's QR code: ``ticket`` leads to its picture, ``url`` is the text in it."""

    ticket: str = field(repr=False)
    url: str


def wxacode_request(access_token: str, scene: str, page: str, env_version: str) -> Request:
    """``page`` without leading slash, empty for the home page; one that is not released yet is not looked for."""
    body: dict[str, Any] = {
        "scene": scene,
        "check_path": env_version == "release",
        "env_version": env_version,
        "width": WIDTH_PX,
    }
    if page:
        body["page"] = page
    return Request(WXACODE, f"access_token={_q(access_token)}", json.dumps(body).encode())


def create_qrcode_request(access_token: str, scene: str, expires_in_s: int) -> Request:
    """A temporary code whose scan is pushed with ``scene``, 1–64 characters."""
    body = {
        "expire_seconds": expires_in_s,
        "action_name": "QR_STR_SCENE",
        "action_info": {"scene": {"scene_str": scene}},
    }
    return Request(CREATE_QRCODE, f"access_token={_q(access_token)}", json.dumps(body).encode())


def show_qrcode_request(ticket: str) -> Request:
    """The picture behind a ticket; on mp.weixin.qq.com, and without a token."""
    return Request(SHOW_QRCODE, f"ticket={_q(ticket)}")


def parse_qr_ticket(payload: dict[str, Any]) -> QrTicket:
    """Raises 5020."""
    ticket, url = payload.get("ticket"), payload.get("url")
    if not isinstance(ticket, str) or not 1 <= len(ticket) <= 512:
        raise bad_reply("ticket")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")) or len(url) > 512:
        raise bad_reply("url")
    return QrTicket(ticket, url)


def parse_picture_reply(body: bytes) -> dict[str, Any]:
    """``{"image": (media type, picture)}``, or the JSON that came instead. Raises 5020."""
    found = next((kind for magic, kind in MAGIC.items() if body.startswith(magic)), None)
    return {"image": (found, body)} if found else parse_object(body)


def parse_image(payload: dict[str, Any]) -> Image:
    """Raises 5020."""
    image: Image | None = payload.get("image") if isinstance(payload.get("image"), tuple) else None
    if image is None:
        raise bad_reply("no picture")
    return image


def _q(text: str) -> str:
    return quote(text, safe="")
