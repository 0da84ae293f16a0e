"""``/docs``, ``/openapi.json``, ``/postman.json``: the routes as their descriptions have them."""

import asyncio
from functools import lru_cache
from importlib.metadata import version

from core.errors import AppError, Code
from handlers.base import encode_json
from handlers.openapi.site import Routes, Site
from handlers.web_files import TYPES, WEB, FileHandler, WebFile, as_file, is_development, page_policy

PAGE = WEB / "docs" / "index.html"
JSON_TYPE = "application/json"


class DescribedHandler(FileHandler):
    """4040 where ``KAIMEN_API_DOCS`` is off."""

    def prepare(self) -> None:
        """Also raises what every handler does."""
        super().prepare()
        if self.kaimen.settings.api_docs == "off":
            raise AppError(Code.NOT_FOUND)

    @property
    def site(self) -> Site:
        """This installation."""
        settings = self.kaimen.settings
        return Site(settings.public_url + settings.path_prefix, self.browsers.cookie_name, version("kaimen"))

    async def send_made(self, name: str) -> None:
        """Made once, beside the event loop: it takes a twentieth of a second."""
        routes: Routes = self.application.settings["routes"]
        made = await asyncio.to_thread(_make, self.site, tuple(routes))
        self.send_file(made[name])


class OpenApiHandler(DescribedHandler):
    """``/openapi.json``."""

    async def get(self) -> None:  # type: ignore[override]
        """OpenAPI 3.1."""
        await self.send_made("openapi")

    head = get  # type: ignore[assignment]


class PostmanHandler(DescribedHandler):
    """``/postman.json``."""

    async def get(self) -> None:  # type: ignore[override]
        """A collection to import."""
        await self.send_made("postman")

    head = get  # type: ignore[assignment]


class DocsHandler(DescribedHandler):
    """``/docs``."""

    def get(self) -> None:  # type: ignore[override]
        """The page; calls can be tried in development only."""
        self.set_header("Content-Security-Policy", page_policy())
        self.set_header("Content-Type", TYPES[".html"])
        prefix = self.kaimen.settings.path_prefix
        tries = "yes" if is_development(self.kaimen) else "no"
        page = PAGE.read_bytes().replace(b"{{prefix}}", prefix.encode())
        self.finish(page.replace(b"{{tries}}", tries.encode()))

    head = get  # type: ignore[assignment]


@lru_cache(maxsize=4)
def _make(site: Site, routes: tuple[tuple[str, type], ...]) -> dict[str, WebFile]:
    from handlers.openapi.document import make_document
    from handlers.openapi.postman import make_collection

    document = make_document(routes, site)
    return {
        "openapi": as_file(encode_json(document), JSON_TYPE),
        "postman": as_file(encode_json(make_collection(document)), JSON_TYPE),
    }
