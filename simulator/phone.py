"""``wx.request`` of the phone: sent from here, since a browser page would meet CORS where WeChat has none.

See: https://developers.weixin.qq.com/miniprogram/dev/api/network/request/wx.request.html
"""

import json
import re
import time
from typing import Any

from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders

from simulator.calls import readable
from simulator.errors import ControlError
from simulator.state import State

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE")
PATH = re.compile(r"/(?![/\\])[!-~]*")
OURS = {"host", "referer", "user-agent", "content-length", "transfer-encoding", "connection"}
USER_AGENT = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Mobile/15E148 MicroMessenger/8.0.50(0x18003233) NetType/WIFI Language/zh_CN"
)
TIMEOUT_S = 60


async def send(state: State, args: dict[str, Any]) -> dict[str, Any]:
    """Send one request to the backend: ``{status, headers, body, durationMs, at}``.

    ControlError 400 on bad arguments, 502 when no backend answers.
    """
    request = build_request(state, args)
    at, started = state.clock(), time.perf_counter()
    try:
        response = await state.client().fetch(request, raise_error=False)
    except (OSError, HTTPClientError) as error:  # not reached, timed out or broken off
        raise ControlError(f"no backend answers at {state.backend_url}: {error}", 502) from error
    return {**shown(response), "durationMs": round((time.perf_counter() - started) * 1000, 1), "at": at}


def build_request(state: State, args: dict[str, Any]) -> HTTPRequest:
    """The request a phone would send; ControlError says what is wrong with the arguments."""
    if state.backend_url is None:
        raise ControlError("no backend is configured; start the simulator with --backend URL")
    method, path = args.get("method", "GET"), args.get("path")
    if method not in METHODS:
        raise ControlError(f"wx.request knows the methods {', '.join(METHODS)}")
    if not isinstance(path, str) or not PATH.fullmatch(path):
        raise ControlError("path must begin with one '/' and be printable ASCII")
    state.wechat.users.get(str(args.get("user")))
    return HTTPRequest(
        state.backend_url.rstrip("/") + path,
        method=method,
        headers=build_headers(args.get("headers", {}), state, str(args.get("appid"))),
        body=build_body(args.get("body")),
        follow_redirects=False,
        request_timeout=TIMEOUT_S,
        allow_nonstandard_methods=True,
        user_agent=USER_AGENT,
    )


def build_headers(given: Any, state: State, appid: str) -> HTTPHeaders:
    """The page's headers, and those that WeChat sets and a page cannot."""
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise ControlError("headers must be an object of strings")
    headers = HTTPHeaders({"Content-Type": "application/json"})
    for name, value in given.items():
        if name.lower() in OURS:
            raise ControlError(f"wx.request does not let a page set {name}")
        if re.search(r"[\r\n\0]", name + value):
            raise ControlError("headers must be single lines")
        headers[name] = value
    app = state.wechat.apps.get_miniprogram(appid)
    headers["Referer"] = f"https://servicewechat.com/{app.appid}/devtools/page-frame.html"
    return headers


def build_body(body: Any) -> bytes | None:
    """A string as it is, other values as JSON."""
    if body is None:
        return None
    return (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()


def shown(response: HTTPResponse) -> dict[str, Any]:
    """Status, headers and body; JSON as a value, other bodies as text."""
    headers = dict(response.headers.get_all())
    return {"status": response.code, "headers": headers, "body": readable(response.body or b"")}
