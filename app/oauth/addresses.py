"""Where a login may return to, and which pages may use the JS-SDK: compared exactly, never guessed at.

A browser reads an address more generously than a server (RFC 9700 §4.11), so whatever two readers could take for
different places is refused.
"""

import re
from collections.abc import Collection
from urllib.parse import unquote

from core.errors import AppError, Code

RETURN_MAX = 1024
PAGE_MAX = 2048
URL = re.compile(r"(https?://[A-Za-z0-9.-]+(?::[1-9][0-9]{0,4})?)([/?#][!-~]*)?", re.ASCII)
VISIBLE = re.compile(r"[!#$%&'()*+,./0-9:;=?@A-Z\[\]_a-z~-]*", re.ASCII)  # RFC 3986, so no backslash
ESCAPED = re.compile(r"%(?![0-9A-Fa-f]{2})")
DECODINGS = 3
TICKET = "kaimenTicket"


def check_return(value: str, origins: Collection[str]) -> str:
    """A local path, or a URL whose origin is among ``origins``, as given; raises 4000."""
    found = URL.fullmatch(value)
    is_listed = found is not None and found[1] in origins
    rest = value.removeprefix(found[1]) if found and is_listed else value
    path = re.split("[?#]", rest, maxsplit=1)[0]
    is_fit = len(value) <= RETURN_MAX and TICKET not in value and _is_plain(rest)
    if not (is_fit and (is_listed or value.startswith("/")) and _is_path(path or "/")):
        raise AppError(Code.INVALID_REQUEST, cause="not a local path or a listed origin", field="return")
    return value


def check_page(value: str, origins: Collection[str]) -> str:
    """The address of a page without its fragment, of an origin among ``origins``; raises 4000."""
    url = value.partition("#")[0]
    found = URL.fullmatch(url)
    if len(url) > PAGE_MAX or found is None or found[1] not in origins:
        raise AppError(Code.INVALID_REQUEST, cause="not a page of a listed origin", field="url")
    return url


def with_ticket(address: str, ticket: str) -> str:
    """The address with the ticket in its query."""
    before, mark, fragment = address.partition("#")
    joint = "&" if "?" in before else "?"
    return f"{before}{joint}{TICKET}={ticket}{mark}{fragment}"


def _is_plain(text: str) -> bool:
    return VISIBLE.fullmatch(text) is not None and ESCAPED.search(text) is None


def _is_path(path: str) -> bool:
    """Whether it stays a path of this host however often it is decoded on the way."""
    for _ in range(DECODINGS):
        if not _is_local(path):
            return False
        decoded = unquote(path)
        if decoded == path:
            return True
        path = decoded
    return False


def _is_local(path: str) -> bool:
    parts = path.split("/")
    has_hidden = not path.isprintable() or "\\" in path or " " in path
    return path.startswith("/") and "//" not in path and not has_hidden and not {".", ".."} & set(parts)
