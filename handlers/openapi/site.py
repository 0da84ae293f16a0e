"""What the descriptions are made for, apart from them: they cost 8 MiB, and most processes are never asked."""

from collections.abc import Iterable
from typing import NamedTuple

from tornado.web import RequestHandler

Routes = Iterable[tuple[str, type[RequestHandler]]]


class Site(NamedTuple):
    """What depends on the installation: base URL, name of the cookie, version of the release."""

    url: str
    cookie: str
    version: str
