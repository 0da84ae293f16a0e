"""access_tokens of apps whose ``accessTokenUrl`` names another deployment, such as production for staging.

Two deployments that each fetch tokens would end each other's; so one asks WeChat, and lends.
"""

import base64
import json
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from app.wechat import wire
from app.wechat.transport import Failure, Transport
from app.wechat.wire import AccessToken
from core.clock import Deadline
from core.errors import AppError, Code
from core.observe import traces
from core.settings import App

MAX_IN_FLIGHT = 4


class TokensElsewhere:
    """``await fetch(app, stale, deadline)`` for the apps that it ``serves``."""

    def __init__(self, apps: Iterable[App]) -> None:
        self._ways: dict[str, tuple[Transport, str]] = {}
        self._urls: dict[str, str] = {}
        self.replace(apps)

    def replace(self, apps: Iterable[App]) -> None:
        """Other apps, or other ways to them; a call under way on one that changed ends as broken."""
        urls = {app.appid: app.access_token_url.get_secret_value() for app in apps if app.access_token_url}
        for appid in [appid for appid in self._ways if self._urls[appid] != urls.get(appid)]:
            self._ways.pop(appid)[0].close()
        self._ways |= {appid: _way(url) for appid, url in urls.items() if appid not in self._ways}
        self._urls = urls

    def close(self) -> None:
        """Closes the connections."""
        for transport, _ in self._ways.values():
            transport.close()

    def serves(self, appid: str) -> bool:
        """Whether this app's token comes from another deployment."""
        return appid in self._ways

    async def fetch(self, app: wire.App, stale: str, deadline: Deadline) -> AccessToken:
        """Its token; raises 5020, 5030, 5040."""
        transport, target = self._ways[app.appid]
        body = json.dumps({"stale": stale} if stale else {}).encode()
        about = {"http.request.method": "POST", "kaimen.wechat.appid": app.appid}
        with traces.span("borrow access_token", "client", about) as span:
            reply = await transport.fetch("POST", target, body, deadline.remaining_s(), span.traceparent)
            if isinstance(reply, Failure):
                span.fail(reply.outcome)
        if isinstance(reply, Failure):
            code = Code.WX_UNAVAILABLE if reply.outcome in {"http_502", "http_503", "http_504"} else reply.code
            raise AppError(code, cause=f"accessTokenUrl of {app.appid}: {reply.cause or reply.outcome}")
        return _parse(reply)


def _way(url: str) -> tuple[Transport, str]:
    parts = urlsplit(url)
    credentials = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    authorization = "Basic " + base64.b64encode(credentials.encode()).decode()
    host = parts.netloc.rpartition("@")[2]
    origin = f"{parts.scheme}://{host}"
    return Transport(origin, max_in_flight=MAX_IN_FLIGHT, authorization=authorization), parts.path


def _parse(body: bytes) -> AccessToken:
    try:
        data = json.loads(body)["data"]
        token, expires_in_s = data["accessToken"], data["expiresIn"]
    except (ValueError, KeyError, TypeError):
        raise AppError(Code.WX_BAD_REPLY, cause="accessTokenUrl: not the reply of another Kaimen") from None
    if not (isinstance(token, str) and token and isinstance(expires_in_s, int) and expires_in_s > 0):
        raise AppError(Code.WX_BAD_REPLY, cause="accessTokenUrl: not the reply of another Kaimen")
    return AccessToken(token, expires_in_s)
