"""The units of deploy/systemd: without a mistake, locked in, and what they lock out is not needed."""

import ctypes
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from servers import find_binary, free_port

UNITS = Path(__file__).parents[2] / "deploy/systemd"
SERVICES = ("kaimen@.service", "kaimen-doctor.service")
EXPOSURE_MAX = 2.5
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [find_binary("systemd-analyze", "systemd"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_is_locked_in(unit: str) -> None:
    done = analyze("security", "--offline=true", "--no-pager", str(UNITS / unit))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) < EXPOSURE_MAX


def test_the_metrics_of_the_process_are_not_locked_out() -> None:
    """prometheus_client tells nothing of the process where /proc/stat cannot be read."""
    lines = (UNITS / "kaimen@.service").read_text().splitlines()
    assert not [line for line in lines if line.startswith("ProcSubset")]


def verify(folder: Path, old: str = "", new: str = "") -> str:
    """What ``systemd-analyze verify`` complains about, with a program that exists in place of ours."""
    for path in UNITS.iterdir():
        text = path.read_text().replace("/opt/kaimen/current/.venv/bin/kaimen", "/bin/true")
        (folder / path.name).write_text(text.replace(old, new) if old else text)
    names = [path.name.replace("@.", "@1.") for path in UNITS.iterdir()]
    done = analyze("verify", "--man=no", *(str(folder / name) for name in names))
    return "\n".join(line for line in done.stderr.splitlines() if "kaimen" in line)


def test_the_units_have_no_mistake(tmp_path: Path) -> None:
    assert verify(tmp_path) == ""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("WatchdogSec=30", "WatchdogSecs=30"),
        ("ProtectSystem=strict", "ProtectSystem=strickt"),
        ("Type=notify", "Type=x"),
    ],
)
def test_a_mistake_in_a_unit_is_caught(tmp_path: Path, right: str, wrong: str) -> None:
    assert "kaimen" in verify(tmp_path, right, wrong)


def test_the_folders_of_the_units_are_those_of_the_installer() -> None:
    install = (UNITS.parents[1] / "scripts/install").read_text()
    named = {
        found for path in UNITS.iterdir() for found in re.findall(r"/(?:opt|etc)/kaimen/[\w/.]+", path.read_text())
    }
    for path in named:
        folder = path.removeprefix("/opt/kaimen/").removeprefix("/etc/kaimen/").split("/")[0]
        assert folder in install, path


def refuse_writable_code() -> None:
    """What MemoryDenyWriteExecute does: no memory becomes executable any more."""
    if ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0):
        os._exit(77)  # a kernel before 6.3


def test_kaimen_serves_without_memory_that_is_writable_and_executable(tmp_path: Path) -> None:
    program, port = str(Path(sys.executable).parent / "kaimen"), free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KAIMEN_")}
    given = {**kept, "KAIMEN_ENV": "development", "KAIMEN_PORT": str(port), "KAIMEN_ADMIN_PORT": "0"}
    subprocess.run([program, "migrate"], cwd=tmp_path, env=given, check=True, capture_output=True)
    process = subprocess.Popen(
        [program, "serve"], cwd=tmp_path, env=given, stdout=subprocess.DEVNULL, preexec_fn=refuse_writable_code
    )
    try:
        assert answers(process, port) or process.returncode == 77
    finally:
        process.terminate()
        process.wait(10)


def answers(process: "subprocess.Popen[bytes]", port: int) -> bool:
    deadline = time.monotonic() + 15
    while process.poll() is None and time.monotonic() < deadline:
        try:
            body = b'{"action":"register","username":"alice","password":"Open-Sesame-1"}'
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(f"http://127.0.0.1:{port}/api/auth", body, headers)
            with urllib.request.urlopen(request, timeout=5) as reply:
                return bool(reply.status == 200)
        except OSError:
            time.sleep(0.05)
    return False
