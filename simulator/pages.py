"""The phone page and the avatars."""

from pathlib import Path
from urllib.parse import urlsplit

from tornado.web import RequestHandler, StaticFileHandler

from simulator.avatars import draw
from simulator.state import State

WEB = Path(__file__).parent / "web"


class PageHandler(StaticFileHandler):
    """The page's files. Images may also come from the backend, nothing else from anywhere."""

    def initialize(self, state: State) -> None:  # type: ignore[override]
        """Take what the route table passes."""
        super().initialize(path=str(WEB), default_filename="index.html")
        self.state = state

    def set_extra_headers(self, path: str) -> None:
        """The page is small and local: always the newest, never inside a frame."""
        parts = urlsplit(self.state.backend_url or "")
        backend = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
        policy = f"default-src 'self'; img-src 'self'{backend}; frame-ancestors 'none'; base-uri 'none'"
        self.set_header("Content-Security-Policy", policy)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-cache")


class AvatarHandler(RequestHandler):
    """``/avatar/{name}.svg``."""

    def get(self, name: str) -> None:
        """The face of that name, whether or not there is such a user."""
        self.set_header("Content-Type", "image/svg+xml")
        self.set_header("Cache-Control", "max-age=86400")
        self.finish(draw(name))
