"""docs/miniprogram.md, in both languages, says what the SDK has: options, calls, errors."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("docs/miniprogram.md", "docs/zh/miniprogram.md")
SOURCE = ROOT / "miniprogram/src"


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def first_cells(page: str) -> list[str]:
    return re.findall(r"^\| (.+?) \|", read(page), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_every_option_is_there_and_no_other(page: str) -> None:
    table = re.search(r"const OPTIONS = \{(.*?)\n\}", (SOURCE / "options.js").read_text("utf-8"), re.DOTALL)
    assert table
    options = set(re.findall(r"^  (\w+): \[", table[1], re.MULTILINE))
    section = read(page).split("\n## ")[1]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == options


@pytest.mark.parametrize("page", PAGES)
def test_every_call_is_named(page: str) -> None:
    interface = re.search(r"export interface Kaimen \{(.*?)\n\}", read("miniprogram/kaimen/index.d.ts"), re.DOTALL)
    assert interface
    calls = set(re.findall(r"^  (\w+)[<(]", interface[1], re.MULTILINE))
    assert {"autoLogin", "request", "confirmScan"} < calls
    assert {call for call in calls if f"`{call}(" not in read(page) and f".{call}(" not in read(page)} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_error_of_the_phone_is_there_with_its_number(page: str) -> None:
    made = re.findall(r"^  (\w+): \[(1\d{3})", (SOURCE / "errors.js").read_text("utf-8"), re.MULTILINE)
    told = re.findall(r"^\| (1\d{3}) \| (\w+) \|", read(page), re.MULTILINE)
    assert told == [(number, error) for error, number in made]
    typed = re.findall(r"\| '(\w+)' // (1\d{3})", read("miniprogram/kaimen/index.d.ts"))
    assert typed == made


def test_both_languages_have_the_same_code_and_tables() -> None:
    english, chinese = (re.findall(r"^```\w*\n(.*?)^```", read(page), re.MULTILINE | re.DOTALL) for page in PAGES)
    assert english == chinese
    names = [[re.findall(r"`[^`]+`", cell) for cell in first_cells(page)] for page in PAGES]
    assert names[0] == names[1]
