"""Every route is described, every description is true, and nothing is said that must not be."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from app.commands import Command, parse_command
from contract import check_reply, document
from core.errors import Code
from handlers.openapi.document import Call, find_calls, served
from handlers.openapi.operation import codes
from handlers.openapi.postman import make_collection
from handlers.openapi.table import FAMILIES, IN_PATH
from handlers.routes import ROUTES

ROOT = Path(__file__).parents[3]
CALLS = find_calls(ROUTES)
NAMES = [f"{call.method} {call.path}" for call in CALLS]
SECRET = re.compile(r"session_?key|password|secret|sealed|hash", re.IGNORECASE)
SHOWN = {"pollSecret", "passwordChangedAt"}  # the first is the browser's own
IDENTITY = re.compile(r"open_?id|union_?ids?", re.IGNORECASE)
TELLS_IDENTITY = {"GET /api/user/export", "POST /api/service/users/lookup", "PATCH /api/service/users/{id}"}


@pytest.mark.parametrize("name", sorted(set(served(ROUTES))))
def test_every_route_is_described(name: str) -> None:
    assert name in NAMES, f"{name} has no description: add it to a table in handlers/openapi/"


def test_nothing_is_described_that_is_not_served() -> None:
    described = [name for family in FAMILIES for name in family.operations]
    assert sorted(set(described) - set(served(ROUTES))) == []
    assert len(described) == len(set(described))


def test_every_name_in_braces_is_explained_and_no_other() -> None:
    assert {name for path, _ in ROUTES for name in re.findall(r"\{(\w+)\}", path)} == set(IN_PATH)


def test_the_document_is_openapi_3_1() -> None:
    errors = jsonschema_rs.validator_for(OPENAPI_31).iter_errors(document())
    assert [f"{error.instance_path}: {error.message}" for error in errors] == []


def test_every_reference_leads_somewhere() -> None:
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document())):
        found: Any = document()
        for part in reference.split("/"):
            found = found[part]


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [one["operationId"] for methods in document()["paths"].values() for one in methods.values()]
    assert len(names) == len(set(names)) == len(NAMES)


@pytest.mark.parametrize("call", CALLS, ids=NAMES)
def test_the_example_of_a_body_is_a_valid_command(call: Call) -> None:
    operation = call.operation
    if operation.body is None:
        assert operation.example is None or operation.raw
        return
    body = dict(operation.example or {})
    models = operation.body
    model = models if isinstance(models, type) else models[body.pop("action")]
    assert isinstance(parse_command(model, body), Command)


@pytest.mark.parametrize("call", CALLS, ids=NAMES)
def test_a_reply_declares_no_secret_and_openids_only_where_they_belong(call: Call) -> None:
    declared = document()["paths"][call.path][call.method.lower()]["responses"]
    fields = set(field_names(declared))
    assert {name for name in fields if SECRET.search(name)} <= SHOWN
    told = {name for name in fields if IDENTITY.fullmatch(name)}
    assert not told or f"{call.method} {call.path}" in TELLS_IDENTITY


def field_names(schema: Any) -> Iterator[str]:
    """The names of all fields that a reply may have, whatever it refers to."""
    if isinstance(schema, list):
        for part in schema:
            yield from field_names(part)
    elif isinstance(schema, dict):
        if "$ref" in schema:
            kind, name = schema["$ref"].split("/")[-2:]
            yield from field_names(document()["components"][kind][name])
        yield from schema.get("properties", {})
        for part in schema.values():
            yield from field_names(part)


def test_every_code_is_declared_by_some_route_and_raised_somewhere() -> None:
    declared = {code for call in CALLS for code in codes(call.operation, call.method, call.path)}
    anywhere = {Code.METHOD_NOT_ALLOWED}  # of any path
    assert {code.name for code in Code} - {code.name for code in declared | anywhere} == set()
    assert {code.name for code in Code} - set(raised()) == set()


def raised() -> Iterator[str]:
    """The names of codes in the source, outside of the descriptions and the table itself."""
    for folder in ("models", "app", "handlers"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.is_relative_to(ROOT / "handlers" / "openapi"):
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Code":
                    yield node.attr


GOOD = {"code": 200, "message": "success", "data": {"phone": None}, "requestId": "1"}
JSON = "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("status", "media", "body"),
    [
        (200, JSON, {**GOOD, "data": {"phone": None, "sessionKey": "x"}}),
        (200, JSON, {**GOOD, "data": {}}),
        (200, JSON, {**GOOD, "data": {"phone": 1}}),
        (200, JSON, {**GOOD, "more": 1}),
        (200, "text/html", GOOD),
        (201, JSON, GOOD),
        (403, JSON, {"code": 4035, "error": "reauth_required", "message": "", "data": None, "requestId": "1"}),
        (402, JSON, GOOD),
    ],
    ids=["secret", "nothing", "type", "field", "media", "created", "code", "status"],
)
def test_a_reply_that_is_not_as_declared_fails_the_test_that_got_it(status: int, media: str, body: Any) -> None:
    check_reply("POST", "/api/user/phone", 200, JSON, GOOD)
    with pytest.raises(AssertionError):
        check_reply("POST", "/api/user/phone", status, media, body)


def test_the_collection_has_every_call_but_websockets() -> None:
    collection = make_collection(document())
    asked = {
        (
            item["request"]["method"],
            re.sub(r":(\w+)", r"{\1}", item["request"]["url"]["raw"].removeprefix("{{baseUrl}}")),
        )
        for folder in collection["item"]
        for item in folder["item"]
    }
    sockets = {
        f"{call.method} {call.path}" for call in CALLS if any(one.status == 101 for one in call.operation.replies)
    }
    assert {f"{method} {path}" for method, path in asked} == set(NAMES) - sockets


def test_a_request_of_the_collection_proves_itself_by_variables() -> None:
    collection = make_collection(document())
    requests = {item["name"]: item["request"] for folder in collection["item"] for item in folder["item"]}
    assert requests["The user's own profile"]["auth"]["bearer"][0]["value"] == "{{accessToken}}"
    assert requests["Look users up"]["auth"]["type"] == "basic"
    assert "auth" not in requests["Register, log in, refresh"]
    body = json.loads(requests["Register, log in, refresh"]["body"]["raw"])
    assert body["action"] == "login"
