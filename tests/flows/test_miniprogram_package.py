"""The SDK as it is handed out: one file for each kind of modules, small, typed, installable."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from miniprogram_bench import FOLDER, node

ROOT = Path(__file__).parents[2] / "miniprogram"
SDK = ROOT / "kaimen"
SIZE_MAX = 12 * 1024


def run(*command: str, cwd: Path = FOLDER) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tool(name: str, *args: str) -> str:
    return run(node(), str(FOLDER / "node_modules" / name), *args)


def test_what_is_handed_out_is_made_of_the_source_as_it_is() -> None:
    run(node(), str(ROOT / "build.mjs"), "--check")


def test_it_is_smaller_than_12_kib_minified() -> None:
    options = ["--module", "--compress", "ecma=2018,passes=3", "--mangle", "--ecma", "2018"]
    minified = tool("terser/bin/terser", str(SDK / "index.mjs"), *options)
    assert "createKaimen" in minified
    assert len(minified.encode()) < SIZE_MAX


@pytest.mark.parametrize(("name", "kind"), [("index.js", "--silent"), ("index.mjs", "--module")])
def test_it_needs_no_more_than_es2018(name: str, kind: str) -> None:
    tool("acorn/bin/acorn", "--ecma2018", kind, "--silent", str(SDK / name))


def test_it_needs_nothing_else() -> None:
    text = (SDK / "index.js").read_text("utf-8")
    assert not re.search(r"\brequire\(|\bimport\b", text)
    assert "dependencies" not in json.loads((SDK / "package.json").read_text("utf-8"))


@pytest.mark.parametrize("project", ["tsconfig.json", "tsconfig.implementation.json"])
def test_its_types_hold_beside_those_of_wechat(project: str) -> None:
    tool("typescript/bin/tsc", "--project", str(FOLDER / project))


def test_installed_from_npm_it_can_be_required_and_imported(tmp_path: Path) -> None:
    npm = shutil.which("npm")
    assert npm, "npm is missing; Debian and Ubuntu: apt-get install npm"
    packed = json.loads(run(npm, "pack", "--json", "--silent", "--pack-destination", str(tmp_path), cwd=SDK))[0]
    assert {one["path"] for one in packed["files"]} == {
        "README.md",
        "index.d.ts",
        "index.js",
        "index.mjs",
        "package.json",
    }
    (tmp_path / "package.json").write_text('{"private": true}')
    archive = str(tmp_path / packed["filename"])
    run(npm, "install", "--offline", "--no-audit", "--no-fund", "--silent", archive, cwd=tmp_path)
    required = "console.log(typeof require('kaimen-miniprogram').createKaimen)"
    imported = "import { scanIdOf } from 'kaimen-miniprogram'; console.log(typeof scanIdOf)"
    assert run(node(), "-e", required, cwd=tmp_path).strip() == "function"
    assert run(node(), "--input-type=module", "-e", imported, cwd=tmp_path).strip() == "function"


def test_developer_tools_find_its_one_file_where_they_build_npm_packages() -> None:
    """They follow ``main`` and put what it needs into miniprogram_npm/<name>/index.js; it needs nothing."""
    package = json.loads((SDK / "package.json").read_text("utf-8"))
    assert (package["main"], package["name"]) == ("index.js", "kaimen-miniprogram")
    assert "miniprogram" not in package
