"""``/s/{scanId}``: where our own QR leads: in WeChat to the confirm screen, elsewhere to the word to use WeChat.

The page holds nothing of the scan but its id, which the phone has read from the QR; the rest it asks for itself, as
the user it is signed in as.
"""

from urllib.parse import quote

from app.scan.channels import Entrance
from core.errors import AppError
from handlers.scan import ImageHandler
from handlers.web_files import TYPES, WEB, FileHandler, page_policy

PAGE = WEB / "phone" / "index.html"
WECHAT = "MicroMessenger/"
BACK = "signed"  # the query of who comes back from WeChat's OAuth: once is enough


class ScanPageHandler(FileHandler):
    """The page of one scan."""

    async def get(self, scan_id: str) -> None:  # type: ignore[override]
        """The page in the mode that fits who asks, or the way to WeChat's OAuth and back."""
        mode = await self._mode(scan_id)
        if mode.startswith("/"):
            self.redirect(mode)  # the path of a page of ours, made here
            return
        self.set_header("Content-Security-Policy", page_policy())
        self.set_header("Content-Type", TYPES[".html"])
        prefix, language = self.kaimen.settings.path_prefix, "en" if self.language() == "en" else "zh-CN"
        known_id = scan_id if self.kaimen.scans.is_id(scan_id) else ""  # nothing of a URL but this form gets in
        texts = {"prefix": prefix, "mode": mode, "lang": language, "id": known_id}
        page = PAGE.read_text("utf-8")
        for name, value in texts.items():
            page = page.replace("{{" + name + "}}", value)
        self.finish(page)

    async def _mode(self, scan_id: str) -> str:
        """``elsewhere``, ``over``, ``confirm``, ``miniprogram``, ``nowhere``, or the path to go to first."""
        if WECHAT not in self.client.device:
            return "elsewhere" if self.kaimen.scans.is_id(scan_id) else "over"
        entrance = await self.kaimen.scans.find_entrance(scan_id)
        if entrance is None:
            return "over"
        if await self._is_signed_in():
            return "confirm"
        if entrance.official and BACK not in self.request.query_arguments:
            return self._oauth_path(entrance, scan_id)
        return "miniprogram" if entrance.miniprogram else "nowhere"

    def _oauth_path(self, entrance: Entrance, scan_id: str) -> str:
        prefix = self.kaimen.settings.path_prefix
        back = quote(f"{prefix}/s/{scan_id}?{BACK}=1", safe="")
        return f"{prefix}/oauth/{entrance.official}/login?scope=base&mode=cookie&return={back}"

    async def _is_signed_in(self) -> bool:
        if not self.cookie:
            return False
        try:
            await self.authenticate_by_cookie(self.cookie)
        except AppError as error:
            if error.code.value.status >= 500:
                raise
            return False
        return True


class MiniProgramImageHandler(ImageHandler):
    """``/s/{scanId}/miniprogram``: the code that opens the mini-program at this scan, for WeChat's long press."""

    async def get(self, scan_id: str) -> None:
        """The picture."""
        self.finish_image(await self.kaimen.scans.miniprogram_image(scan_id, self.client.network))
