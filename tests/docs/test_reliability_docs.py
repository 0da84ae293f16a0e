"""docs/reliability.md names tests that are there, and every test of tests/faults."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_tests_that_reliability_md_names_are_there_and_all_of_tests_faults_is_named() -> None:
    named = set(re.findall(r"tests/[a-z_/]*\.py", (ROOT / "docs/reliability.md").read_text("utf-8")))
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "tests/faults").glob("test_*.py")} <= named
