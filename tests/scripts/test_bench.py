import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["scripts/bench", *options], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def test_help_names_every_option() -> None:
    shown = bench("--help")
    assert shown.returncode == 0
    assert "usage: scripts/bench [--seconds N] [--only CASE]… [--traces] [--json]" in shown.stdout
    assert shown.stderr == ""


def test_an_unknown_option_is_refused_with_status_2_and_named() -> None:
    refused = bench("--fast")
    assert refused.returncode == 2
    assert "--fast" in refused.stderr
    assert refused.stdout == ""


def test_an_unknown_case_is_refused_with_the_names_of_those_there_are() -> None:
    refused = bench("--only", "logout")
    assert refused.returncode == 2
    assert "token-verify" in refused.stderr


def test_one_case_prints_its_row_or_what_to_install() -> None:
    done = bench("--seconds", "1", "--only", "token-verify")
    if shutil.which("wrk") is None:
        assert done.returncode == 1
        assert "apt-get install wrk" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    row = re.search(r"^\| token-verify \| +([1-9]\d+) \|.*\| +0 \| +– \|$", done.stdout, re.MULTILINE)
    assert row, done.stdout
    assert "Memory of the server: " in done.stdout


def test_without_wrk_it_says_what_to_install(tmp_path: Path) -> None:
    """A PATH with links to what the script itself calls, and nothing else."""
    for name in ("bash", "dirname", "readlink", "cat", "cksum", "python3"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    done = subprocess.run(
        ["bash", "scripts/bench"],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "apt-get install wrk" in done.stderr
