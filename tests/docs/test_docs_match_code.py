"""The documentation says what the code does: settings, errors, routes, links and commands."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from tornado.web import RequestHandler

from app.auth.limits import ANSWERS
from core.errors import Code
from core.limits import DEFAULTS
from core.settings import PREFIX, Settings
from handlers.base import VERBS
from handlers.routes import ROUTES
from simulator.control import ACTIONS
from simulator.faults import NAMES

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.zh-CN.md")
TRANSLATED = sorted(path.stem for path in (ROOT / "docs/zh").glob("*.md"))
ERRORS = ("docs/errors.md", "docs/zh/errors.md")
NONE = "–"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def tracked_files() -> list[Path]:
    """Those git tracks or would track; without git (an archive), all but hidden and generated folders."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(listing, cwd=ROOT, capture_output=True, check=False)
    if found.returncode == 0:
        names = [name for name in found.stdout.decode().split("\0") if name]
    else:
        paths = (path.relative_to(ROOT) for path in ROOT.rglob("*"))
        names = [str(path) for path in paths if not {part for part in path.parts if part.startswith((".", "var"))}]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def markdown_files() -> list[Path]:
    return [path for path in tracked_files() if path.suffix == ".md"]


def rows(name: str, first: str) -> list[list[str]]:
    """The cells of the table rows whose first cell matches, with escaped bars kept."""
    lines = [line for line in read(name).splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in cells if re.fullmatch(first, row[0])]


def without_code(text: str) -> str:
    return FENCE.sub("", text)


def shown_default(value: Any) -> str:
    value = value.get_secret_value() if isinstance(value, SecretStr) else value
    if value is None or value in ("", ()):
        return NONE
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def test_settings_md_names_every_setting_with_its_default_and_meaning_and_nothing_else() -> None:
    expected = [
        (f"`{PREFIX}{name.upper()}`", shown_default(field.default), field.description)
        for name, field in Settings.model_fields.items()
    ]
    assert [(row[0], row[2], row[3]) for row in rows("docs/settings.md", f"`{PREFIX}.*`")] == expected


@pytest.mark.parametrize("path", markdown_files(), ids=lambda path: path.name)
def test_a_page_names_no_setting_that_does_not_exist(path: Path) -> None:
    elsewhere = {"KAIMEN_PYTHON", "KAIMEN_TEST_WORKERS"}  # of the scripts
    known = {PREFIX + name.upper() for name in Settings.model_fields} | elsewhere
    known |= {name.removesuffix("_FILE") for name in known}  # of one that is itself named so
    named = {name.removesuffix("_FILE") for name in re.findall(rf"{PREFIX}[A-Z_]*[A-Z]", path.read_text("utf-8"))}
    assert named <= known


@pytest.mark.parametrize("page", ERRORS)
def test_errors_md_has_every_code_and_nothing_else(page: str) -> None:
    expected = []
    for code in Code:
        kind = code.value
        wait = NONE if kind.retry_after_s is None else str(kind.retry_after_s)
        row = [str(kind.number), f"`{code.error}`", str(kind.status), kind.severity, kind.zh, kind.en, wait]
        expected.append(row)
    assert [row for row in rows(page, r"\d{4}") if len(row) == 7] == expected


@pytest.mark.parametrize("page", ERRORS)
def test_errors_md_says_for_every_code_what_to_do(page: str) -> None:
    told = {row[0]: row[1] for row in rows(page, r"\d{4}") if len(row) == 3}
    assert list(told) == [str(code.value.number) for code in Code]
    assert all(len(advice) > 1 for advice in told.values())


@pytest.mark.parametrize("path", markdown_files(), ids=lambda path: path.name)
def test_a_page_names_no_error_that_does_not_exist(path: Path) -> None:
    known = {(code.value.number, code.error) for code in Code}
    named = re.findall(r'"code": ?(\d{4}), ?"error": ?"(\w+)"|\b(\d{4}) `?(\w+_\w+)\b', path.read_text("utf-8"))
    assert {(int(row[0] or row[2]), row[1] or row[3]) for row in named} <= known


def test_api_md_has_a_section_for_every_route_and_method_and_for_nothing_else() -> None:
    served = {
        (verb, path)
        for path, handler in ROUTES
        for verb in VERBS
        if getattr(handler, verb.lower()) is not getattr(RequestHandler, verb.lower())
    }
    headings = re.findall(r"^## `([A-Z]+) (/\S*)`$", read("docs/api.md"), re.MULTILINE)
    assert sorted(headings) == sorted(served)


def test_simulator_md_has_every_call_and_fault_and_nothing_else() -> None:
    calls = {(method, path) for path, actions in ACTIONS.items() for method in actions}
    assert {tuple(row[0].strip("`").split(" ")) for row in rows("docs/simulator.md", r"`[A-Z]+ /sim/.*`")} == calls
    faults = [row[0].strip("`") for row in rows("docs/simulator.md", r"`[a-zA-Z]+`") if len(row) == 2]
    assert set(faults) == set(NAMES) - {"id", "api"}


def test_architecture_md_has_a_line_for_every_module_and_for_nothing_else() -> None:
    packages = re.split(r"^### ", read("docs/architecture.md").split("## How two requests")[0], flags=re.MULTILINE)[1:]
    named = {f"{part.split()[0]}/{path}" for part in packages for path in re.findall(r"`([\w/]+\.py)`", part)}
    folders = [part.split()[0] for part in packages]
    modules = {str(path.relative_to(ROOT)) for folder in folders for path in (ROOT / folder).rglob("*.py")}
    assert named == {path for path in modules if not path.endswith("__init__.py")}


def test_both_readmes_have_the_same_headings_by_level() -> None:
    outlines = [re.findall(r"^(#+) ", without_code(read(name)), re.MULTILINE) for name in READMES]
    assert outlines[0] == outlines[1]


def test_both_readmes_have_the_same_code() -> None:
    """Comments and the picture are translated; nothing else is."""
    english, chinese = (
        [(language, drop_comments(code)) for language, code in FENCE.findall(read(name)) if language != "mermaid"]
        for name in READMES
    )
    assert english == chinese
    assert len(english) > 5


def drop_comments(code: str) -> str:
    lines = (re.sub(r"  +# .*", "", line) for line in code.splitlines())
    return "\n".join(line for line in lines if not line.lstrip().startswith(("# ", "// ")))


def test_both_readmes_link_to_the_same_files() -> None:
    english, chinese = (set(LINK.findall(without_code(read(name)))) - set(READMES) for name in READMES)
    assert english == chinese


@pytest.mark.parametrize("path", markdown_files(), ids=lambda path: path.name)
def test_every_relative_link_of_a_page_leads_to_a_file(path: Path) -> None:
    targets = [link.split("#")[0] for link in LINK.findall(without_code(path.read_text("utf-8")))]
    local = [target for target in targets if target and "://" not in target and not target.startswith("mailto:")]
    assert [target for target in local if not (path.parent / target).is_file()] == []


def anchors(text: str) -> set[str]:
    """Those a page's headings get on the sites that show it."""
    headings = re.findall(r"^#+ (.+)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", markdown_files(), ids=lambda path: path.name)
def test_every_link_into_a_page_leads_to_a_heading(path: Path) -> None:
    text = path.read_text("utf-8")
    links = [link.split("#") for link in LINK.findall(without_code(text)) if "#" in link and "://" not in link]
    pages = {page: (path.parent / page).read_text("utf-8") if page else text for page, _ in links}
    assert [f"{page}#{anchor}" for page, anchor in links if anchor not in anchors(pages[page])] == []


@pytest.mark.parametrize("name", TRANSLATED)
def test_a_page_in_both_languages_has_the_same_outline_and_tables_and_code(name: str) -> None:
    pages = [read(f"docs/{folder}{name}.md") for folder in ("", "zh/")]
    english, chinese = ([(kind, drop_comments(code)) for kind, code in FENCE.findall(page)] for page in pages)
    assert english == chinese
    shapes = [re.findall(r"^(#+ |\|[- |]+\|$|!\[)|^\|", without_code(page), re.MULTILINE) for page in pages]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", TRANSLATED)
def test_a_page_in_both_languages_leads_to_the_other_one(name: str) -> None:
    assert f"[中文](zh/{name}.md)" in read(f"docs/{name}.md")
    assert f"[English](../{name}.md)" in read(f"docs/zh/{name}.md")


@pytest.mark.parametrize("readme", READMES)
def test_the_two_commands_of_a_readme_exist_and_can_be_run(readme: str) -> None:
    commands = set(re.findall(r"^scripts/\w+", read(readme), re.MULTILINE))
    assert commands == {"scripts/run", "scripts/test"}
    assert all(os.access(ROOT / command, os.X_OK) for command in commands)


def test_no_file_names_a_path_of_one_machine_or_a_folder_outside_the_project() -> None:
    forbidden = [f"/{name}/".encode() for name in ("work", "root")] + [b"../" + b"shared"]
    pattern = re.compile(b"|".join(rb"(?<![\w.-])" + re.escape(word) for word in forbidden))
    assert [str(path.relative_to(ROOT)) for path in tracked_files() if pattern.search(path.read_bytes())] == []


def test_settings_md_has_every_limit_with_its_default() -> None:
    expected = [(f"`{name}`", f"`{limit}`", str(ANSWERS[name].value.number)) for name, limit in DEFAULTS.items()]
    assert [(row[0], row[1], row[3]) for row in rows("docs/settings.md", r"`[a-z]+_[a-z]+`")] == expected
