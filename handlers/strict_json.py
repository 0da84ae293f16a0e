"""JSON bodies, read more strictly than ``json.loads`` does by itself."""

import json
from typing import Any, NoReturn

from core.errors import AppError, Code


def parse_json_object(body: bytes) -> dict[str, Any]:
    """The object in ``body``; raises 4000 for anything that two parsers might read differently.

    That is: not UTF-8, lone surrogates, duplicate keys, NaN and Infinity, numbers of thousands of digits, nesting
    beyond the parser's depth, a top level that is no object.
    """
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)
        _refuse_surrogates(body, value)
    except (ValueError, RecursionError):
        raise AppError(Code.INVALID_REQUEST, cause="malformed JSON", field="body") from None
    if not isinstance(value, dict):
        raise AppError(Code.INVALID_REQUEST, cause="not a JSON object", field="body")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _refuse_surrogates(body: bytes, value: Any) -> None:
    """Half of a character, written as an escape, cannot be encoded again: not by us, not by a database."""
    if b"\\u" in body:
        json.dumps(value, ensure_ascii=False).encode()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
