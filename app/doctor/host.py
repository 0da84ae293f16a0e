"""This machine: who may read the secrets, room on the disk, and the processes that serve."""

import asyncio
import os
import re
import shutil
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from app.doctor.findings import FAIL, OK, WARN, Finding
from core.settings import Settings

FREE_LEAST = 500 * 1024 * 1024
DESCRIPTORS_LEAST = 4096
PORTS = 64
MISSES = 4  # a process that is being replaced leaves a gap
TIMEOUT_S = 2.0


async def examine_host(settings: Settings) -> list[Finding]:
    """Files with secrets, the data folder, the processes on their admin ports."""
    return [*_secrets(), _disk(settings), *await asyncio.to_thread(_processes, settings.admin_port)]


def _secrets() -> list[Finding]:
    named = [Path(path) for name, path in os.environ.items() if name.startswith("KAIMEN_") and name.endswith("_FILE")]
    files = [path for path in (*named, Path(".env"), Path("kaimen.toml")) if path.is_file()]
    public = [path for path in files if path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH)]
    return [Finding("secrets", FAIL, f"everybody may read {path}", f"chmod 640 {path}") for path in public]


def _disk(settings: Settings) -> Finding:
    folder = next(one for one in (settings.data_dir.absolute(), *settings.data_dir.absolute().parents) if one.is_dir())
    free = shutil.disk_usage(folder).free
    level = OK if free >= FREE_LEAST else WARN
    return Finding("disk", level, f"{free // 2**20} MiB free under {folder}", "" if level == OK else "make room")


def _processes(first: int) -> list[Finding]:
    if not first:
        return []
    found = list(_metrics(first))
    if not found:
        return [Finding("processes", WARN, f"none answers from admin port {first} on", "start one: kaimen serve")]
    findings = [Finding("processes", OK, f"{len(found)} serve")]
    other = {_value(text, r'^kaimen_build_info\{.*version="([^"]+)"') for text in found} - {version("kaimen")}
    if other:
        found_text = f"another version than this one still runs: {', '.join(sorted(other))}"
        findings.append(Finding("processes", WARN, found_text, "restart it"))
    least = min(float(_value(text, r"(?m)^process_max_fds (\S+)") or DESCRIPTORS_LEAST) for text in found)
    if least < DESCRIPTORS_LEAST:
        findings.append(Finding("processes", WARN, f"may open {least:.0f} files only", "LimitNOFILE=65536 in the unit"))
    return findings


def _metrics(first: int) -> Iterator[str]:
    missed = 0
    for port in range(first, min(first + PORTS, 65536)):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=TIMEOUT_S) as reply:
                text = reply.read().decode(errors="replace")
        except (OSError, ValueError):
            text = ""
        missed = 0 if "kaimen_build_info" in text else missed + 1
        if not missed:
            yield text
        elif missed >= MISSES:
            return


def _value(text: str, pattern: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else ""
