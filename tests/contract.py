"""Holds replies against ``/openapi.json``: status, code, media type and shape must be as declared.

Every reply that a test gets through ``Backend.call`` is held against it, more strictly than a client should: a field
that is not declared is a failure here.
"""

import re
from functools import cache, lru_cache
from typing import Any

import jsonschema_rs

from handlers.openapi.document import make_document
from handlers.openapi.site import Site
from handlers.routes import ROUTES

BEYOND = {405, 413}  # of any path: a method it does not have, a body over the limit
SITE = Site("http://kaimen.test", "kaimen", "0")


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """As this checkout serves it."""
    return make_document(ROUTES, SITE)


@lru_cache(maxsize=1)
def patterns() -> list[tuple[re.Pattern[str], str]]:
    """Paths with braces last: ``/api/user/info`` is not ``/api/user/{id}``."""
    paths = sorted(document()["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\\{(\w+)\\}", _segment, re.escape(path))), path) for path in paths]


def find_path(path: str) -> str | None:
    """The path of the document that the path of a request belongs to."""
    return next((found for pattern, found in patterns() if pattern.fullmatch(path)), None)


def check_reply(method: str, path: str, status: int, media: str, body: Any) -> None:
    """Fails the test if the reply is not as declared; ``body`` is the JSON, or the text of anything else."""
    found = find_path(path)
    operation = document()["paths"].get(found, {}).get(method.lower())
    if operation is None or status in BEYOND:
        return
    declared = operation["responses"].get(str(status))
    assert declared, f"{method} {found} answered {status}, which its description does not have: {body}"
    media = media.split(";")[0].strip()
    content = resolve(declared).get("content", {})
    assert media in content if content else not body, f"{method} {found} {status} came as {media}: {body}"
    if content:
        errors = [f"{error.instance_path}: {error.message}" for error in validator(method, found, status, media)(body)]
        assert not errors, f"{method} {found} {status} has another shape than declared: {errors}"


def resolve(declared: dict[str, Any]) -> dict[str, Any]:
    """Itself, or what it refers to."""
    if "$ref" not in declared:
        return declared
    found: dict[str, Any] = document()["components"]["responses"][declared["$ref"].rsplit("/", 1)[1]]
    return found


@cache
def validator(method: str, path: str | None, status: int, media: str) -> Any:
    """The errors of a body; what is not declared is one."""
    declared = resolve(document()["paths"][path][method.lower()]["responses"][str(status)])
    schema = declared["content"][media]["schema"]
    whole = {**strict(schema), "components": strict(document()["components"])}
    return jsonschema_rs.validator_for(whole).iter_errors


def strict(schema: Any) -> Any:
    """The same schema, closed to further fields."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: strict(part) for name, part in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed


def _segment(_name: re.Match[str]) -> str:
    return ".+" if _name[1] == "path" else "[^/]+"
