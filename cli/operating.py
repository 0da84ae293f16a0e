"""What the operators' commands share: settings, database and keys; who runs the command; moments in time."""

import os
import pwd
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from app.auth.keyring import open_keyring
from app.crypto.sealing import BlindIndex, Sealer
from app.users.views import UserViews, rfc3339
from cli import serving
from cli.compose import make_sealer
from core.clock import Clock
from core.settings import Settings, load_settings
from models import audit, listing
from models.db import Database
from models.users import User

UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
ACTOR_MAX = 64
SESSIONS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Tools:
    """What a command works with."""

    settings: Settings
    database: Database
    clock: Clock
    sealer: Sealer

    async def index(self) -> BlindIndex:
        """The blind index of this deployment; raises ``KeyringUnusable``."""
        return BlindIndex((await open_keyring(self.database, self.sealer, self.clock)).index)


@asynccontextmanager
async def opened() -> AsyncIterator[Tools]:
    """Raises ``SettingsInvalid``, and ``Refused`` while migrations are pending."""
    settings = load_settings()
    await serving.check_migrated(settings)
    async with serving.opened_database(settings) as database:
        yield Tools(settings, database, Clock(), make_sealer(settings))


def user_row(tools: Tools, user: User) -> dict[str, Any]:
    """A user as listed; the phone masked."""
    public = UserViews(tools.sealer).public(user)
    times = {"createdAt": shown_time(user.created_at), "lastLoginAt": shown_time(user.last_login_at)}
    return {**public, **times, "disabled": user.disabled_at is not None}


async def full_row(tools: Tools, user_id: str) -> dict[str, Any]:
    """A user with everything an operator may look at."""
    record = await listing.find_record(tools.database, user_id)
    if record is None:
        raise serving.Failed(f"no user {user_id}")
    now = tools.clock.now_ms()
    opened = await listing.list_sessions(tools.database, user_id=user_id, open_at=now, limit=SESSIONS_SHOWN)
    row = user_row(tools, record.user)
    return {
        **{name: row[name] for name in ("id", "username", "nickname", "avatarUrl", "phone", "email", "roles")},
        "externalId": record.external_id,
        "disabledAt": shown_time(record.user.disabled_at),
        "mergedInto": record.merged_into,
        "password": password_kind(record.user),
        "createdAt": row["createdAt"],
        "lastLoginAt": row["lastLoginAt"],
        "identities": [
            {"appid": appid, "kind": kind, "openid": openid, "boundAt": shown_time(at)}
            for appid, kind, openid, at in record.identities
        ],
        "unionids": record.unionids,
        "sessions": [session_row(one, now) for one in opened],
    }


def password_kind(user: User) -> str | None:
    """``argon2id``, ``bcrypt`` or None: never the hash."""
    if user.password_hash is None:
        return None
    return "bcrypt" if user.password_hash.startswith("$2") else "argon2id"


def session_row(session: listing.SessionRecord, now: int) -> dict[str, Any]:
    """A session as listed; ``state`` is ``open``, ``expired``, or why it was ended."""
    over = "expired" if now >= session.expires_at else "open"
    return {
        "id": session.id,
        "user": session.user_id,
        "method": session.auth_method,
        "appid": session.appid,
        "state": (session.end_reason or "ended") if session.ended_at is not None else over,
        "createdAt": shown_time(session.created_at),
        "lastSeenAt": shown_time(session.rotated_at),
        "expiresAt": shown_time(session.expires_at),
        "address": session.address,
        "device": session.device,
    }


def actor() -> str:
    """Who runs the command, for the audit: ``cli:<system user>``."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return f"cli:{name}"[:ACTOR_MAX]


async def note(tools: Tools, action: str, detail: dict[str, Any]) -> None:
    """An audit entry for a command that is no single transaction."""
    entry = audit.Entry(tools.clock.now_ms(), action, actor(), detail=detail)
    await tools.database.run(lambda tx: audit.insert_entries(tx, [entry]))


async def get_user_id(tools: Tools, word: str) -> str:
    """The user meant by an id, external id, username or phone; raises ``Failed`` for none and for several."""
    found = await listing.find_user_ids(tools.database, word, (await tools.index()).of(word))
    if not found:
        raise serving.Failed(f"no user has the id, external id, username or phone {word!r}")
    if len(found) > 1:
        raise serving.Failed(f"{len(found)} users have this phone: {', '.join(found)}")
    return found[0]


def get_moment(text: str, now: int) -> int:
    """The same as ``parse_moment``; raises ``click.UsageError``."""
    try:
        return parse_moment(text, now)
    except (ValueError, OverflowError):
        raise click.UsageError(f"{text!r} is no moment; write 2h, 7d, 2026-11-20 or 2026-11-20T08:30:00Z") from None


def parse_moment(text: str, now: int) -> int:
    """``2h``, ``7d`` (ago), a date or an RFC 3339 time, as ms; raises ``ValueError``."""
    ago = re.fullmatch(r"(\d{1,6})([smhdw])", text)
    if ago:
        return now - int(ago[1]) * UNITS_MS[ago[2]]
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def shown_time(at: int | None) -> str | None:
    """``2026-11-20T08:30:00Z``: to the second, in UTC."""
    text = rfc3339(at)
    return f"{text[:19]}Z" if text else None
