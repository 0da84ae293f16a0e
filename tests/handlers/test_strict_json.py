"""JSON is read strictly: whatever comes, an object or one error."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import AppError, Code
from handlers.strict_json import parse_json_object

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner),
    max_leaves=10,
)


@given(st.dictionaries(TEXT, VALUES), st.booleans())
def test_every_object_is_read_as_it_was_written(value: dict[str, object], ascii_only: bool) -> None:
    assert parse_json_object(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_the_one_error(body: bytes) -> None:
    try:
        found = parse_json_object(body)
    except AppError as error:
        found = {"refused": error.code}
    assert isinstance(found, dict)
    assert found.get("refused", Code.INVALID_REQUEST) is Code.INVALID_REQUEST


@pytest.mark.parametrize("body", [rb'{"a":"\ud800"}', rb'{"\udfff":1}', rb'{"a":["\uD83D"]}'])
def test_half_a_character_is_refused(body: bytes) -> None:
    with pytest.raises(AppError):
        parse_json_object(body)


def test_a_whole_character_written_as_two_escapes_is_read() -> None:
    assert parse_json_object(rb'{"a":"\ud83d\ude00"}') == {"a": "😀"}
