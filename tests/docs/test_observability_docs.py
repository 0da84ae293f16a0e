"""docs/observability.md names every metric, field of the log and attribute of a span, and what they mean."""

import re
from pathlib import Path

from core.observe.logs import FIELDS
from core.observe.metrics import TABLE
from core.observe.traces import ATTRIBUTES

PAGE = Path(__file__).parents[2] / "docs/observability.md"
ENDINGS = {"counter": "_total", "gauge": "", "histogram": ""}


def test_observability_md_has_a_line_for_every_metric_and_for_nothing_else() -> None:
    expected = [
        f"| `{one.name}{ENDINGS[one.kind]}` | {one.kind} | {', '.join(f'`{label}`' for label in one.labels) or '–'} "
        f"| {one.about} |"
        for one in TABLE
    ]
    assert re.findall(r"^\| `kaimen_.*", PAGE.read_text("utf-8"), re.MULTILINE) == expected


def test_observability_md_has_a_line_for_every_field_of_the_log_and_for_nothing_else() -> None:
    page = PAGE.read_text("utf-8").split("## Metrics", maxsplit=1)[0]
    assert re.findall(r"^\| `.*", page, re.MULTILINE) == [f"| `{name}` | {about} |" for name, about in FIELDS.items()]


def test_observability_md_has_a_line_for_every_attribute_of_a_span_and_for_nothing_else() -> None:
    part = PAGE.read_text("utf-8").split("| attribute | |", maxsplit=1)[1].split("\n\n", maxsplit=1)[0]
    assert re.findall(r"^\| `.*", part, re.MULTILINE) == [
        f"| `{name}` | {about} |" for name, about in ATTRIBUTES.items()
    ]
