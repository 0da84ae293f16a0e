"""What a scan is shown as: our own QR, a mini-program code, or an official account's QR."""

import io
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import segno

from app.apps import Apps
from app.scan.transitions import LIFE_MS
from app.wechat.access_token import AccessTokens
from app.wechat.client import WeChatClient
from app.wechat.image_wire import Image
from core.clock import Deadline
from core.errors import AppError, Code
from core.settings import App, Settings
from models.scans import Scan

SCALE = 8
MASK = 3
BORDER = 2  # modules; scanners want a quiet zone, the page adds the rest


class Shown(NamedTuple):
    """The text in the code, empty where only a picture is known; ``image`` is (media type, picture)."""

    appid: str
    content: str
    image: Image | None = None


class Entrance(NamedTuple):
    """Where a phone that comes to the page of a scan may sign in: appids, empty for none."""

    official: str
    miniprogram: str


class Channels:
    """``make`` asks WeChat where the channel needs it; ``draw`` gives the picture."""

    def __init__(self, settings: Settings, apps: Apps, wechat: WeChatClient, access_tokens: AccessTokens) -> None:
        self._base = settings.public_url + settings.path_prefix
        self._apps = apps
        self._wechat = wechat
        self._access_tokens = access_tokens
        self._makers: dict[str, Callable[[str | None, str, Deadline], Awaitable[Shown]]] = {
            "page": self._make_page,
            "miniprogram": self._make_miniprogram,
            "official": self._make_official,
        }

    async def make(self, channel: str, appid: str | None, scan_id: str, deadline: Deadline) -> Shown:
        """What to show for a new scan; raises 4042, 5020, 5030, 5040."""
        return await self._makers[channel](appid, scan_id, deadline)

    def find_entrance(self, scan: Scan) -> Entrance:
        """The official account of the scan, else the first one; the first mini-program."""
        official, miniprogram = self._apps.find_first("official"), self._apps.find_first("miniprogram")
        own = scan.appid if scan.channel == "official" else official.appid if official else ""
        return Entrance(own, miniprogram.appid if miniprogram else "")

    def page_url(self, scan_id: str) -> str:
        """The page for the phone."""
        return f"{self._base}/s/{scan_id}"

    def image_url(self, scan: Scan) -> str:
        """Where the picture is."""
        form = "svg" if scan.channel == "page" else "png"
        return f"{self._base}/api/scan/{scan.id}/qr.{form}"

    def draw(self, scan: Scan, form: str, kept: Image | None) -> Image:
        """The picture: as WeChat made it, else the text as a QR. Raises 4040 where neither is there."""
        if kept and (form == "png" or not scan.content):
            return kept
        if not scan.content:
            raise AppError(Code.NOT_FOUND)
        return _DRAWN[form], draw_qr(scan.content, form)

    async def _make_page(self, _appid: str | None, scan_id: str, _deadline: Deadline) -> Shown:
        return Shown("", self.page_url(scan_id))

    async def _make_miniprogram(self, appid: str | None, scan_id: str, deadline: Deadline) -> Shown:
        app = self._apps.get_of_kind(appid, "miniprogram")
        return Shown(app.appid, "", await self._draw_miniprogram(app, scan_id, deadline))

    async def _make_official(self, appid: str | None, scan_id: str, deadline: Deadline) -> Shown:
        app = self._apps.get_of_kind(appid, "official")
        made = await self._access_tokens.call(
            app, deadline, lambda token: self._wechat.create_qrcode(app, token, scan_id, LIFE_MS // 1000, deadline)
        )
        return Shown(app.appid, made.url, await self._wechat.show_qrcode(app, made.ticket, deadline))

    async def draw_first_miniprogram(self, scan_id: str, deadline: Deadline) -> Image:
        """The code that opens its page with the scan's id as scene; raises 4042, 5020, 5030, 5040."""
        return await self._draw_miniprogram(self._apps.get_of_kind(None, "miniprogram"), scan_id, deadline)

    async def _draw_miniprogram(self, app: App, scan_id: str, deadline: Deadline) -> Image:
        return await self._access_tokens.call(
            app,
            deadline,
            lambda token: self._wechat.get_wxacode(app, token, scan_id, app.page, app.env_version, deadline),
        )


_DRAWN = {"svg": "image/svg+xml", "png": "image/png"}


def draw_qr(content: str, form: str) -> bytes:
    """A QR code (ISO/IEC 18004) with error correction M, dark on white: scanners dislike the reverse.

    The mask is fixed: which of the eight is best takes five times as long as all the rest, and a text with 22 random
    characters has no regular patterns that a mask would have to break.
    """
    out = io.BytesIO()
    options: dict[str, Any] = {"kind": form, "scale": SCALE, "border": BORDER, "dark": "#000", "light": "#fff"}
    if form == "svg":
        options |= {"xmldecl": False, "svgclass": None, "lineclass": None}
    segno.make_qr(content, error="m", boost_error=False, mask=MASK).save(out, **options)
    return out.getvalue()
