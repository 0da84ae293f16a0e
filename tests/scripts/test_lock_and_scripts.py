import configparser
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ["scripts/lib.sh", "scripts/run", "scripts/test", "scripts/lock", ".ci/run"]
LOCKS = ["requirements.lock", "requirements-dev.lock"]

# Below these, a known vulnerability or defect is open.
FLOORS = {
    "tornado": "6.6.1",
    "PyJWT": "2.15.0",
    "PyMySQL": "1.1.3",
    "aiomysql": "0.3.2",
    "redis": "4.5.4",
    "pycryptodome": "3.19.1",
}


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required(section: str, key: str) -> set[str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config[section][key].splitlines()
    names = [re.match(r"[\w.-]+", line.strip()) for line in lines if not line.lstrip().startswith("#")]
    return {normalized(found[0]) for found in names if found}


def locked(lock: str) -> dict[str, list[str]]:
    """Name → its hashes, of everything that a lock file pins."""
    entries = re.findall(r"^([\w.-]+)==\S+((?:.*\\\n)*.*)", (ROOT / lock).read_text(), re.MULTILINE)
    return {normalized(name): re.findall(r"--hash=sha256:[0-9a-f]{64}", rest) for name, rest in entries}


# --- the lock files ---


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_of_the_server_is_locked(lock: str) -> None:
    assert required("options", "install_requires") | {"setuptools"} <= locked(lock).keys()


def test_every_requirement_of_the_tests_is_locked() -> None:
    assert required("options.extras_require", "dev") <= locked("requirements-dev.lock").keys()


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_locked_has_hashes(lock: str) -> None:
    assert [name for name, hashes in locked(lock).items() if not hashes] == []


def test_the_tests_run_with_the_versions_of_the_server() -> None:
    pins = [set(re.findall(r"^[\w.-]+==\S+", (ROOT / lock).read_text(), re.MULTILINE)) for lock in LOCKS]
    assert pins[0] <= pins[1]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host_and_no_path(lock: str) -> None:
    assert re.findall(r".*(?:://|@ |--index|--find-links|(?<![\w.])/).*", (ROOT / lock).read_text()) == []


@pytest.mark.parametrize(("name", "floor"), FLOORS.items())
def test_no_installed_version_is_below_its_floor(name: str, floor: str) -> None:
    assert numbers(version(name)) >= numbers(floor)


def test_pymysql_is_below_the_version_that_breaks_bytes_parameters() -> None:
    assert numbers(version("PyMySQL")) < (1, 2)


# --- the scripts ---


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_valid_bash(script: str) -> None:
    subprocess.run(["bash", "-n", script], cwd=ROOT, check=True)


@pytest.mark.parametrize("script", SCRIPTS[1:])
def test_a_script_can_be_run(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)


@pytest.mark.parametrize("script", ["run", "test", "lock"])
def test_help_says_what_the_script_is_for(script: str, checkout: Path) -> None:
    shown = call(checkout, script, "--help")
    assert shown.returncode == 0
    assert f"usage: scripts/{script}" in shown.stdout
    assert shown.stderr == ""


# A Python that knows just what scripts/run asks of it, notes the calls, and fails on demand.
FAKE_PYTHON = """#!/bin/sh
here=$(dirname -- "$0")
echo "$*" >>"$FAKE_LOG"
case $1-$2 in
    -c-*sys.prefix*) echo "${here%/bin}" ;;
    -m-venv) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    -m-pip)
        [ -z "${FAKE_HANG:-}" ] || { echo hanging >>"$FAKE_LOG"; exec sleep 60; }
        [ -z "${FAKE_FAIL:-}" ] || exit 1
        printf '%s\\n' '#!/bin/sh' 'printf "<%s>" "$@"' >"$here/kaimen" && chmod +x "$here/kaimen"
        ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The scripts and locks in a folder whose name has blanks, beside a stand-in for Python."""
    root = tmp_path / "my check out"
    shutil.copytree(ROOT / "scripts", root / "scripts")
    for name in (*LOCKS, "setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    (tmp_path / "python").write_text(FAKE_PYTHON)
    (tmp_path / "python").chmod(0o755)
    return root


def environment(checkout: Path, **more: str) -> dict[str, str]:
    fake = {"KAIMEN_PYTHON": str(checkout.parent / "python"), "FAKE_LOG": str(checkout.parent / "log")}
    return {**os.environ, **fake, **more}


def call(checkout: Path, script: str, *options: str, **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [checkout / "scripts" / script, *options], env=environment(checkout, **more), cwd="/",
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip


def calls(checkout: Path) -> list[str]:
    """What the stand-in was asked since the last look."""
    log = checkout.parent / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


def test_the_first_start_installs_with_hashes_and_passes_the_options_on(checkout: Path) -> None:
    started = call(checkout, "run", "--port", "8 000")
    assert started.stdout == "<dev><--port><8 000>"
    assert any("pip install" in line and "--require-hashes -r requirements.lock" in line for line in calls(checkout))
    assert len(started.stderr.splitlines()) == 2


def test_the_second_start_does_nothing_but_start(checkout: Path) -> None:
    call(checkout, "run")
    calls(checkout)
    again = call(checkout, "run", "--x")
    assert (again.stdout, again.stderr, calls(checkout)) == ("<dev><--x>", "", [])


def test_a_start_through_a_link_finds_the_checkout(checkout: Path) -> None:
    call(checkout, "run")
    link = checkout.parent / "kaimen-dev"
    link.symlink_to(checkout / "scripts" / "run")
    assert subprocess.run([link], env=environment(checkout), capture_output=True, check=True).stdout == b"<dev>"


def test_a_changed_lock_is_installed_without_making_the_environment_anew(checkout: Path) -> None:
    call(checkout, "run")
    calls(checkout)
    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert call(checkout, "run").stdout == "<dev>"
    asked = calls(checkout)
    assert any("--require-hashes" in line for line in asked)
    assert not any("-m venv" in line for line in asked)


def test_a_failed_installation_is_repaired_by_the_next_start(checkout: Path) -> None:
    failed = call(checkout, "run", FAKE_FAIL="1")
    assert failed.returncode == 1
    assert "the next run repairs it" in failed.stderr
    calls(checkout)
    assert call(checkout, "run").stdout == "<dev>"
    assert any("-m venv" in line for line in calls(checkout))


def test_a_killed_installation_is_repaired_by_the_next_start(checkout: Path) -> None:
    call(checkout, "run")
    (checkout / "setup.cfg").write_text("[metadata]\n")
    with subprocess.Popen(
        [checkout / "scripts" / "run"], env=environment(checkout, FAKE_HANG="1"), start_new_session=True,
        stderr=subprocess.DEVNULL,
    ) as run:  # fmt: skip
        wait_until(lambda: "hanging" in calls(checkout))
        os.killpg(run.pid, signal.SIGKILL)
    assert call(checkout, "run").stdout == "<dev>"
    assert any("-m venv" in line for line in calls(checkout))


def test_a_moved_checkout_gets_a_new_environment(checkout: Path) -> None:
    call(checkout, "run")
    moved = checkout.rename(checkout.parent / "elsewhere")
    calls(moved)
    assert call(moved, "run").stdout == "<dev>"
    assert any("--require-hashes" in line for line in calls(moved))


def test_an_environment_for_the_tests_is_enough_to_start(checkout: Path) -> None:
    call(checkout, "run")
    ensure = f'set -eu; cd "{checkout}"; . scripts/lib.sh; ensure_env dev'
    subprocess.run(["bash", "-c", ensure], env=environment(checkout), capture_output=True, check=True)
    assert any("-r requirements-dev.lock" in line for line in calls(checkout))
    assert call(checkout, "run").stdout == "<dev>"
    assert calls(checkout) == []


def test_without_a_python_there_is_one_clear_line(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "dirname", "readlink", "cat", "cksum", "flock"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    failed = call(checkout, "run", KAIMEN_PYTHON="", PATH=str(tools))
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("run: needs Python 3.11 or newer")
    assert len(failed.stderr.splitlines()) == 1


def test_a_named_python_that_is_too_old_is_refused(checkout: Path) -> None:
    failed = call(checkout, "run", KAIMEN_PYTHON="/bin/false")
    assert failed.returncode == 1
    assert "KAIMEN_PYTHON=/bin/false is not Python 3.11 or newer" in failed.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_test_run_leaves_nothing_behind(number: signal.Signals, checkout: Path) -> None:
    temp = checkout.parent / "temp"
    temp.mkdir()
    # The default signals: a run in the background, or under nohup, passes ignored ones on.
    with subprocess.Popen(
        ["env", "--default-signal", checkout / "scripts" / "test"], stderr=subprocess.DEVNULL,
        env=environment(checkout, FAKE_HANG="1", TMPDIR=str(temp)),
    ) as run:  # fmt: skip
        wait_until(lambda: "hanging" in calls(checkout))
        run.send_signal(number)
        assert run.wait(20) == 128 + number
    assert list(temp.iterdir()) == []
    assert processes_naming(str(checkout)) == []


def processes_naming(text: str) -> list[bytes]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            lines.append(path.read_bytes())
    return [line for line in lines if text.encode() in line]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
