"""The whole URL table, and the application made of it."""

import re

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from app.kaimen import Kaimen
from handlers.account import AccountHandler, BindHandler, ConsentHandler, ExportHandler, PasswordHandler
from handlers.auth import AuthHandler, LogoutHandler
from handlers.base import NotFoundHandler, log_request
from handlers.browser import Browsers
from handlers.health import HealthHandler, ReadyHandler
from handlers.service import AccessTokenHandler, IntrospectHandler, LookupHandler, UserHandler
from handlers.session_ws import SessionSocket
from handlers.sessions import SessionHandler, SessionsHandler
from handlers.token import JwksHandler, MetadataHandler, VerifyHandler
from handlers.user import DecryptHandler, InfoHandler, PhoneHandler

ROUTES: list[tuple[str, type[RequestHandler]]] = [
    ("/api/auth", AuthHandler),
    ("/api/auth/logout", LogoutHandler),
    ("/api/user/info", InfoHandler),
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
    ("/api/token/verify", VerifyHandler),
    ("/api/token/introspect", IntrospectHandler),
    ("/api/service/users/lookup", LookupHandler),
    ("/api/service/users/{id}", UserHandler),
    ("/api/wechat/{appid}/access-token", AccessTokenHandler),
    ("/.well-known/jwks.json", JwksHandler),
    ("/.well-known/oauth-authorization-server", MetadataHandler),
    ("/healthz", HealthHandler),
    ("/readyz", ReadyHandler),
]

# Tornado's own answer to a large body is a bare 400; ours, a 413, is given by ApiHandler, which also bounds the
# time a body may take: Tornado's body_timeout costs every request what a timer costs only those with a body.
LIMITS = {
    "max_body_size": 1 << 40,
    "max_header_size": 64 * 1024,
    "idle_connection_timeout": 75,
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
        default_handler_class=NotFoundHandler,
        log_function=log_request,
    )


def _pattern(path: str) -> str:
    """``{name}`` in a path of the table stands for one segment, given to the handler."""
    return re.sub(r"\{\w+\}", "([^/]{1,64})", path.replace(".", r"\."))


def make_server(application: Application) -> HTTPServer:
    """Its HTTP server, with limits and timeouts set."""
    return HTTPServer(application, **LIMITS)
