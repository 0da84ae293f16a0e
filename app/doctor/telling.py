"""When a robot is told: of what is wrong when it changes, once a day while it stays, and once when it is over."""

import hashlib
import json
from pathlib import Path
from typing import Any

from app.doctor import robots
from app.doctor.findings import OK, Finding
from core.clock import Clock

AGAIN_MS = 24 * 3_600_000
NOTE = "doctor.json"
MARKS = {"ok": "✓", "warn": "!", "fail": "✗"}


async def tell_robot(url: str, name: str, findings: list[Finding], folder: Path, clock: Clock) -> bool:
    """Whether something was told; ``name`` says which installation. Raises ``robots.RobotFailed``."""
    troubles = [finding for finding in findings if finding.level != OK]
    digest = hashlib.sha256("\n".join(sorted(f"{one.level} {one.what}" for one in troubles)).encode()).hexdigest()
    before, told_at = _read(folder / NOTE)
    none = hashlib.sha256(b"").hexdigest()
    is_due = bool(troubles) and clock.now_ms() - told_at >= AGAIN_MS
    if digest == (before or none) and not is_due:
        return False
    await robots.tell(url, text_of(name, troubles), clock)
    _write(folder / NOTE, {"digest": digest, "toldAt": clock.now_ms()})
    return True


def text_of(name: str, troubles: list[Finding]) -> str:
    """A line for each trouble with its fix; the word Kaimen is in it, as DingTalk's keyword rule wants."""
    if not troubles:
        return f"Kaimen {name}: all is well again"
    return "\n".join([f"Kaimen {name}", *(line_of(one) for one in troubles)])


def line_of(finding: Finding) -> str:
    """``✗ database: error 2003 → is it running?``."""
    fix = f" → {finding.fix}" if finding.fix else ""
    return f"{MARKS[finding.level]} {finding.what}: {finding.found}{fix}"


def _write(path: Path, note: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(note))


def _read(path: Path) -> tuple[str, int]:
    try:
        note = json.loads(path.read_text())
        return str(note["digest"]), int(note["toldAt"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", 0
