import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--clients", "50", "--think", "0.2", "--hurry", "0")


def load(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["scripts/load", *options], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def figures_in(folder: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((folder / "load.json").read_text("utf-8"))
    return figures


def test_help_names_every_option() -> None:
    shown = load("--help")
    assert shown.returncode == 0
    for option in ("--minutes", "--clients", "--think", "--hurry", "--processes", "--seed", "--out"):
        assert option in shown.stdout


def test_an_unknown_option_is_refused_with_status_2_and_named() -> None:
    refused = load("--fast")
    assert refused.returncode == 2
    assert "--fast" in refused.stderr


def test_a_short_day_is_drawn_and_written_down_with_its_targets(tmp_path: Path) -> None:
    done = load("--minutes", "0.1", *SMALL, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    figures = figures_in(tmp_path)
    assert not figures["problems"]
    assert all(figures["summary"]["day"][kind]["count"] for kind in ("autoLogin", "profile", "change", "scan"))
    assert {status for second in figures["seconds"] for status in second["statuses"]} == {"200", "201"}
    assert all(second["memory_mib"] > 50 and second["cores"]["server"] >= 0 for second in figures["seconds"])
    page = (tmp_path / "load.html").read_text("utf-8")
    assert [target["name"] for target in figures["targets"]] == re.findall(r"<tr><th>([^<]*)</th><td>", page)[:5]
    assert page.count("<svg") == 12
    assert not re.search(r"src=|href=|url\(|@import|<script", page)


def test_ctrl_c_ends_everything_and_still_draws_what_there_is(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = ["scripts/load", *SMALL, "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr
        for line in run.stderr:
            if line.startswith("replaying"):
                break
        run.send_signal(signal.SIGINT)
        assert run.wait(60) == 0
    assert len(figures_in(tmp_path / "out")["seconds"]) < 60
    assert (tmp_path / "out" / "load.html").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
