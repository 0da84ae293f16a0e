"""Scans of QR logins in Redis: one hash each, one Lua step for each transition, and word of it by pub/sub.

``kaimen:{scan:<id>}``        hash: the fields of ``Scan``; there for 10 minutes after the scan ended
``kaimen:{scan:<id>}:<name>`` ``<media type> <base64>``: a picture that WeChat made
``kaimen:scans``              channel: ``<id> <version> <state> <at ms> <ends at ms> <frame>``

A step and its message are one script: who hears of a version can read it, and who reads first can tell by the
version what it has seen.
"""

import base64
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from models.kv import Kv

CHANNEL = "kaimen:scans"
KEEP_MS = 600_000  # a finished scan tells its final state that long
ID_LENGTH = 22  # 128 bits, base64url


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan; times in ms. ``by`` is the id of the user who scanned, ``wx:<appid>:<openid>`` of one not known yet.

    ``secret`` is the SHA-256 of the browser's secret; ``ticket`` and ``session_id`` are there once it is confirmed.
    ``browser`` is ``{name, os, address}``, ``user`` is ``{nickname, avatarUrl}`` or None.
    """

    id: str
    state: str
    version: int
    ends_at: int
    secret: str = field(repr=False)
    channel: str
    appid: str
    content: str
    site: str
    browser: Mapping[str, str]
    created_at: int
    match_code: str = field(repr=False)
    by: str = ""
    user: Mapping[str, str] | None = None
    ticket: str = field(default="", repr=False)
    session_id: str = ""


class Step(NamedTuple):
    """What is asked of a scan: from where, to where; ``by`` is compared with who scanned, unless it is empty.

    ``frame`` is the JSON object for browsers without its version; ``changes`` are further fields to set.
    """

    leaves: Sequence[str]
    to: str
    ends_at: int
    frame: Mapping[str, Any]
    by: str = ""
    match_code: str = ""
    attempts: int = 0
    changes: Mapping[str, str] = {}


class Outcome(NamedTuple):
    """What came of a step: ``moved``, ``refused``, ``other``, ``mismatch``, ``gone``."""

    word: str
    state: str
    attempts_left: int


class Word(NamedTuple):
    """A step as it was published; ``frame`` is the JSON text for browsers, times are in ms."""

    scan_id: str
    version: int
    state: str
    at: int
    ends_at: int
    frame: str


async def insert_scan(kv: Kv, scan: Scan, now: int) -> None:
    """Raises 5002."""
    fields = [part for pair in _fields(scan).items() for part in pair]
    await kv.script("scan_create", [_key(scan.id)], [scan.ends_at - now + KEEP_MS, *fields])


async def find_scan(kv: Kv, scan_id: str) -> Scan | None:
    """The scan as it was left, whose time may be over since; raises 5002."""
    row = await kv.run("HGETALL", _key(scan_id))
    return _scan(scan_id, row) if row else None


async def move_scan(kv: Kv, scan_id: str, step: Step, now: int) -> Outcome:
    """Takes the step if the scan allows it, and tells every process; raises 5002."""
    args: list[Any] = [now, CHANNEL, scan_id, KEEP_MS, " ".join(step.leaves), step.to, step.by, step.match_code]
    args += [step.attempts, step.ends_at, dump_frame(step.frame)[1:]]
    args += [part for pair in step.changes.items() for part in pair]
    word, state, left = await kv.script("scan_move", [_key(scan_id)], args)
    return Outcome(word, state, int(left))


async def keep_image(kv: Kv, scan_id: str, name: str, image: tuple[str, bytes], ttl_ms: int) -> None:
    """Keeps a picture, (media type, bytes), until the scan ends; raises 5002."""
    text = f"{image[0]} {base64.b64encode(image[1]).decode()}"
    await kv.run("SET", f"{_key(scan_id)}:{name}", text, "PX", ttl_ms)


async def find_image(kv: Kv, scan_id: str, name: str) -> tuple[str, bytes] | None:
    """(media type, picture); raises 5002."""
    text = await kv.run("GET", f"{_key(scan_id)}:{name}")
    if not text:
        return None
    media_type, _, encoded = text.partition(" ")
    return media_type, base64.b64decode(encoded)


async def listen(kv: Kv) -> AsyncIterator[Word | None]:
    """Every step from now on, None once when the subscription stands; ends with 5002."""
    async for channel, message in kv.listen(CHANNEL):
        if not channel:
            yield None
            continue
        with contextlib.suppress(ValueError):  # not of our form: passed over
            yield parse_word(message)


def parse_word(message: str) -> Word:
    """A message of the channel; raises ValueError for anything else."""
    scan_id, version, state, at, ends_at, frame = message.split(" ", 5)
    return Word(scan_id, int(version), state, int(at), int(ends_at), frame)


def dump_frame(frame: Mapping[str, Any]) -> str:
    """JSON, compact."""
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))


def _key(scan_id: str) -> str:
    return f"kaimen:{{scan:{scan_id}}}"


def _fields(scan: Scan) -> dict[str, Any]:
    return {
        "state": scan.state,
        "version": scan.version,
        "ends_at": scan.ends_at,
        "secret": scan.secret,
        "channel": scan.channel,
        "appid": scan.appid,
        "content": scan.content,
        "site": scan.site,
        "browser": dump_frame(scan.browser),
        "created_at": scan.created_at,
        "match_code": scan.match_code,
        "by": scan.by,
    }


def _scan(scan_id: str, row: Mapping[str, str]) -> Scan:
    return Scan(
        id=scan_id,
        state=row["state"],
        version=int(row["version"]),
        ends_at=int(row["ends_at"]),
        secret=row["secret"],
        channel=row["channel"],
        appid=row["appid"],
        content=row["content"],
        site=row["site"],
        browser=json.loads(row["browser"]),
        created_at=int(row["created_at"]),
        match_code=row["match_code"],
        by=row["by"],
        user=json.loads(row["user"]) if row.get("user") else None,
        ticket=row.get("ticket", ""),
        session_id=row.get("session_id", ""),
    )
