"""How one method of one route is described."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from app.commands import Command
from core.errors import Code

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
HTML = "text/html"
TEXT = "text/plain"
SAFE = {"GET", "HEAD"}
STRING: Mapping[str, Any] = {"type": "string"}


class Access(Enum):
    """Who may call."""

    ANYONE = "anyone"
    USER = "user"  # access token or cookie
    SERVICE = "service"  # Basic or a signed request


class Form(Enum):
    """What a failure looks like."""

    ENVELOPE = "envelope"
    TEXT = "text"  # the name of the error
    PAGE = "page"  # for browsers; the envelope for anybody else
    PAY = "pay"
    PARTNER = "partner"
    WAFER = "wafer"


class Reply(NamedTuple):
    """A success: ``shape`` is the type of the JSON, None for what is not JSON or has no body (``media`` empty)."""

    says: str
    shape: Any = None
    status: int = 200
    media: tuple[str, ...] = ()
    headers: Mapping[str, str] = {}
    in_envelope: bool = False


class Parameter(NamedTuple):
    """One in the query or a header; ``schema`` is JSON Schema."""

    name: str
    where: str
    says: str
    schema: Mapping[str, Any] = STRING
    required: bool = False


def data(shape: Any, says: str = "", status: int = 200) -> Reply:
    """``data`` of the envelope of success."""
    return Reply(says, shape, status, (JSON,), in_envelope=True)


def plain(shape: Any, says: str = "", status: int = 200) -> Reply:
    """JSON without the envelope."""
    return Reply(says, shape, status, (JSON,))


def query(name: str, says: str, **schema: Any) -> Parameter:
    """A parameter of the query."""
    return Parameter(name, "query", says, schema or STRING)


def query_of(model: type[Command], **says: str) -> tuple[Parameter, ...]:
    """A query that is parsed as a command; ``says``: field → what it means."""
    schema = model.model_json_schema()
    required = schema.get("required", [])
    return tuple(
        Parameter(field.alias or name, "query", says[name], _bare(schema, field.alias or name), name in required)
        for name, field in model.model_fields.items()
    )


def _bare(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in schema["properties"][name].items() if key != "title"}


def header(name: str, says: str, **schema: Any) -> Parameter:
    """A header that means something to this call alone."""
    return Parameter(name, "header", says, schema or STRING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """``raises`` are the codes of its own: those of its access, its body and every route are added by ``codes``.

    ``body`` is the command it takes, or one for each ``action``; ``example`` is such a body.
    """

    summary: str
    replies: tuple[Reply, ...]
    says: str = ""
    access: Access = Access.ANYONE
    scope: str = ""
    body: type[Command] | Mapping[str, type[Command]] | None = None
    media: tuple[str, ...] = (JSON,)
    raw: Mapping[str, Any] | None = None  # the schema of a body that is no command
    example: Mapping[str, Any] | None = None
    parameters: tuple[Parameter, ...] = ()
    raises: tuple[Code, ...] = ()
    failures: Form = Form.ENVELOPE


ALWAYS = {Code.INVALID_REQUEST, Code.BODY_TOO_LARGE, Code.INTERNAL}
OF_PATH = {Code.NOT_FOUND}  # a segment that is too long for anything of ours
OF_UNSAFE = {Code.BAD_ORIGIN}
OF_BODY = {Code.UNSUPPORTED_MEDIA_TYPE}
OF_ACCESS = {
    Access.ANYONE: set[Code](),
    Access.USER: {
        Code.UNAUTHENTICATED,
        Code.TOKEN_EXPIRED,
        Code.SESSION_REVOKED,
        Code.ACCOUNT_DISABLED,
        Code.DATABASE_UNAVAILABLE,
    },
    Access.SERVICE: {Code.UNAUTHENTICATED, Code.FORBIDDEN, Code.DATABASE_UNAVAILABLE, Code.CACHE_UNAVAILABLE},
}
OF_COOKIE = {Code.XSRF}
OF_WECHAT = (
    Code.UNKNOWN_APP,
    Code.WX_RATE_LIMITED,
    Code.WX_BAD_REPLY,
    Code.WX_UNAVAILABLE,
    Code.WX_TIMEOUT,
    Code.CACHE_UNAVAILABLE,
    Code.DATABASE_UNAVAILABLE,
)


def codes(operation: Operation, method: str, path: str) -> list[Code]:
    """Every code the call may answer with, in the order of the table of errors."""
    found = OF_PATH if "{" in path else set[Code]()
    found = found | ALWAYS | set(operation.raises) | OF_ACCESS[operation.access]
    if method not in SAFE:
        found |= OF_UNSAFE
        if operation.access is Access.USER:
            found |= OF_COOKIE
    if operation.body is not None:
        found |= OF_BODY
    return [code for code in Code if code in found]
