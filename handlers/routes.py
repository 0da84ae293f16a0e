"""The whole URL table, and the application made of it."""

import re

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from app.kaimen import Kaimen
from handlers.account import AccountHandler, BindHandler, ConsentHandler, ExportHandler, PasswordHandler
from handlers.auth import AuthHandler, LogoutHandler
from handlers.avatar import AvatarHandler, UploadHandler
from handlers.base import NotFoundHandler, log_request
from handlers.browser import Browsers
from handlers.callbacks import PushHandler
from handlers.callbacks_signed import PartnerHandler, PayHandler
from handlers.devices import DevicesHandler
from handlers.docs import DocsHandler, OpenApiHandler, PostmanHandler
from handlers.health import HealthHandler, ReadyHandler
from handlers.oauth import JsSdkHandler, OAuthCallbackHandler, OAuthLoginHandler, TicketHandler
from handlers.scan import (
    PhoneCancelHandler,
    PhoneConfirmHandler,
    PhoneScanHandler,
    PngHandler,
    RedeemHandler,
    ScanHandler,
    ScansHandler,
    SvgHandler,
)
from handlers.scan_page import MiniProgramImageHandler, ScanPageHandler
from handlers.scan_ws import ScanSocket
from handlers.service import AccessTokenHandler, IntrospectHandler, LookupHandler, UserHandler
from handlers.session_ws import SessionSocket
from handlers.sessions import SessionHandler, SessionsHandler
from handlers.slow_heads import Server
from handlers.token import JwksHandler, MetadataHandler, VerifyHandler
from handlers.user import DecryptHandler, InfoHandler, PhoneHandler
from handlers.wafer import WaferLoginHandler, WaferUserHandler
from handlers.web_files import DemoHandler, FileHandler, find_files

ROUTES: list[tuple[str, type[RequestHandler]]] = [
    ("/api/auth", AuthHandler),
    ("/api/auth/logout", LogoutHandler),
    ("/api/auth/ticket", TicketHandler),
    ("/oauth/{appid}/login", OAuthLoginHandler),
    ("/oauth/{appid}/callback", OAuthCallbackHandler),
    ("/api/wechat/{appid}/jssdk-signature", JsSdkHandler),
    ("/api/user/info", InfoHandler),
    ("/api/user/avatar", UploadHandler),
    ("/avatar/{name}", AvatarHandler),
    ("/api/user/phone", PhoneHandler),
    ("/api/user/decrypt", DecryptHandler),
    ("/api/user", AccountHandler),
    ("/api/user/bind", BindHandler),
    ("/api/user/password", PasswordHandler),
    ("/api/user/consent", ConsentHandler),
    ("/api/user/export", ExportHandler),
    ("/api/sessions", SessionsHandler),
    ("/api/sessions/{id}", SessionHandler),
    ("/api/session/ws", SessionSocket),
    ("/api/scan", ScansHandler),
    ("/api/scan/{scanId}", ScanHandler),
    ("/api/scan/{scanId}/qr.svg", SvgHandler),
    ("/api/scan/{scanId}/qr.png", PngHandler),
    ("/api/scan/{scanId}/ws", ScanSocket),
    ("/api/scan/{scanId}/redeem", RedeemHandler),
    ("/api/scan/{scanId}/scan", PhoneScanHandler),
    ("/api/scan/{scanId}/confirm", PhoneConfirmHandler),
    ("/api/scan/{scanId}/cancel", PhoneCancelHandler),
    ("/s/{scanId}", ScanPageHandler),
    ("/s/{scanId}/miniprogram", MiniProgramImageHandler),
    ("/callback/wechat/{appid}", PushHandler),
    ("/callback/wechatpay/{mchid}", PayHandler),
    ("/callback/partner/{name}", PartnerHandler),
    ("/api/user/devices", DevicesHandler),
    ("/api/token/verify", VerifyHandler),
    ("/api/token/introspect", IntrospectHandler),
    ("/api/service/users/lookup", LookupHandler),
    ("/api/service/users/{id}", UserHandler),
    ("/api/wechat/{appid}/access-token", AccessTokenHandler),
    ("/weapp/login", WaferLoginHandler),
    ("/weapp/user", WaferUserHandler),
    ("/.well-known/jwks.json", JwksHandler),
    ("/.well-known/oauth-authorization-server", MetadataHandler),
    ("/", DemoHandler),
    ("/web/{path}", FileHandler),
    ("/docs", DocsHandler),
    ("/openapi.json", OpenApiHandler),
    ("/postman.json", PostmanHandler),
    ("/healthz", HealthHandler),
    ("/readyz", ReadyHandler),
]

# Tornado's own answer to a large body is a bare 400; ours, a 413, is given by ApiHandler, which also bounds the
# time a body may take: Tornado's body_timeout costs every request what a timer costs only those with a body.
LIMITS = {
    "max_body_size": 1 << 40,
    "max_header_size": 64 * 1024,
    "chunk_size": 64 * 1024,
}


def make_application(kaimen: Kaimen) -> Application:
    """The Tornado application of one process."""
    prefix = kaimen.settings.path_prefix
    table = [(prefix + _pattern(path), handler) for path, handler in ROUTES]
    return Application(
        table,
        kaimen=kaimen,
        browsers=Browsers(kaimen.settings),
        guests=Browsers(kaimen.settings, kaimen.settings.returns),
        web_files=find_files(),
        routes=ROUTES,
        route_names={handler: path for path, handler in reversed(ROUTES)},  # the first, where a handler has several
        default_handler_class=NotFoundHandler,
        log_function=log_request,
    )


def _pattern(path: str) -> str:
    """``{name}`` in a path of the table stands for one segment, given to the handler; ``{path}`` for all the rest."""
    return re.sub(r"\{\w+\}", "([^/]{1,64})", path.replace(".", r"\.").replace("{path}", "(.{1,128})"))


def make_server(application: Application) -> HTTPServer:
    """Its HTTP server, with limits and timeouts set."""
    return Server(application, **LIMITS)
