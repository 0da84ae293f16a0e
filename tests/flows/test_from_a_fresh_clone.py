"""A newcomer: a copy of the tree, one command, a login over HTTP."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from servers import free_port

ROOT = Path(__file__).parent.parent.parent


def copy_of_the_tree(folder: Path) -> Path:
    """What git would check out, and uncommitted files too."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    copy = folder / "a fresh clone"
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy


def start(copy: Path, output: Path, *options: str) -> "subprocess.Popen[bytes]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KAIMEN_", "VIRTUAL_ENV"))}
    with output.open("wb") as log:
        command = [str(copy / "scripts" / "run"), *options]
        return subprocess.Popen(command, cwd=output.parent, env=clean, stdout=log, stderr=subprocess.STDOUT)


def wait_until_it_answers(url: str, process: "subprocess.Popen[bytes]", output: Path, seconds: float) -> float:
    started = time.monotonic()
    while time.monotonic() - started < seconds and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return time.monotonic() - started
        except OSError:
            time.sleep(0.02)
    raise AssertionError(output.read_text())


def replies_of_the_tutorial(page: str, port: int, simulator_port: int) -> list[dict[str, Any]]:
    """What its commands print, with these ports in place of its own."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    commands = "".join(blocks).replace(":8000", f":{port}").replace(":9000", f":{simulator_port}")
    printed = subprocess.run(["bash", "-euc", commands], capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in printed.splitlines() if line]


def test_scripts_run_and_the_tutorial_log_users_in_from_a_fresh_clone_and_it_starts_fast_again(tmp_path: Path) -> None:
    copy, output = copy_of_the_tree(tmp_path), tmp_path / "output"
    port, simulator_port = free_port(), free_port()
    options = ["--port", str(port), "--simulator-port", str(simulator_port)]
    url = f"http://127.0.0.1:{port}"

    first = start(copy, output, *options)
    wait_until_it_answers(f"{url}/healthz", first, output, 300)
    said = output.read_text()
    assert url in said
    assert f"http://127.0.0.1:{simulator_port}" in said
    command = next(line.strip() for line in said.splitlines() if line.strip().startswith("curl"))
    pasted = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    login = json.loads(pasted.stdout)
    assert (login["code"], login["data"]["isNewUser"]) == (200, True)
    assert re.fullmatch(r"[0-9a-f]{32}", login["data"]["user"]["id"])

    registered, phone, refreshed, refused = replies_of_the_tutorial("docs/tutorial.md", port, simulator_port)
    assert (registered["code"], registered["data"]["isNewUser"]) == (200, True)
    assert phone["data"] == {"phone": "138****8002"}
    assert refreshed["data"]["sessionId"] == registered["data"]["sessionId"]
    assert (refused["code"], refused["message"]) == (4010, "Please log in first")

    first.send_signal(signal.SIGINT)
    assert first.wait(5) == 0

    second = start(copy, output, *options)
    assert wait_until_it_answers(f"{url}/healthz", second, output, 20) < 6  # under 2 s on an idle machine
    with urllib.request.urlopen(f"http://127.0.0.1:{simulator_port}/", timeout=5) as reply:
        page = reply.read().decode()
    assert "<!doctype html>" in page.lower()
    second.send_signal(signal.SIGTERM)
    assert second.wait(5) == 0
