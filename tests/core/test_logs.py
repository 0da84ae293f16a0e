"""Logs: a line each, for machines and for people, and nothing in them that was not put there."""

import contextlib
import io
import json
import logging
from collections.abc import Iterator

import pytest

from core.observe.logs import frames_of, get_logger, set_up_logs


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
