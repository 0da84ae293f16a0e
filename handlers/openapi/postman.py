"""A Postman collection (format 2.1), made from the OpenAPI document: a folder for each tag, variables for tokens."""

import json
import re
from collections.abc import Iterator
from typing import Any

from handlers.openapi.operation import FORM

Json = dict[str, Any]
SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
VARIABLES = ("accessToken", "refreshToken", "serviceName", "serviceSecret")
KEEP_TOKENS = [
    'if (/json/.test(pm.response.headers.get("Content-Type"))) {',
    "  const { data } = pm.response.json();",
    "  for (const name of ['accessToken', 'refreshToken'])",
    "    if (data && data.refreshToken) pm.collectionVariables.set(name, data[name]);",
    "}",
]
BEARER = {"type": "bearer", "bearer": [{"key": "token", "value": "{{accessToken}}", "type": "string"}]}
BASIC = {
    "type": "basic",
    "basic": [
        {"key": "username", "value": "{{serviceName}}", "type": "string"},
        {"key": "password", "value": "{{serviceSecret}}", "type": "string"},
    ],
}
AUTH = {"token": BEARER, "basic": BASIC}


def make_collection(document: Json) -> Json:
    """The collection; a reply with tokens puts them into its variables, for the calls after it."""
    return {
        "info": {"name": document["info"]["title"], "description": document["info"]["description"], "schema": SCHEMA},
        "auth": {"type": "noauth"},
        "variable": [{"key": "baseUrl", "value": document["servers"][0]["url"]}, *({"key": one} for one in VARIABLES)],
        "event": [{"listen": "test", "script": {"type": "text/javascript", "exec": KEEP_TOKENS}}],
        "item": [
            {"name": tag["name"], "description": tag["description"], "item": list(_requests(document, tag["name"]))}
            for tag in document["tags"]
        ],
    }


def _requests(document: Json, tag: str) -> Iterator[Json]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"] and "101" not in operation["responses"]:  # these are no WebSockets
                yield {"name": operation["summary"], "request": _request(method, path, operation)}


def _request(method: str, path: str, operation: Json) -> Json:
    found: Json = {
        "method": method.upper(),
        "description": operation.get("description", ""),
        "header": [_row(one) for one in operation["parameters"] if one["in"] == "header"],
        "url": _url(path, operation["parameters"]),
    }
    names = [name for choice in operation.get("security", []) for name in choice if name in AUTH]
    if names:
        found["auth"] = AUTH[names[0]]
    return {**found, **_body(operation["requestBody"])} if "requestBody" in operation else found


def _url(path: str, parameters: list[Json]) -> Json:
    """Postman writes ``:id`` for ``{id}``."""
    shown = re.sub(r"\{(\w+)\}", r":\1", path)
    asked = [_row(one) for one in parameters if one["in"] == "query"]
    return {
        "raw": "{{baseUrl}}" + shown,
        "host": ["{{baseUrl}}"],
        "path": shown.strip("/").split("/"),
        "query": asked,
        "variable": [{"key": one["name"], "value": ""} for one in parameters if one["in"] == "path"],
    }


def _row(parameter: Json) -> Json:
    row = {"key": parameter["name"], "value": "", "description": parameter["description"]}
    return row if parameter.get("required") else {**row, "disabled": True}


def _body(body: Json) -> Json:
    media, content = next(iter(body["content"].items()))
    example = content.get("example", {})
    if media.startswith("image/"):
        return {"body": {"mode": "file"}}
    if media == FORM:
        return {"body": {"mode": "urlencoded", "urlencoded": [{"key": k, "value": v} for k, v in example.items()]}}
    return {"body": {"mode": "raw", "raw": _pretty(example), "options": {"raw": {"language": "json"}}}}


def _pretty(example: Json) -> str:
    return json.dumps(example, ensure_ascii=False, indent=2)
