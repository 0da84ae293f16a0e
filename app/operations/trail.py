"""The trail beside the deeds: refused sign-ins, and settings changed since the last start.

A refusal must cost its request nothing and never fail it: entries wait in a bounded queue and are written in
batches; what finds the queue full, or the database away, is dropped and counted.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from app.crypto.sealing import BlindIndex
from core.clock import Clock
from core.errors import AppError, Code
from core.observe import metrics
from core.observe.logs import get_logger
from core.settings import PREFIX, Settings
from models import audit, notes
from models.audit import Entry
from models.batch import Batcher
from models.db import Database, Tx
from models.notes import SETTINGS_NOTE

REFUSALS = {
    Code.WRONG_CREDENTIALS,
    Code.ACCOUNT_DISABLED,
    Code.REFRESH_REUSED,
    Code.NOT_REGISTERED,
    Code.WX_USER_BLOCKED,
    Code.TOO_MANY_ATTEMPTS,
}
WAITING_MAX = 1000
REPEATED_AFTER_MS = 60_000  # one entry a minute for an address whose attempts are not even looked at
DEVICE_MAX = 255
OF_ONE_PROCESS = {"host", "port", "unix_socket", "admin_port", "admin_host", "data_dir"}


class Trail:
    """``refused`` returns at once; ``dropped`` counts what could not be written."""

    def __init__(self, database: Database, clock: Clock, index: BlindIndex) -> None:
        self._database = database
        self._clock = clock
        self._index = index
        self._batcher: Batcher[Entry, None] = Batcher(self._write, name="audit", max_items=200, linger_s=0.05)
        self._waiting = 0
        self._told: dict[str, int] = {}
        self.dropped = 0

    def refused(self, action: str, error: AppError, address: str, device: str) -> None:
        """Notes a sign-in that was refused; ``action`` is that of ``POST /api/auth``.

        The user is the one that was tried; who tried is not known.
        """
        if error.code not in REFUSALS or (error.code is Code.TOO_MANY_ATTEMPTS and self._was_told(address)):
            return
        detail = {"action": action, "error": error.code.error, "device": device[:DEVICE_MAX]}
        self._submit(Entry(self._clock.now_ms(), "sign_in.refused", "anonymous", error.user_id, address, detail))

    async def note_settings(self, settings: Settings) -> list[str]:
        """Compares the settings with those of the last start; an entry names what changed, never a value."""
        now, current = self._clock.now_ms(), self._digests(settings)

        async def work(tx: Tx) -> list[str]:
            before = json.loads(await notes.lock_note(tx, SETTINGS_NOTE) or "null")
            changed = [] if before is None else _changed(before, current, settings)
            if changed:
                await audit.insert_entries(tx, [Entry(now, "settings.changed", "system", detail={"names": changed})])
            if before != current:
                await notes.write_note(tx, SETTINGS_NOTE, json.dumps(current), now)
            return changed

        return await self._database.run(work)

    async def close(self) -> None:
        """Waits for what is being written."""
        await self._batcher.close()

    def _was_told(self, address: str) -> bool:
        now = self._clock.now_ms()
        if len(self._told) >= WAITING_MAX:
            self._told = {one: at for one, at in self._told.items() if now - at < REPEATED_AFTER_MS}
        told = now - self._told.get(address, 0) < REPEATED_AFTER_MS
        if not told and len(self._told) < WAITING_MAX:
            self._told[address] = now
        return told

    def _submit(self, entry: Entry) -> None:
        if self._waiting >= WAITING_MAX:
            self._drop()
            return
        self._waiting += 1
        self._batcher.submit(entry).add_done_callback(self._written)

    def _written(self, future: "asyncio.Future[None]") -> None:
        self._waiting -= 1
        if future.cancelled() or future.exception():
            self._drop()

    def _drop(self) -> None:
        self.dropped += 1
        metrics.AUDIT_DROPPED.inc()

    async def _write(self, entries: list[Entry]) -> Sequence[None]:
        try:
            await self._database.run(lambda tx: audit.insert_entries(tx, entries))
        except AppError as error:
            get_logger().warning("audit entries dropped", count=len(entries), cause=error.cause)
            raise
        return [None] * len(entries)

    def _digests(self, settings: Settings) -> dict[str, str]:
        names = sorted(set(Settings.model_fields) - OF_ONE_PROCESS)
        return {name: self._index.of(f"settings/{name}={_canonical(getattr(settings, name))}") for name in names}


def _changed(before: dict[str, str], current: dict[str, str], settings: Settings) -> list[str]:
    """Names whose value differs. One that this version has and the last had not counts only if it is set."""
    return [
        PREFIX + name.upper()
        for name, digest in current.items()
        if before.get(name) != digest and (name in before or name in settings.model_fields_set)
    ]


def _canonical(value: Any) -> str:
    """The value as text, secrets in clear: it goes into a keyed hash and nowhere else."""
    return json.dumps(value, default=_plain, sort_keys=True)


def _plain(value: Any) -> Any:
    if hasattr(value, "get_secret_value"):
        return value.get_secret_value()
    return value.model_dump() if hasattr(value, "model_dump") else str(value)
