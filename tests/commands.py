"""The command line in a process of its own, as an operator starts it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

KAIMEN = str(Path(sys.executable).parent / "kaimen")
KEY = "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
APPS = '[{"appid":"wx1234567890abcdef","secret":"0123456789abcdef0123456789abcdef"}]'
PRODUCTION = {
    "KAIMEN_PUBLIC_URL": "https://login.example.com",
    "KAIMEN_DATABASE_URL": "mysql://nobody:swordfish@127.0.0.1:1/none",
    "KAIMEN_REDIS_URL": "redis://127.0.0.1:1",
    "KAIMEN_MASTER_KEYS": KEY,
    "KAIMEN_APPS": APPS,
}


def environment(**settings: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("KAIMEN_")} | settings


def kaimen(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [KAIMEN, *arguments], cwd=folder, env=environment(**settings), capture_output=True, text=True, timeout=20
    )


class Running:
    """A command in the background, its output in a file."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        self.output = folder / f"output-{time.monotonic_ns()}"
        with self.output.open("w") as out:
            self.process = subprocess.Popen(
                [KAIMEN, *arguments], cwd=folder, env=environment(**settings), stdout=out, stderr=out
            )

    def wait_for(self, url: str) -> None:
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                urllib.request.urlopen(url, timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(self.output.read_text())

    def wait_until_serving(self) -> None:
        """For a process that shares its port: another might answer in its place."""
        deadline = time.monotonic() + 15
        while '"serving"' not in self.output.read_text():
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(5)


def post(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as reply:
        return json.loads(reply.read())
