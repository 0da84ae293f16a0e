"""Signatures for the JS-SDK (``wx.config``) in pages of an official account.

See offiaccount/OA_Web_Apps/JS-SDK, appendix 1. The ticket never leaves the server: whoever has it signs for any page
of the account's domains.
"""

import hashlib
from typing import Any

from app.apps import Apps
from app.oauth.addresses import check_page
from app.wechat.access_token import JsapiTickets
from core.clock import Clock, Deadline
from core.settings import Settings


class JsSdk:
    """``sign`` for pages whose origin the settings list."""

    def __init__(self, settings: Settings, clock: Clock, apps: Apps, tickets: JsapiTickets) -> None:
        self._origins = {*settings.origins, *settings.returns}
        self._clock = clock
        self._apps = apps
        self._tickets = tickets

    async def sign(self, appid: str, page: str, deadline: Deadline) -> dict[str, Any]:
        """What ``wx.config`` takes; raises 4000 for a page of another site, 4042, 5020, 5030, 5040."""
        app, url = self._apps.get_of_kind(appid, "official"), check_page(page, self._origins)
        ticket = await self._tickets.get(app, deadline)
        nonce, timestamp = self._clock.random_bytes(16).hex(), self._clock.now_ms() // 1000
        signature = sign_page(ticket, nonce, timestamp, url)
        return {"appId": app.appid, "timestamp": timestamp, "nonceStr": nonce, "signature": signature}


def sign_page(ticket: str, nonce: str, timestamp: int, url: str) -> str:
    """Lower-hex SHA-1 over the four, sorted by name; ``url`` is the page's own, as it is, without its fragment."""
    text = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={url}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
