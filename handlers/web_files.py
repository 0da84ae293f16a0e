"""Files of ``web/``, and the headers of pages.

The files are found once, at the start: what a request names is looked up among them and never becomes a path.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

from app.kaimen import Kaimen
from core.errors import AppError, Code
from core.settings.table import WECHAT_API_URL
from handlers.base import ApiHandler

WEB = Path(__file__).parent.parent / "web"
DEMO = WEB / "demo" / "index.html"
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
}
FRESH_S = 300  # the modules of a page come from one version, or, for so long after an update, from two
PAGE_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}


class WebFile(NamedTuple):
    """A file of ``web/`` as it is sent."""

    content: bytes
    media_type: str
    etag: str


def as_file(content: bytes, media_type: str) -> WebFile:
    """With its mark."""
    return WebFile(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def read_file(path: Path) -> WebFile:
    """The file, which must be of a known type."""
    return as_file(path.read_bytes(), TYPES[path.suffix])


def find_files(folder: Path = WEB) -> dict[str, WebFile]:
    """What is served below ``/web/``, by its path there; pages are not, they have routes of their own."""
    return {
        path.relative_to(folder).as_posix(): read_file(path)
        for path in sorted(folder.rglob("*"))
        if path.suffix in TYPES and path.suffix != ".html" and path.is_file()
    }


def page_policy(**more: str) -> str:
    """The content security policy of a page; ``img_src="https://…"`` adds to a directive."""
    added = {name.replace("_", "-"): value for name, value in more.items()}
    return "; ".join(f"{name} {value} {added.get(name, '')}".rstrip() for name, value in PAGE_POLICY.items())


class FileHandler(ApiHandler):
    """``/web/{path}``: scripts, style sheets and pictures, the same for everybody."""

    def get(self, path: str) -> None:
        """The file, or 304 where the browser has it; raises 4040."""
        found = self.web_files.get(path)
        if found is None:
            raise AppError(Code.NOT_FOUND)
        self.set_header("Cache-Control", f"public, max-age={FRESH_S}")
        self.send_file(found)

    head = get

    @property
    def web_files(self) -> dict[str, WebFile]:
        """All of them; in development as they are now, so that an edit shows at once."""
        files: dict[str, WebFile] = self.application.settings["web_files"]
        return find_files() if is_development(self.kaimen) else files

    def send_file(self, file: WebFile) -> None:
        """With its type and its mark."""
        self.set_header("Content-Type", file.media_type)
        self.set_header("ETag", file.etag)
        if file.etag in self.request.headers.get("If-None-Match", ""):
            self.set_status(304)
            self.finish()
        else:
            self.finish(file.content)


class DemoHandler(ApiHandler):
    """``/``: a page to try everything on, in development only."""

    def get(self) -> None:
        """The page, which may talk to the simulator; raises 4040 in production."""
        if not is_development(self.kaimen):
            raise AppError(Code.NOT_FOUND)
        settings = self.kaimen.settings
        simulator = "" if settings.wechat_api_url == WECHAT_API_URL else settings.wechat_api_url
        socket = settings.public_url.replace("http", "ws", 1)  # some browsers do not count it to 'self'
        policy = page_policy(connect_src=f"{simulator} {socket}".strip(), img_src=simulator)
        self.set_header("Content-Security-Policy", policy)
        page = DEMO.read_bytes().replace(b"{{prefix}}", settings.path_prefix.encode())
        self.set_header("Content-Type", TYPES[".html"])
        self.finish(page.replace(b"{{simulator}}", simulator.encode()))

    head = get


def is_development(kaimen: Kaimen) -> bool:
    """Whether this is for trying and developing."""
    return kaimen.settings.env == "development"
