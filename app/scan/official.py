"""The channel ``official``: who scans the code is told to us by WeChat's push, and gets a link to confirm."""

from app.callbacks.messages import Message
from app.callbacks.push import PushAction, Received, Work
from app.scan.channels import Channels
from app.scan.service import ID, Scans
from core.settings import App

QRSCENE = "qrscene_"  # before the scene when the user follows the account by scanning
LINK = '点击<a href="{url}">确认登录网页</a>。如非本人操作，请忽略。'


class OfficialScans:
    """The rows of the table of events that concern scans; ``tell`` is for other scenes, and for who follows."""

    def __init__(self, scans: Scans, channels: Channels, tell: Work) -> None:
        self._scans = scans
        self._channels = channels
        self._tell = tell

    @property
    def actions(self) -> dict[str, PushAction]:
        """By ``Event``: SCAN of who follows the account, subscribe of who does from now on."""
        action = PushAction(self._mark_scanned, self._link)
        return {"SCAN": action, "subscribe": action}

    async def _mark_scanned(self, received: Received) -> bool:
        message = received.message
        scan_id, openid = scene_of(message), message.get("FromUserName", "")
        if scan_id and openid:
            await self._scans.scan_by_wechat(scan_id, received.app.appid, openid)
        return (not scan_id or message.get("Event") != "SCAN") and await self._tell(received)

    def _link(self, _app: App, message: Message) -> str:
        scan_id = scene_of(message)
        return LINK.format(url=self._channels.page_url(scan_id)) if scan_id else ""


def scene_of(message: Message) -> str:
    """The scan's id, empty where the scene is no scan's."""
    scene = message.get("EventKey", "").removeprefix(QRSCENE)
    return scene if ID.fullmatch(scene) else ""
