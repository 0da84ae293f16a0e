"""docs/events.md says what the code tells: every type with its data, every reason, and nothing else."""

import ast
import re
from pathlib import Path

from models.event_types import REASONS, TEST, TYPES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/events.md"
TYPE = re.compile(r"(user|session|scan|payment|refund|device|wechat)\.[a-z_]+")
OF_AUDIT = {"user.bind", "user.unbind", "user.merge", "user.unmerge", "user.delete", "user.password", "user.disabled",
            "user.enabled"}  # fmt: skip


def rows(pattern: str) -> list[list[str]]:
    found = re.findall(rf"^\| {pattern} \|.*\|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert found
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in found]


def names(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`(\w+)`", cell))


def test_events_md_has_a_line_for_every_type_with_its_data_and_for_nothing_else() -> None:
    told = {row[0].strip("`"): (names(row[1]), names(row[2])) for row in rows(r"`[a-z]+\.[a-z_.]+`")}
    assert told == {kind: (fields.always, fields.sometimes) for kind, fields in TYPES.items()}


def test_events_md_has_every_reason_of_a_revocation_and_nothing_else() -> None:
    page = PAGE.read_text("utf-8").split("| reason | |")[1].split("\n\n")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == REASONS


def test_every_type_the_code_writes_to_the_outbox_is_in_the_table() -> None:
    """A literal that looks like a type of event is one, or an action of the audit."""
    written = set()
    for path in sorted((ROOT / "models").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and _is_telling(node):
                written |= {one.value for one in ast.walk(node) if _is_type(one)}
    assert written - OF_AUDIT <= set(TYPES), written - OF_AUDIT - set(TYPES)
    assert TEST not in TYPES


def _is_telling(node: ast.Call) -> bool:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in {"Event", "note_change", "_tell", "Happened"}


def _is_type(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(TYPE.fullmatch(node.value))
