"""The OpenAPI 3.1 document, made from the routes, the commands, the replies and the table of errors."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import ValidationError
from tornado.web import RequestHandler

from app.services.signing import SCHEME
from core.errors import Code
from handlers.base import VERBS
from handlers.openapi.failures import (
    HEADERS,
    REQUEST_ID,
    Group,
    describe_failure,
    group_codes,
    name_failure,
    refer_to_header,
)
from handlers.openapi.operation import STRING, Access, Form, Operation, Parameter, Reply, codes
from handlers.openapi.shapes import Shapes, commands_of
from handlers.openapi.site import Routes, Site
from handlers.openapi.table import FAMILIES, IN_PATH

Json = dict[str, Any]
IN_BRACES = re.compile(r"\{(\w+)\}")
ABOUT = """Kaimen (开门) is the login backend of a WeChat mini-program and of the web pages beside it.

JSON in UTF-8 both ways; names are camelCase, ids are strings, times RFC 3339 in UTC, durations seconds. A success is \
`{"code": 200, "message": "success", "data": …, "requestId": …}`; a failure has a fitting HTTP status, a `code` and an \
`error` that never change, and a `message` for people (English with `Accept-Language: en`). Replies only ever gain \
fields: ignore those you do not know."""
COOKIE = "of a page that signed in with `cookie`; unsafe methods also need `X-XSRFToken` and an `Origin` of ours"
SECURITY: dict[Access, list[tuple[str, Json]]] = {
    Access.ANYONE: [],
    Access.USER: [
        ("token", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "the access token"}),
        ("cookie", {"type": "apiKey", "in": "cookie", "description": COOKIE}),
    ],
    Access.SERVICE: [
        ("basic", {"type": "http", "scheme": "basic", "description": "name and secret of a service"}),
        ("signed", {"type": "http", "scheme": SCHEME, "description": "a signed request: see docs/api.md"}),
    ],
}


class Call(NamedTuple):
    """A method of a route and its description."""

    method: str
    path: str
    family: str
    operation: Operation


def served(routes: Routes) -> list[str]:
    """Every ``"POST /api/auth"`` that the routes serve."""
    return [f"{verb} {path}" for path, handler in routes for verb in VERBS if _has(handler, verb)]


def find_calls(routes: Routes) -> list[Call]:
    """Those served and described, in the order of the descriptions."""
    there = set(served(routes))
    return [
        Call(name.split(" ")[0], name.split(" ")[1], family.name, operation)
        for family in FAMILIES
        for name, operation in family.operations.items()
        if name in there
    ]


def make_document(routes: Routes, site: Site) -> Json:
    """The document, as JSON."""
    calls = find_calls(routes)
    shapes = Shapes([call.operation for call in calls])
    paths: dict[str, Json] = {}
    for call in calls:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call, shapes)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Kaimen", "version": site.version, "description": ABOUT, "license": {"name": "MIT"}},
        "servers": [{"url": site.url}],
        "tags": [{"name": family.name, "description": family.says} for family in FAMILIES],
        "paths": paths,
        "components": {
            "schemas": shapes.components,
            "responses": {name_failure(*key): describe_failure(*key) for key in _failures(calls)},
            "headers": {name: {"description": says, "schema": STRING} for name, says in HEADERS.items()},
            "securitySchemes": {name: scheme for _, name, scheme in _schemes(site.cookie)},
        },
        "x-errors": [_error(code) for code in Code],
    }


def _has(handler: type[RequestHandler], verb: str) -> bool:
    return getattr(handler, verb.lower()) is not getattr(RequestHandler, verb.lower())


def _operation(call: Call, shapes: Shapes) -> Json:
    operation = call.operation
    found: Json = {
        "tags": [call.family],
        "summary": operation.summary,
        "operationId": _operation_id(call),
        "parameters": [_parameter(one) for one in (*_path_parameters(call.path), *operation.parameters)],
        "responses": dict(_responses(call, shapes)),
    }
    if operation.says:
        found["description"] = operation.says
    if operation.body is not None or operation.raw is not None:
        found["requestBody"] = _request_body(operation, shapes)
    if operation.access is not Access.ANYONE:
        scopes = [operation.scope] if operation.scope else []
        found["security"] = [{name: scopes} for name, _ in SECURITY[operation.access]]
    return found


def _operation_id(call: Call) -> str:
    words = re.findall(r"[A-Za-z0-9]+", call.path)
    return call.method.lower() + "".join(word[0].upper() + word[1:] for word in words)


def _path_parameters(path: str) -> Iterator[Parameter]:
    for name in IN_BRACES.findall(path):
        schema = {**STRING, "minLength": 1, "maxLength": 128 if name == "path" else 64}
        yield Parameter(name, "path", IN_PATH[name], schema, required=True)


def _parameter(one: Parameter) -> Json:
    named = {"name": one.name, "in": one.where, "description": one.says, "schema": dict(one.schema)}
    return {**named, "required": True} if one.required else named


def _request_body(operation: Operation, shapes: Shapes) -> Json:
    content: Json = {"schema": shapes.of_body(operation)}
    if operation.example is not None:
        content["example"] = dict(operation.example)
    return {"required": not _takes_nothing(operation), "content": dict.fromkeys(operation.media, content)}


def _takes_nothing(operation: Operation) -> bool:
    """Nothing at all counts as ``{}``."""
    commands = commands_of(operation)
    try:
        return len(commands) == 1 and bool(commands[0].model_validate({}))
    except ValidationError:
        return False


def _responses(call: Call, shapes: Shapes) -> Iterator[tuple[str, Json]]:
    for reply in call.operation.replies:
        yield str(reply.status), _success(reply, shapes)
    for status, group in group_codes(codes(call.operation, call.method, call.path)):
        name = name_failure(group, call.operation.failures)
        if all(reply.status != status for reply in call.operation.replies):
            yield str(status), {"$ref": f"#/components/responses/{name}"}


def _success(reply: Reply, shapes: Shapes) -> Json:
    content = {media: {"schema": _success_schema(reply, shapes)} for media in reply.media}
    headers: Json = {"X-Request-Id": refer_to_header("X-Request-Id")}
    headers |= {name: {"description": says, "schema": STRING} for name, says in reply.headers.items()}
    found = {"description": reply.says, "headers": headers}
    return {**found, "content": content} if content else found


def _success_schema(reply: Reply, shapes: Shapes) -> Json:
    if reply.shape is None:
        return dict(STRING)
    shape = shapes.of_reply(reply.shape)
    if not reply.in_envelope:
        return shape
    envelope = {"code": {"const": 200}, "message": {"const": "success"}, "data": shape, "requestId": REQUEST_ID}
    return {"type": "object", "properties": envelope, "required": list(envelope)}


def _failures(calls: list[Call]) -> list[tuple[Group, Form]]:
    found = {
        (group, call.operation.failures)
        for call in calls
        for _, group in group_codes(codes(call.operation, call.method, call.path))
    }
    return sorted(found, key=lambda key: name_failure(*key))


def _schemes(cookie: str) -> Iterator[tuple[Access, str, Json]]:
    for access, schemes in SECURITY.items():
        for name, scheme in schemes:
            yield access, name, {**scheme, "name": cookie} if name == "cookie" else scheme


def _error(code: Code) -> Json:
    kind = code.value
    return {"code": kind.number, "error": code.error, "status": kind.status, "zh": kind.zh, "en": kind.en}
