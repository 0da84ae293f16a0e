"""Traces while they are off, the header that connects them, and the table of attributes."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.observe import traces
from core.observe.traces import ATTRIBUTES, NO_SPAN, Parent, parse_traceparent

ROOT = Path(__file__).parents[2]
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_while_traces_are_off_nothing_is_made() -> None:
    assert not traces.is_on()
    assert traces.trace("x", "server", {}) is traces.span("x", "client", {}) is NO_SPAN
    assert traces.together("x", "internal", {}, []) is NO_SPAN
    with NO_SPAN as span:
        span.set({"user.id": "x"})
        assert traces.current() is None
    assert (span.trace_id, span.traceparent) == ("", "")


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True)])
def test_a_traceparent_names_trace_caller_and_whether_it_is_recorded(flags: str, sampled: bool) -> None:
    assert parse_traceparent(f"00-{TRACE}-{CALLER}-{flags}") == Parent(TRACE, CALLER, sampled)


@pytest.mark.parametrize(
    "header",
    [
        "",
        TRACE,
        f"00-{TRACE.upper()}-{CALLER}-01",
        f"00-{TRACE}-{CALLER}-01-more",
        f"00-{TRACE}-{CALLER}-01\n",
        f"ff-{TRACE}-{CALLER}-01",
        f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{CALLER}-0",
    ],
)
def test_what_is_no_traceparent_is_taken_for_none(header: str) -> None:
    assert parse_traceparent(header) is None


def names_in_code() -> Iterator[str]:
    """Keys of dicts in the modules that know of traces."""
    for floor in ("core", "models", "app", "handlers"):
        for path in (ROOT / floor).rglob("*.py"):
            text = path.read_text("utf-8")
            if path.name != "traces.py" and ("traces" in text or "Described" in text):
                yield from _names_in(ast.parse(text))


def _names_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key in node.keys:
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value


def test_the_table_has_every_attribute_that_the_code_gives_and_no_other() -> None:
    of_resource = {"service.name", "service.version", "service.instance.id", "host.name", "process.pid"}
    of_resource |= {"deployment.environment.name"}
    given = {name for name in names_in_code() if "." in name} - of_resource
    assert given | {"error.type"} == set(ATTRIBUTES)
