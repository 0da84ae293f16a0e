"""Codes to scan: mini-program codes, an official account's QR codes, and what scanning them does.

See: https://developers.weixin.qq.com/miniprogram/dev/server/API/qrcode-link/qr-code/api_getunlimitedqrcode.html
and https://developers.weixin.qq.com/doc/service/api/qrcode/qrcodes/api_createqrcode.html
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulator.errors import WechatError

SCENE = re.compile(r"[0-9A-Za-z!#$&'()*+,/:;=?@\-._~]{1,32}")
PAGE = re.compile(r"[A-Za-z0-9_\-.][A-Za-z0-9_\-./]*")
VERSIONS = ("release", "trial", "develop")
EXPIRE_MAX_S = 2_592_000
EXPIRE_DEFAULT_S = 60
QR_URL = "http://weixin.qq.com/q/"


@dataclass(frozen=True, slots=True)
class MiniProgramCode:
    """What a mini-program code opens."""

    appid: str
    page: str
    scene: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """An official account's QR code; ``expires_at`` in seconds of the simulator's clock."""

    value: str
    appid: str
    scene: str
    url: str
    expires_at: float


class QrCodes:
    """All codes made so far; ``following`` are (appid, user) of official accounts."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tickets: dict[str, Ticket] = {}
        self.miniprogram: dict[str, MiniProgramCode] = {}
        self.following: set[tuple[str, str]] = set()

    def make_miniprogram(self, appid: str, released_page: str, body: dict[str, Any]) -> MiniProgramCode:
        """From the body of getwxacodeunlimit; 40169, 41030 or 40097 for what WeChat refuses."""
        scene, page, version = body.get("scene"), body.get("page", ""), body.get("env_version", "release")
        if not isinstance(scene, str) or not SCENE.fullmatch(scene):
            raise WechatError(40169)
        if version not in VERSIONS or not is_width(body.get("width", 430)):
            raise WechatError(40097)
        if page and not (isinstance(page, str) and PAGE.fullmatch(page)):
            raise WechatError(41030)
        if page and body.get("check_path", True) and page != released_page:
            raise WechatError(41030)
        code = self.miniprogram[scene] = MiniProgramCode(appid, page, scene)
        return code

    def make_ticket(self, appid: str, body: dict[str, Any]) -> tuple[Ticket, int]:
        """From the body of qrcode/create, with the seconds it lives; 40053 for what WeChat refuses."""
        life_s = body.get("expire_seconds", EXPIRE_DEFAULT_S)
        scene = scene_str(body)
        if scene is None or type(life_s) is not int or not 0 < life_s <= EXPIRE_MAX_S:
            raise WechatError(40053)
        value, url = "gQ" + secrets.token_urlsafe(66) + "==", QR_URL + secrets.token_urlsafe(12)
        ticket = self._tickets[value] = Ticket(value, appid, scene, url, self._clock() + life_s)
        return ticket, life_s

    def find_ticket(self, value: str) -> Ticket | None:
        """By the ticket or the text in the code; None when there is none or its time is over."""
        by_url = next((one for one in self._tickets.values() if one.url == value), None)
        found = self._tickets.get(value, by_url)
        return found if found and self._clock() < found.expires_at else None

    def newest_ticket(self, appid: str, scene: str) -> Ticket | None:
        """The last code of that scene."""
        tickets = [one for one in self._tickets.values() if (one.appid, one.scene) == (appid, scene)]
        return tickets[-1] if tickets else None


def scene_str(body: dict[str, Any]) -> str | None:
    """The scene of a temporary code with a text as its scene; the other kinds are not played."""
    info = body.get("action_info")
    scene = info.get("scene") if isinstance(info, dict) else None
    value = scene.get("scene_str") if isinstance(scene, dict) else None
    is_good = body.get("action_name") == "QR_STR_SCENE" and isinstance(value, str) and 1 <= len(value) <= 64
    return value if is_good else None


def is_width(value: object) -> bool:
    """Pixels that WeChat draws."""
    return type(value) is int and 280 <= value <= 1280
