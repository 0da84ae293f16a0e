"""Imports users from a file: reads ahead while the database writes, and tells of every line refused."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from app.crypto.passwords import bcrypt_cost_of, is_bcrypt
from app.crypto.sealing import BlindIndex, Sealer
from app.operations.import_lines import BadLine, ImportLine
from app.users.views import phone_context
from core.clock import Clock
from core.settings import Settings
from models import imports, notes
from models.db import Database, Tx
from models.identities import Identity
from models.imports import Record, Refused
from models.notes import BCRYPT_NOTE

CHUNK = 1000
Lines = Iterator[tuple[int, ImportLine | BadLine]]
Told = Callable[[int, str], None]


@dataclass(slots=True)
class Counts:
    """What became of the lines."""

    new: int = 0
    changed: int = 0
    same: int = 0
    refused: int = 0

    def add(self, outcome: str) -> None:
        """Counts one line: ``new``, ``changed``, ``same`` or ``refused``."""
        setattr(self, outcome, getattr(self, outcome) + 1)


@dataclass(slots=True)
class _Chunk:
    """Records that are written together, with their line numbers."""

    numbers: list[int] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    external_ids: set[str] = field(default_factory=set)

    def add(self, number: int, record: Record) -> None:
        """One more."""
        self.numbers.append(number)
        self.records.append(record)
        self.external_ids.add(record.external_id)


class Importer:
    """``run`` raises 5001 when the database goes away: what was written stays, a second run goes on after it."""

    def __init__(self, database: Database, clock: Clock, sealer: Sealer, index: BlindIndex, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._index = index
        self._settings = settings
        self._bcrypt_cost = 0
        self._noted_cost = 0
        self._held: tuple[int, Record] | None = None
        self.counts = Counts()

    async def run(self, lines: Lines, refused: Told, progress: Callable[[], None]) -> Counts:
        """Imports all lines; ``refused`` hears (line number, reason), ``progress`` is called after each chunk."""
        chunk = self._take(lines, refused)
        while chunk.records:
            writing = asyncio.create_task(self._write(chunk))
            upcoming = await asyncio.to_thread(self._take, lines, refused)  # while the database works
            self._count(chunk, await writing, refused)
            progress()
            chunk = upcoming
        return self.counts

    def _take(self, lines: Lines, refused: Told) -> _Chunk:
        """The next records; ends early where an external id comes again, so that the later line wins."""
        chunk = _Chunk()
        if self._held:
            chunk.add(*self._held)
            self._held = None
        for number, line in lines:
            record = self._record(number, line)
            if isinstance(record, BadLine):
                self._refuse(number, record.reason, refused)
            elif record.external_id in chunk.external_ids or len(chunk.records) == CHUNK:
                self._held = (number, record)
                break
            else:
                chunk.add(number, record)
        return chunk

    def _record(self, number: int, line: ImportLine | BadLine) -> Record | BadLine:
        if isinstance(line, BadLine):
            return line
        proofs = []
        for position, given in enumerate(line.openids or ()):
            app = self._settings.app(given.appid)
            if app is None:
                return BadLine(number, f"openids.{position}.appid: is not in KAIMEN_APPS")
            proofs.append(Identity(app.appid, given.openid, app.kind, given.unionid, None, None))
        if line.password_hash and is_bcrypt(line.password_hash):
            self._bcrypt_cost = max(self._bcrypt_cost, bcrypt_cost_of(line.password_hash))
        return Record(
            line.external_id,
            self._index.of("import/" + line.model_dump_json(exclude_none=True)),
            self._clock.new_id(),
            line.username,
            line.password_hash,
            line.nickname,
            line.avatar_url,
            line.email,
            line.phone,
            self._index.of(line.phone) if line.phone else None,
            tuple(line.roles) if line.roles is not None else None,
            line.created_at_ms,
            tuple(proofs),
        )

    async def _write(self, chunk: _Chunk) -> list[str | Refused]:
        now, cost = self._clock.now_ms(), self._bcrypt_cost
        if cost > self._noted_cost:
            await self._note_bcrypt(cost, now)
        return await imports.write_chunk(self._database, chunk.records, self._seal_phone, now)

    async def _note_bcrypt(self, cost: int, now: int) -> None:
        """Processes that start from now on do bcrypt's work for unknown users too; running ones learn by themselves."""

        async def work(tx: Tx) -> None:
            before = int(await notes.lock_note(tx, BCRYPT_NOTE) or 0)
            await notes.write_note(tx, BCRYPT_NOTE, str(max(cost, before)), now)

        await self._database.run(work)
        self._noted_cost = cost

    def _seal_phone(self, user_id: str, phone: str) -> str:
        return self._sealer.seal(phone, phone_context(user_id))

    def _count(self, chunk: _Chunk, outcomes: list[str | Refused], refused: Told) -> None:
        for number, outcome in zip(chunk.numbers, outcomes, strict=True):
            if isinstance(outcome, Refused):
                self._refuse(number, outcome.reason, refused)
            else:
                self.counts.add(outcome)

    def _refuse(self, number: int, reason: str, refused: Told) -> None:
        self.counts.add("refused")
        refused(number, reason)
