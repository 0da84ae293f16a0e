"""JSON Schema of what is sent and what is answered."""

import inspect
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from app.commands import Command
from handlers.openapi.operation import Operation

Json = dict[str, Any]
REF = "#/components/schemas/{model}"


class Shapes:
    """JSON Schema of commands and replies; each named type is a component."""

    def __init__(self, operations: list[Operation]) -> None:
        taken = {model for one in operations for model in commands_of(one)}
        given = [reply.shape for one in operations for reply in one.replies if reply.shape is not None]
        inputs: list[Any] = [(model, "validation", TypeAdapter(model)) for model in taken]
        inputs += [(repr(shape), "serialization", TypeAdapter(shape)) for shape in given]
        self._made, rest = TypeAdapter.json_schemas(inputs, ref_template=REF)
        self.components: Json = {name: tidy(schema) for name, schema in sorted(rest.get("$defs", {}).items())}
        for one in operations:
            self._name_actions(one)

    def of_body(self, operation: Operation) -> Json:
        """What the request is."""
        if operation.raw is not None:
            return dict(operation.raw)
        choices = [tidy(self._made[model, "validation"]) for model in commands_of(operation)]
        return choices[0] if len(choices) == 1 else {"oneOf": choices}

    def of_reply(self, shape: Any) -> Json:
        """What ``data`` is, or the whole body without the envelope."""
        found: Json = tidy(self._made[repr(shape), "serialization"])
        return found

    def _name_actions(self, operation: Operation) -> None:
        if not isinstance(operation.body, Mapping):
            return
        for action, model in operation.body.items():
            schema = self.components[model.__name__]
            schema["properties"] = {"action": {"const": action}, **schema["properties"]}
            schema["required"] = ["action", *schema.get("required", [])]


def tidy(schema: Any) -> Any:
    """JSON Schema without pydantic's titles, which repeat the names; docstrings as one paragraph, in Markdown."""
    if isinstance(schema, list):
        return [tidy(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: tidy(part) for name, part in schema.items() if name != "title" or not isinstance(part, str)}
    if isinstance(kept.get("description"), str):
        kept["description"] = " ".join(inspect.cleandoc(kept["description"]).replace("``", "`").split())
    return kept


def commands_of(operation: Operation) -> list[type[Command]]:
    """Those that the body may be."""
    if operation.body is None:
        return []
    return list(operation.body.values()) if isinstance(operation.body, Mapping) else [operation.body]
