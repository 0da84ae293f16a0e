"""What a failure looks like: one response for each set of codes with the same status, in the form of its route."""

from collections.abc import Callable
from typing import Any

from core.errors import Code
from handlers.openapi.operation import HTML, JSON, STRING, TEXT, Form

Json = dict[str, Any]
Group = tuple[Code, ...]
REQUEST_ID = {"type": "string", "description": "in the log of the server too"}
HEADERS = {
    "X-Request-Id": "the request's own, or a new one",
    "Retry-After": "seconds",
    "WWW-Authenticate": "how to say who one is",
}


def group_codes(found: list[Code]) -> list[tuple[int, Group]]:
    """Those of each status."""
    statuses = sorted({code.value.status for code in found})
    return [(status, tuple(code for code in found if code.value.status == status)) for status in statuses]


def name_failure(group: Group, form: Form) -> str:
    """Its name among the components."""
    kind = "" if form is Form.ENVELOPE else f"-{form.value}"
    return "-".join(str(code.value.number) for code in group) + kind


def describe_failure(group: Group, form: Form) -> Json:
    """The response."""
    names = {"X-Request-Id"}
    names |= {"Retry-After"} if any(code.value.retry_after_s for code in group) else set()
    names |= {"WWW-Authenticate"} if group[0].value.status == 401 and form is not Form.WAFER else set()
    return {
        "description": "\n".join(f"- {code.value.number} `{code.error}`: {code.value.en}" for code in group),
        "headers": {name: refer_to_header(name) for name in sorted(names)},
        "content": {media: {"schema": schema} for media, schema in sorted(_content(group, form).items())},
    }


def refer_to_header(name: str) -> Json:
    """The header among the components."""
    return {"$ref": f"#/components/headers/{name}"}


def _content(group: Group, form: Form) -> dict[str, Json]:
    content = FORMS[form](group)
    if Code.NOT_FOUND in group and form is not Form.ENVELOPE:  # where no route fits, no route's form is known
        content[JSON] = _any_of(content.get(JSON), _envelope(group))
    return content


def _any_of(one: Json | None, other: Json) -> Json:
    return other if one is None else {"anyOf": [one, other]}


def _envelope(group: Group) -> Json:
    return _object(**_partner(group)["properties"], requestId=REQUEST_ID)


def _partner(group: Group) -> Json:
    return _object(
        code={"enum": [code.value.number for code in group]},
        error={"enum": [code.error for code in group]},
        message={"type": "string", "description": "for people; may be reworded"},
        data={"type": ["object", "null"], "description": "a hint, such as the `field` of 4000"},
    )


def _pay(group: Group) -> Json:
    return _object(code={"const": "FAIL"}, message={"enum": [code.error for code in group]})


def _wafer(group: Group) -> Json:
    if group[0].value.status != 401:
        return _envelope(group)
    stale = _object(code={"const": -1}, error={"const": "ERR_SKEY_INVALID"}, message=dict(STRING))
    return {"anyOf": [stale, _envelope(group)]}


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


FORMS: dict[Form, Callable[[Group], dict[str, Json]]] = {
    Form.ENVELOPE: lambda group: {JSON: _envelope(group)},
    Form.TEXT: lambda group: {TEXT: {"enum": [code.error for code in group]}},
    Form.PAGE: lambda group: {JSON: _envelope(group), HTML: dict(STRING)},
    Form.PAY: lambda group: {JSON: _pay(group)},
    Form.PARTNER: lambda group: {JSON: _partner(group)},
    Form.WAFER: lambda group: {JSON: _wafer(group)},
}
