"""Logs: a line each, for machines and for people, and nothing in them that was not put there."""

import ast
import contextlib
import contextvars
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.observe.logs import FIELDS, LEVELS, UNLISTED, begin_request, frames_of, get_logger, set_up_logs

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def logged(level: str, log_format: str) -> Iterator[io.StringIO]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        set_up_logs(level, log_format)
        yield out
    set_up_logs("error", "json")


def test_a_line_is_one_json_object_whatever_its_values_hold() -> None:
    with logged("info", "json") as out:
        get_logger().info("request", path="/a\r\nb", status=200, odd=object())
    (line,) = out.getvalue().splitlines()
    assert json.loads(line)["path"] == "/a\r\nb"
    assert json.loads(line)["level"] == "info"
    assert json.loads(line)["timestamp"].endswith("Z")


def test_what_is_below_the_level_is_not_written() -> None:
    with logged("warning", "json") as out:
        get_logger().info("quiet")
        get_logger().warning("loud")
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["loud"]


def test_people_read_a_request_at_a_glance() -> None:
    with logged("info", "console") as out:
        get_logger().info("request", method="GET", path="/healthz", status=200, ms=1.4, request_id="abc")
        get_logger().info("request", method="GET", path="/x", status=404, ms=1.4, request_id="abc", code=4040, cause="")
    first, second = out.getvalue().splitlines()
    assert first.endswith("GET    /healthz 200 1 ms")
    assert second.endswith("GET    /x 404 1 ms  request_id=abc code=4040")


def test_a_library_is_heard_without_its_arguments_or_messages() -> None:
    with logged("info", "json") as out:
        try:
            raise ValueError("swordfish")
        except ValueError:
            logging.getLogger("some.library").exception("failed for %s", "swordfish")
    line = json.loads(out.getvalue())
    assert (line["logger"], line["exception"], line["template"]) == ("some.library", "ValueError", "failed for %s")
    assert "swordfish" not in out.getvalue()


def test_frames_name_places_and_no_values() -> None:
    def deep(secret: str) -> None:
        raise KeyError(secret)

    with pytest.raises(KeyError) as caught:
        deep("swordfish")
    frames = frames_of(caught.value)
    assert frames[-1].endswith(" deep")
    assert "swordfish" not in "".join(frames)


def test_a_field_that_is_not_in_the_table_is_not_written() -> None:
    with logged("info", "json") as out:
        get_logger().info("request", path="/x", token="swordfish", password="swordfish")
    line = json.loads(out.getvalue())
    assert line["path"] == "/x"
    assert line["token"] == line["password"] == UNLISTED
    assert "swordfish" not in out.getvalue()


def test_every_call_of_the_log_names_only_fields_of_the_table() -> None:
    unlisted = {
        f"{path.relative_to(ROOT)}:{call.lineno} {keyword.arg}"
        for floor in ("core", "models", "app", "handlers", "cli")
        for path in (ROOT / floor).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and _is_log_call(call)
        for keyword in call.keywords
        if keyword.arg and keyword.arg not in FIELDS
    }
    assert not unlisted


def _is_log_call(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in LEVELS:
        return False
    made = call.func.value
    return isinstance(made, ast.Call) and isinstance(made.func, ast.Name) and made.func.id == "get_logger"


def test_a_line_cannot_give_orders_to_a_terminal() -> None:
    with logged("info", "console") as out:
        get_logger().info("request", method="GET", path="/\x1b[2J\x1b]0;owned\x07", status=404, ms=1, cause="\r\nfake")
    assert out.getvalue().count("\n") == 1
    assert "\x1b" not in out.getvalue()


def test_a_line_bears_the_request_it_was_written_for() -> None:
    def serve() -> None:
        begin_request("r-1", "0af7651916cd43dd8448eb211c80319c", debug=False)
        get_logger().info("wechat", api="jscode2session")

    with logged("info", "json") as out:
        contextvars.copy_context().run(serve)
        get_logger().info("pruned")
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert (first["request_id"], first["trace_id"]) == ("r-1", "0af7651916cd43dd8448eb211c80319c")
    assert "request_id" not in second


def test_debug_lines_of_a_chosen_request_are_written_whatever_the_level() -> None:
    def serve() -> None:
        begin_request("r-1", "", debug=True)
        get_logger().debug("wechat", outcome="ok")

    with logged("error", "json") as out:
        contextvars.copy_context().run(serve)
        get_logger().debug("wechat", outcome="ok")
    assert [json.loads(line)["request_id"] for line in out.getvalue().splitlines()] == ["r-1"]
