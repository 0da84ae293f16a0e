"""How clients and WeChat see us: the public URL, its certificate, what the proxy passes on and what it must not."""

import asyncio
import http.client
import ssl
from urllib.parse import SplitResult, urlencode, urlsplit

from app.crypto.push import sign_push
from app.doctor.findings import FAIL, OK, WARN, Finding
from core.clock import Clock
from core.settings import App, Settings

TIMEOUT_S = 5.0
DAY_MS = 86_400_000
DAYS_WARN, DAYS_FAIL = 21, 7
REPLY_MAX = 1024
SWITCHING = 101
PRIVATE = ("/metrics",)
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",  # the one of RFC 6455
}


async def examine_outside(settings: Settings, clock: Clock, ca_file: str | None = None) -> list[Finding]:
    """``ca_file``: authorities to believe besides the system's."""
    return await asyncio.to_thread(_examine, settings, clock, ca_file)


def _examine(settings: Settings, clock: Clock, ca_file: str | None) -> list[Finding]:
    url = urlsplit(settings.public_url)
    tls = ssl.create_default_context(cafile=ca_file) if url.scheme == "https" else None
    if tls and ca_file:
        tls.load_default_certs()
    try:
        certificate = _certificate(url, tls, clock) if tls else []
        return [
            *certificate,
            _health(settings, url, tls, clock),
            *_private(settings, url, tls),
            _socket(settings, url, tls),
            *[_callback(settings, url, tls, clock, app) for app in settings.apps if app.token],
        ]
    except ssl.SSLCertVerificationError as error:
        return [Finding("certificate", FAIL, f"clients refuse it: {error.verify_message}", "renew it: certbot renew")]
    except (OSError, http.client.HTTPException) as error:
        fix = "does the name lead here, is nginx up, is port 443 open? From inside, some networks cannot reach it"
        return [Finding("public url", FAIL, f"cannot be reached: {type(error).__name__}", fix)]


def _certificate(url: SplitResult, tls: ssl.SSLContext, clock: Clock) -> list[Finding]:
    connection = http.client.HTTPSConnection(url.hostname or "", url.port, timeout=TIMEOUT_S, context=tls)
    connection.connect()
    ends = str((connection.sock.getpeercert() or {})["notAfter"])
    connection.close()
    days = int((ssl.cert_time_to_seconds(ends) * 1000 - clock.now_ms()) // DAY_MS)
    level = FAIL if days < DAYS_FAIL else WARN if days < DAYS_WARN else OK
    fix = "" if level == OK else "renew it: certbot renew; see systemctl status certbot.timer"
    return [Finding("certificate", level, f"ends in {days} days", fix)]


def _health(settings: Settings, url: SplitResult, tls: ssl.SSLContext | None, clock: Clock) -> Finding:
    mine = clock.new_id()
    status, headers, _ = _get(settings, url, tls, "/healthz", {"X-Request-Id": mine})
    if status == 200 and headers.get("X-Request-Id") == mine:
        return Finding("public url", OK, "leads here")
    fix = "nginx must pass KAIMEN_PATH_PREFIX and below to this server, with its headers"
    return Finding("public url", FAIL, f"something else answers there: status {status}", fix)


def _private(settings: Settings, url: SplitResult, tls: ssl.SSLContext | None) -> list[Finding]:
    bare = settings.model_copy(update={"path_prefix": ""})
    open_to_all = [path for path in PRIVATE if _get(bare, url, tls, path, {})[0] == 200]
    return [
        Finding("public url", FAIL, f"{path} is public", "nginx must not pass the admin port on")
        for path in open_to_all
    ]


def _socket(settings: Settings, url: SplitResult, tls: ssl.SSLContext | None) -> Finding:
    status, _, _ = _get(settings, url, tls, "/api/session/ws", {**UPGRADE, "Origin": settings.public_url})
    if status == SWITCHING:
        return Finding("websocket", OK, "the proxy lets it through")
    fix = "nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade"
    return Finding("websocket", FAIL, f"status {status} instead of 101", fix)


def _callback(settings: Settings, url: SplitResult, tls: ssl.SSLContext | None, clock: Clock, app: App) -> Finding:
    """Asks as WeChat does when the URL of the message push is set."""
    what, path = f"app {app.appid}", f"/callback/wechat/{app.appid}"
    timestamp, nonce = str(clock.now_ms() // 1000), clock.new_id()
    asked = {"signature": sign_push(app.token, timestamp, nonce), "timestamp": timestamp, "nonce": nonce}
    status, _, body = _get(settings, url, tls, f"{path}?{urlencode({**asked, 'echostr': nonce})}", {})
    if (status, body) == (200, nonce.encode()):
        return Finding(what, OK, f"WeChat's check of {path} would succeed")
    fix = "nginx must pass the path on with its query as it is, and servers must have the app's token of now: reload"
    return Finding(what, FAIL, f"WeChat's check of {path} would fail: status {status}", fix)


def _get(
    settings: Settings, url: SplitResult, tls: ssl.SSLContext | None, path: str, headers: dict[str, str]
) -> tuple[int, http.client.HTTPMessage, bytes]:
    kind = http.client.HTTPConnection
    host, port = url.hostname or "", url.port
    connection = (
        http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=tls)
        if tls
        else kind(host, port, timeout=TIMEOUT_S)
    )
    try:
        connection.request("GET", settings.path_prefix + path, headers=headers)
        reply = connection.getresponse()
        return reply.status, reply.headers, b"" if reply.status == SWITCHING else reply.read(REPLY_MAX)
    finally:
        connection.close()
