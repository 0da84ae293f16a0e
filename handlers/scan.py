"""``/api/scan`` and below: QR login, for the browser and for the phone."""

from typing import NamedTuple

from app.commands import Command, parse_command
from app.scan.commands import ConfirmScan, CreateScan, RedeemScan
from app.scan.hub import Waiter
from core.errors import AppError, Code
from core.observe import metrics
from handlers.base import ApiHandler

NUMBER_MAX = 6  # digits


class Asked(NamedTuple):
    """The query of a poll."""

    version: int
    wait_s: int | None


class ScansHandler(ApiHandler):
    """``/api/scan``."""

    async def post(self) -> None:
        """A page of ours begins a QR login."""
        self.browsers.check_origin(self.request.headers)
        command = parse_command(CreateScan, self.json())
        data = await self.kaimen.scans.create(command, self.request.headers["Origin"], self.client)
        self.reply(data, status=201)


class ScanHandler(ApiHandler):
    """``/api/scan/{scanId}``."""

    is_routine = True
    waiter: Waiter | None = None

    async def get(self, scan_id: str) -> None:
        """How it stands; with ``wait`` when it changes."""
        asked = self._asked()
        secret = self.request.headers.get("X-Poll-Secret", "")
        scans = self.kaimen.scans
        if asked.wait_s is None:
            self.reply(await scans.poll(scan_id, secret))
            return
        waiter = self.waiter = Waiter()
        self.reply(await scans.wait(scan_id, secret, asked.version, asked.wait_s, self.client.network, waiter))

    def on_connection_close(self) -> None:
        """Nobody waits any more."""
        super().on_connection_close()
        if self.waiter:
            self.waiter.close()

    def _asked(self) -> Asked:
        """Raises 4000 for anything but ``wait`` and ``version``: a secret in a URL ends up in logs."""
        query = self.request.query_arguments if self.request.query else {}
        for name in query:
            if name not in ("wait", "version"):
                raise AppError(Code.INVALID_REQUEST, cause="an unknown query parameter", field="query")
        return Asked(self._number("version") or 0, self._number("wait"))

    def _number(self, name: str) -> int | None:
        values = self.request.query_arguments.get(name) if self.request.query else None
        if values is None:
            return None
        if len(values) != 1 or not values[0].isdigit() or len(values[0]) > NUMBER_MAX:
            raise AppError(Code.INVALID_REQUEST, field=name)
        return int(values[0])


class RedeemHandler(ApiHandler):
    """``/api/scan/{scanId}/redeem``."""

    async def post(self, scan_id: str) -> None:
        """The browser is signed in."""
        command = parse_command(RedeemScan, self.json())
        if command.cookie:
            self.browsers.check_origin(self.request.headers)
        try:
            data = await self.kaimen.scans.redeem(scan_id, command, self.client)
        except AppError as error:
            metrics.LOGINS.inc("redeem", "scan", error.code.error)
            self.kaimen.trail.refused("redeem", error, self.client.address, self.client.device)
            raise
        metrics.LOGINS.inc("redeem", "scan", "ok")
        self.subject = data["user"]["id"], data["sessionId"]
        self.reply(await self.sign_in_browser(data) if command.cookie else data)


class PhoneScanHandler(ApiHandler):
    """``/api/scan/{scanId}/scan``."""

    async def post(self, scan_id: str) -> None:
        """The phone has scanned it."""
        claims = await self.authenticate()
        parse_command(Command, self.json())
        self.reply(await self.kaimen.scans.scan(claims, scan_id, self.language()))


class PhoneConfirmHandler(ApiHandler):
    """``/api/scan/{scanId}/confirm``."""

    async def post(self, scan_id: str) -> None:
        """The user lets the browser in."""
        claims = await self.authenticate()
        command = parse_command(ConfirmScan, self.json())
        self.reply(await self.kaimen.scans.confirm(claims, scan_id, command.match_code))


class PhoneCancelHandler(ApiHandler):
    """``/api/scan/{scanId}/cancel``."""

    async def post(self, scan_id: str) -> None:
        """The user does not."""
        claims = await self.authenticate()
        parse_command(Command, self.json())
        self.reply(await self.kaimen.scans.cancel(claims, scan_id))


class ImageHandler(ApiHandler):
    """The picture, for any page: it shows nothing but what the QR shows."""

    form = "svg"

    async def get(self, scan_id: str) -> None:
        """As WeChat made it, or the QR."""
        self.finish_image(await self.kaimen.scans.image(scan_id, self.form))

    def finish_image(self, image: tuple[str, bytes]) -> None:
        """As its media type says."""
        self.set_header("Content-Type", image[0])
        self.set_header("Cross-Origin-Resource-Policy", "cross-origin")
        self.finish(image[1])


class PngHandler(ImageHandler):
    """``/api/scan/{scanId}/qr.png``."""

    form = "png"


class SvgHandler(ImageHandler):
    """``/api/scan/{scanId}/qr.svg``."""
