"""The ledger: what must outlive the database, in a file outside of it.

It has a mark that only rises, copied from the database every few seconds, and the pseudonyms of deleted users. A
database whose mark is below the ledger's was restored from a backup: its revoked sessions are open again and its
deleted users are back. Nobody is served from it until ``kaimen restore`` has put that right.
"""

import asyncio
import contextlib
import json
import os
from pathlib import Path

from core.clock import Clock
from core.errors import AppError
from core.observe.logs import get_logger
from core.tasks import end_task
from models import ledger
from models.db import Database

PERIOD_S = 5.0
MARK_EVERY_MS = 10_000
SLACK_MS = 120_000  # what a failover to a replica may lose
OVERLAP_MS = 600_000  # an entry may become visible after its own time


class DatabaseIsOlder(Exception):
    """The database is an older copy; the message says what to do."""


class LedgerFile:
    """``ledger.json`` and ``deletions.log`` in the data folder; several processes may share them."""

    def __init__(self, folder: Path) -> None:
        self._mark = folder / "ledger.json"
        self._deletions = folder / "deletions.log"
        folder.mkdir(parents=True, exist_ok=True)

    def mark(self) -> int:
        """The highest mark seen, 0 before the first."""
        try:
            return int(json.loads(self._mark.read_text())["mark"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def deleted(self) -> set[str]:
        """Pseudonyms of deleted users."""
        with contextlib.suppress(OSError):
            return {line.split()[1] for line in self._deletions.read_text().splitlines() if len(line.split()) == 2}
        return set()

    def add(self, mark: int, deleted: list[tuple[int, str]]) -> None:
        """Writes what is new; on the disk when it returns."""
        if deleted:
            with self._deletions.open("a") as file:
                file.write("".join(f"{at} {pseudonym}\n" for at, pseudonym in deleted))
                file.flush()
                os.fsync(file.fileno())
        if mark > self.mark():
            self.set_mark(mark)

    def set_mark(self, mark: int) -> None:
        """Whole or not at all, whoever else writes at the same time."""
        made = self._mark.with_suffix(f".{os.getpid()}")
        with made.open("w") as file:
            json.dump({"mark": mark}, file)
            file.flush()
            os.fsync(file.fileno())
        made.replace(self._mark)


class Ledger:
    """``check`` at the start, ``watch`` while serving."""

    def __init__(self, database: Database, clock: Clock, folder: Path) -> None:
        self._database = database
        self._clock = clock
        self._file = LedgerFile(folder)
        self._known: set[str] = set()
        self._read_from = 0
        self._task: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Raises ``DatabaseIsOlder``, and 5001."""
        mark, seen = await ledger.find_mark(self._database) or 0, await asyncio.to_thread(self._file.mark)
        if mark < seen - SLACK_MS:
            raise DatabaseIsOlder(
                "the database is an older copy than the one served before: "
                "run `kaimen restore`, which ends its sessions and repeats the deletions since"
            )

    async def start(self, older: asyncio.Event) -> None:
        """Keeps the ledger; sets ``older`` when the database was exchanged for an older one while we serve."""
        self._known = await asyncio.to_thread(self._file.deleted)
        self._task = asyncio.create_task(self._keep(older))

    async def stop(self) -> None:
        """Ends that, after a last look."""
        await end_task(self._task)
        with contextlib.suppress(AppError, DatabaseIsOlder):
            await self.keep_once()

    async def keep_once(self) -> None:
        """One look: raises ``DatabaseIsOlder`` and 5001."""
        await self.check()
        now = self._clock.now_ms()
        found = await ledger.find_deleted(self._database, self._read_from)
        new = [(at, pseudonym) for at, pseudonym in found if pseudonym not in self._known]
        mark = await ledger.raise_mark(self._database, now, MARK_EVERY_MS)
        await asyncio.to_thread(self._file.add, mark, new)
        self._known |= {pseudonym for _, pseudonym in new}
        self._read_from = now - OVERLAP_MS

    async def _keep(self, older: asyncio.Event) -> None:
        while True:
            try:
                await self.keep_once()
            except DatabaseIsOlder as error:
                get_logger().error("database is an older copy", cause=str(error))
                older.set()
            except AppError:
                pass  # the database is away
            except OSError as error:
                get_logger().error("ledger cannot be written", cause=error.strerror or "")
            await asyncio.sleep(PERIOD_S)
