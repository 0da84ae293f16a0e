"""scripts/install, below a folder of its own: what it writes, what it leaves alone, how releases follow each other."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("scripts", "deploy", "setup.cfg", "core")
DOMAIN = "login.example.cn"


class Machine:
    """A checkout without git, a root to install below, and a systemctl that writes down what it is told."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.root = folder / "checkout", folder / "root"
        self.checkout.mkdir()
        for part in PARTS:
            source = ROOT / part
            ignored = shutil.ignore_patterns("__pycache__")
            (shutil.copytree if source.is_dir() else shutil.copy)(
                source, self.checkout / part, **({"ignore": ignored} if source.is_dir() else {})
            )
        self.systemctl = folder / "systemctl"
        self.told = folder / "told"
        self.let_systemctl("exit 0")

    def let_systemctl(self, end: str) -> None:
        self.systemctl.write_text(f'#!/bin/sh\necho "$@" >>{self.told}\n{end}\n')
        self.systemctl.chmod(0o755)
        self.told.write_text("")

    def run(self, *arguments: str, status: int = 0) -> str:
        options = ["--root", str(self.root), "--no-env", "--systemctl", str(self.systemctl), "--processes", "2"]
        command = [str(self.checkout / "scripts/install"), *options, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == status, done.stderr
        return done.stderr

    def change(self, text: str) -> None:
        """Another version of the checkout."""
        (self.checkout / "core/changed.py").write_text(f"# {text}\n")

    def link(self, name: str) -> str:
        return (self.root / "opt/kaimen" / name).readlink().name

    def releases(self) -> set[str]:
        return {path.name for path in (self.root / "opt/kaimen/releases").iterdir()}

    def restarted(self) -> list[str]:
        return [line for line in self.told.read_text().splitlines() if "kaimen@" in line and "restart" in line]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_dry_run_says_everything_and_does_nothing(machine: Machine) -> None:
    said = machine.run("--dry-run", "--domain", DOMAIN)
    assert "would: write /etc/systemd/system/kaimen@.service" in said
    assert "would:" in said.split("Installed.", maxsplit=1)[0]
    assert not machine.root.exists()
    assert machine.told.read_text() == ""


def test_an_installation_has_its_files_its_secrets_and_nothing_that_others_may_read(machine: Machine) -> None:
    machine.run("--domain", DOMAIN)
    etc = machine.root / "etc/kaimen"
    assert f"KAIMEN_PUBLIC_URL=https://{DOMAIN}" in (etc / "kaimen.env").read_text()
    assert DOMAIN in (machine.root / "etc/nginx/sites-available/kaimen").read_text()
    assert "example.com" not in (machine.root / "etc/nginx/sites-available/kaimen").read_text()
    secrets = list((etc / "credentials").iterdir())
    assert {path.name for path in secrets} == {"database_url", "redis_url", "master_keys", "notify_url"}
    assert not [path for path in [*secrets, etc / "apps.json", etc / "kaimen.env"] if path.stat().st_mode & 0o007]
    assert "CHANGE-ME" not in "".join(path.read_text() for path in secrets)
    redis_password = (etc / "credentials/redis_url").read_text().split(":")[2].split("@")[0]
    assert f">{redis_password} " in (machine.root / "etc/redis/kaimen.conf").read_text()
    assert "enable -q kaimen.target kaimen-doctor.timer kaimen@1.service kaimen@2.service" in machine.told.read_text()


def test_its_settings_are_taken_by_kaimen(machine: Machine) -> None:
    machine.run("--domain", DOMAIN)
    etc = machine.root / "etc/kaimen"
    code = "from core.settings import load_settings; print(load_settings().public_url)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KAIMEN_")}
    for name in ("database_url", "redis_url", "master_keys"):
        environment[f"KAIMEN_{name.upper()}_FILE"] = str(etc / "credentials" / name)
    (etc / "apps.json").write_text('[{"appid":"wx1234567890abcdef","secret":"0123456789abcdef0123456789abcdef"}]')
    environment["KAIMEN_APPS_FILE"] = str(etc / "apps.json")
    lines = (etc / "kaimen.env").read_text().splitlines()
    environment |= dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    python = str(ROOT / ".venv/bin/python")
    done = subprocess.run([python, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == f"https://{DOMAIN}\n", done.stderr


def test_run_again_it_changes_nothing(machine: Machine) -> None:
    machine.run("--domain", DOMAIN)
    before = contents(machine.root)
    said = machine.run("--domain", DOMAIN)
    assert "wrote" not in said
    assert contents(machine.root) == before


def test_what_the_operator_has_written_stays(machine: Machine) -> None:
    machine.run("--domain", DOMAIN)
    kept = {"etc/kaimen/kaimen.env": "KAIMEN_PORT=9000\n", "etc/kaimen/apps.json": '[{"appid": "mine"}]\n'}
    for name, text in kept.items():
        (machine.root / name).write_text(text)
    machine.change("second")
    machine.run("upgrade")
    assert {name: (machine.root / name).read_text() for name in kept} == kept


def test_an_upgrade_replaces_the_processes_one_after_the_other_and_a_rollback_puts_them_back(machine: Machine) -> None:
    machine.run("--domain", DOMAIN)
    first = machine.link("current")
    machine.change("second")
    machine.run("upgrade")
    second = machine.link("current")
    assert (machine.link("previous"), second != first) == (first, True)
    assert machine.restarted() == ["restart kaimen@1.service", "restart kaimen@2.service"]
    machine.let_systemctl("exit 0")
    machine.run("rollback")
    assert (machine.link("current"), machine.link("previous")) == (first, second)
    assert machine.restarted() == ["restart kaimen@1.service", "restart kaimen@2.service"]


def test_the_same_version_is_not_upgraded_to(machine: Machine) -> None:
    machine.run("--domain", DOMAIN)
    assert "in use already" in machine.run("upgrade")
    assert machine.restarted() == []


def test_a_release_that_does_not_come_up_is_taken_back(machine: Machine) -> None:
    machine.run("--domain", DOMAIN)
    first = machine.link("current")
    machine.change("broken")
    machine.let_systemctl(
        f'[ "$1" != restart ] || [ "$(readlink {machine.root}/opt/kaimen/current)" = releases/{first} ]'
    )
    said = machine.run("upgrade", status=1)
    assert "does not come up" in said
    assert machine.link("current") == first
    assert machine.restarted()[0] == "restart kaimen@1.service"  # the second never left the release before
    assert machine.restarted()[1:] == ["restart kaimen@1.service", "restart kaimen@2.service"]


def test_three_releases_are_kept(machine: Machine) -> None:
    machine.run("--domain", DOMAIN)
    for number in range(4):
        machine.change(str(number))
        machine.run("upgrade")
    assert len(machine.releases()) == 3
    assert {machine.link("current"), machine.link("previous")} <= machine.releases()


def test_an_upgrade_or_rollback_of_nothing_is_refused(machine: Machine) -> None:
    assert "nothing is installed" in machine.run("upgrade", status=1)
    assert "no release before" in machine.run("rollback", status=1)


@pytest.mark.parametrize(
    "wrong",
    [["--domain", "no domain"], ["--domain", "x;y.cn"], ["--processes", "0"], ["--with", "postgres"], ["--root"]],
)
def test_wrong_options_are_refused(machine: Machine, wrong: list[str]) -> None:
    assert "install: " in machine.run(*wrong, status=1)
    assert not machine.root.exists()


def test_an_unknown_word_shows_the_usage(machine: Machine) -> None:
    assert "usage: scripts/install" in machine.run("remove", status=2)
