"""Users from another system, written a chunk at a time: one transaction with multi-row statements, all or nothing.

``external_id`` tells who is who. A line like the one a user was imported from is skipped by its digest; what a
unique key would refuse is found first and refused by line.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from models import identities, links, outbox, users
from models.db import Database, Row, Tx, marks, rows_of, text
from models.identities import Identity

BUDGET_S = 30.0
INSERT = (
    "INSERT INTO users (id, username, username_key, password_hash, nickname, avatar_url, phone_sealed, phone_index, "
    "email, email_key, external_id, roles, seq, created_at, updated_at, import_digest) VALUES "
)
SELECT_DIGESTS = "SELECT external_id, import_digest FROM users"
SELECT_STORED = (
    "SELECT external_id, id, seq, import_digest, username, password_hash, password_changed_at, merged_into FROM users"
)
NEW, CHANGED, SAME = "new", "changed", "same"


@dataclass(frozen=True, slots=True)
class Record:
    """One user to import; None is "not given". ``new_id`` names the user if there is none of that external id."""

    external_id: str
    digest: str
    new_id: str
    username: str | None = None
    password_hash: str | None = None
    nickname: str | None = None
    avatar_url: str | None = None
    email: str | None = None
    phone: str | None = field(default=None, repr=False)
    phone_index: str | None = None
    roles: tuple[str, ...] | None = None
    created_at: int | None = None
    identities: tuple[Identity, ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """What there is of that external id."""

    id: str
    seq: int
    digest: str | None
    username: str | None
    password_hash: str | None
    password_changed_at: int | None
    merged_into: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a record was not written."""

    reason: str


async def write_chunk(
    database: Database, records: Sequence[Record], seal: Callable[[str, str], str], at: int
) -> list[str | Refused]:
    """``new``, ``changed``, ``same`` or ``Refused`` for each; external ids differ. ``seal(user id, phone)``.

    New users are first written without a look at what a unique key might refuse: conflicts are rare, and looking
    costs as much as writing. If a key refuses, everything is rolled back and done again with a look.
    """
    tries = 0

    async def work(tx: Tx) -> list[str | Refused]:
        nonlocal tries
        tries += 1
        return await _Writing(tx, records, seal, at).run(careful=tries > 1)

    return await database.run(work, BUDGET_S)


class _Writing:
    """One transaction over a chunk; made anew when the transaction is retried."""

    def __init__(self, tx: Tx, records: Sequence[Record], seal: Callable[[str, str], str], at: int) -> None:
        self._tx = tx
        self._records = records
        self._seal = seal
        self._at = at
        self._same: set[str] = set()
        self._stored: dict[str, Stored] = {}
        self._names: dict[str, str] = {}
        self._emails: dict[str, str] = {}
        self._owners: dict[tuple[str, str], str] = {}
        self._unionids: dict[str, str] = {}
        self._inserts: list[Row] = []
        self._updates: list[tuple[Record, Stored, list[Identity]]] = []
        self._events: list[outbox.Event] = []
        self._new_identities: list[tuple[Identity, str, int]] = []
        self._new_unionids: list[tuple[str, str, int]] = []

    async def run(self, *, careful: bool) -> list[str | Refused]:
        """Reads, decides, writes."""
        digests = await self._find_digests()
        self._same = {one.external_id for one in self._records if digests.get(one.external_id) == one.digest}
        changed = [one for one in self._records if one.external_id not in self._same]
        known = [one for one in changed if one.external_id in digests]
        if known:
            self._stored = await self._lock_stored(known)
        if known or (changed and careful):
            await self._find_taken(changed)
        outcomes = [self._decide(one) for one in self._records]
        await self._write()
        return outcomes

    async def _find_digests(self) -> dict[str, str | None]:
        sql = f"{SELECT_DIGESTS} WHERE external_id IN ({marks(len(self._records))})"
        rows = await self._tx.fetch(sql, [one.external_id for one in self._records])
        return {_utf8(external_id): text(digest) for external_id, digest in rows}

    async def _lock_stored(self, records: Sequence[Record]) -> dict[str, Stored]:
        sql = f"{SELECT_STORED} WHERE external_id IN ({marks(len(records))}) ORDER BY id{self._tx.dialect.for_update}"
        rows = await self._tx.fetch(sql, [one.external_id for one in records])
        return {_utf8(row[0]): Stored(row[1], row[2], text(row[3]), *row[4:]) for row in rows}

    async def _find_taken(self, changed: Sequence[Record]) -> None:
        names = [users.username_key(one.username) for one in changed if one.username]
        self._names = await self._find_takers("username_key", names)
        self._emails = await self._find_takers("email_key", [one.email.lower() for one in changed if one.email])
        proofs = [proof for one in changed for proof in one.identities]
        unionids = [proof.unionid for proof in proofs if proof.unionid]
        found = await links.find_links(self._tx, [proof.key for proof in proofs], unionids)
        self._owners, self._unionids = found.owners, found.unionids

    async def _find_takers(self, column: str, keys: list[str]) -> dict[str, str]:
        if not keys:
            return {}
        sql = f"SELECT {column}, id FROM users WHERE {column} IN ({marks(len(keys))})"
        return {_utf8(row[0]): row[1] for row in await self._tx.fetch(sql, keys)}

    def _decide(self, record: Record) -> str | Refused:
        if record.external_id in self._same:
            return SAME
        stored = self._stored.get(record.external_id)
        if stored and stored.merged_into:
            return Refused(f"externalId: its user was merged into {stored.merged_into}")
        user_id = stored.id if stored else record.new_id
        reason = self._find_conflict(record, user_id)
        if reason:
            return Refused(reason)
        self._claim(record, user_id)
        added = self._bind(record, user_id)
        if stored is None:
            self._inserts.append(self._insert_row(record))
            data = {"imported": True}
            self._events.append(outbox.Event(user_id, 1, "user.created", data, self._at))
            return NEW
        self._updates.append((record, stored, added))
        return CHANGED

    def _find_conflict(self, record: Record, user_id: str) -> str | None:
        if record.username and self._names.get(users.username_key(record.username), user_id) != user_id:
            return "username: is taken"
        if record.email and self._emails.get(record.email.lower(), user_id) != user_id:
            return "email: is another user's"
        for number, proof in enumerate(record.identities):
            if self._owners.get(proof.key, user_id) != user_id:
                return f"openids.{number}.openid: is another user's"
            if proof.unionid and self._unionids.get(proof.unionid, user_id) != user_id:
                return f"openids.{number}.unionid: is another user's"
        return None

    def _claim(self, record: Record, user_id: str) -> None:
        if record.username:
            self._names[users.username_key(record.username)] = user_id
        if record.email:
            self._emails[record.email.lower()] = user_id

    def _bind(self, record: Record, user_id: str) -> list[Identity]:
        added = []
        for proof in record.identities:
            if proof.key not in self._owners:
                self._owners[proof.key] = user_id
                self._new_identities.append((proof, user_id, self._at))
                added.append(proof)
            if proof.unionid and proof.unionid not in self._unionids:
                self._unionids[proof.unionid] = user_id
                self._new_unionids.append((proof.unionid, user_id, self._at))
        return added

    def _insert_row(self, record: Record) -> Row:
        username, email, phone = record.username, record.email, record.phone
        return (
            record.new_id,
            username,
            users.username_key(username) if username else None,
            record.password_hash,
            record.nickname or "",
            record.avatar_url or "",
            self._seal(record.new_id, phone) if phone else None,
            record.phone_index,
            email,
            email.lower() if email else None,
            record.external_id,
            _dump_roles(record.roles),
            1,
            record.created_at if record.created_at is not None else self._at,
            self._at,
            record.digest,
        )

    async def _write(self) -> None:
        if self._inserts:
            lists, args = rows_of(self._inserts)
            await self._tx.execute(INSERT + lists, args)
        for record, stored, added in self._updates:
            await self._update(record, stored, added)
        await identities.insert_identities(self._tx, self._new_identities)
        await identities.insert_unionids(self._tx, self._new_unionids)
        await outbox.insert_events(self._tx, self._events)

    async def _update(self, record: Record, stored: Stored, added: list[Identity]) -> None:
        changes = self._changes(record, stored)
        self._events += _events_of(record, stored, outbox.public_names(changes), added, self._at)
        columns = {column: value for change in changes.values() for column, value in change.items()}
        columns |= {"import_digest": record.digest, "updated_at": self._at, "seq": stored.seq + 1 + len(added)}
        sets = ", ".join(f"{column} = %s" for column in columns)
        await self._tx.execute(f"UPDATE users SET {sets} WHERE id = %s", [*columns.values(), stored.id])

    def _changes(self, record: Record, stored: Stored) -> dict[str, dict[str, Any]]:
        """Field → columns. A user Kaimen made keeps its username and password, and so does a password changed here."""
        changes: dict[str, dict[str, Any]] = {
            name: {name: value}
            for name in ("nickname", "avatar_url", "created_at")
            if (value := getattr(record, name)) is not None
        }
        imported = stored.digest is not None
        if record.username and (imported or stored.username is None):
            changes["username"] = {"username": record.username, "username_key": users.username_key(record.username)}
        if record.password_hash and (stored.password_hash is None or (imported and stored.password_changed_at is None)):
            changes["password"] = {"password_hash": record.password_hash}
        if record.email:
            changes["email"] = {"email": record.email, "email_key": record.email.lower()}
        if record.phone:
            sealed = self._seal(stored.id, record.phone)
            changes["phone"] = {"phone_sealed": sealed, "phone_index": record.phone_index}
        if record.roles is not None:
            changes["roles"] = {"roles": _dump_roles(record.roles)}
        return changes


def _events_of(record: Record, stored: Stored, fields: list[str], added: list[Identity], at: int) -> list[outbox.Event]:
    data = {"fields": fields, "imported": True}
    events = [outbox.Event(stored.id, stored.seq + 1, "user.updated", data, at)]
    for number, proof in enumerate(added, start=2):
        bound = {"appid": proof.appid, "kind": proof.kind, "imported": True}
        events.append(outbox.Event(stored.id, stored.seq + number, "user.bound", bound, at))
    return events


def _dump_roles(roles: tuple[str, ...] | None) -> str:
    return json.dumps(roles) if roles else "[]"


def _utf8(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
