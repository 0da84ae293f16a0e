"""The admin port, on loopback only: metrics for Prometheus, and the health of this very process."""

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from app.kaimen import Kaimen
from core.observe import metrics
from handlers.base import Envelope, NotFoundHandler
from handlers.browser import Browsers
from handlers.health import HealthHandler, ReadyHandler


class MetricsHandler(Envelope):
    """``GET /metrics``."""

    def get(self) -> None:
        """Everything counted by this process; each process of several has an admin port of its own."""
        body, content_type = metrics.expose(self.request.headers.get("Accept", ""))
        self.set_header("Content-Type", content_type)
        self.finish(body)


ADMIN_ROUTES: list[tuple[str, type[RequestHandler]]] = [
    (r"/metrics", MetricsHandler),
    (r"/healthz", HealthHandler),
    (r"/readyz", ReadyHandler),
]


def make_admin_server(kaimen: Kaimen) -> HTTPServer:
    """The server of the admin port; what it is asked is neither counted nor logged."""
    application = Application(
        list(ADMIN_ROUTES),  # Tornado's own list; ours is data
        kaimen=kaimen,
        browsers=Browsers(kaimen.settings),
        default_handler_class=NotFoundHandler,
        log_function=lambda _: None,
    )
    return HTTPServer(application, max_body_size=1024, idle_connection_timeout=75)
