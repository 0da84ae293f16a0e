"""Form-encoded text: bodies of the one route whose RFC asks for them, and queries."""

from urllib.parse import parse_qsl

from core.errors import AppError, Code

MAX_FIELDS = 100


def parse_form(body: bytes) -> dict[str, str]:
    """The fields; raises 4000 for anything malformed or named twice (RFC 6749 §3.2)."""
    try:
        text = body.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise AppError(Code.INVALID_REQUEST, cause="malformed form", field="body") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise AppError(Code.INVALID_REQUEST, cause="a field named twice", field="body")
    return fields


def parse_query(query: str) -> dict[str, str]:
    """The parameters of a query; raises 4000 for anything malformed or named twice."""
    return parse_form(query.encode()) if query else {}
