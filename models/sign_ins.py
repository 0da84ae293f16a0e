"""The group commit of sign-ins: what waits is written in one transaction with multi-row statements.

A sign-in becomes a user (new or known), an identity with its newest session_key, a session and its events, all or
nothing. Each one's failure is its own: a refused sign-in is left out, its neighbours are written.

Locks are taken in one order everywhere (users by id, then the rest), and new rows are plain INSERTs: where another
instance was faster, the unique key refuses, the transaction is rolled back, and its second run finds the row.

Where an identity leads to one user and its unionid to another, they are one person: the two are merged first, in the
same transaction. Whom an identity leads to is read before the locks, to know whom to lock, and again under them.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import AppError, Code
from models import audit, identities, merges, outbox, sessions, users
from models.batch import Batcher
from models.db import Database, DuplicateKey, Tx
from models.identities import Identity
from models.links import Links, lock_links
from models.merges import Occasion, Reseal
from models.sessions import Session
from models.users import User

LINGER_S = 0.004  # a login waits for WeChat longer than this; it halves what a commit costs each


@dataclass(frozen=True, slots=True)
class NewAccount:
    """Username and password (already hashed) of a registration."""

    username: str
    password_hash: str


@dataclass(frozen=True, slots=True)
class SignIn:
    """One proven sign-in. ``session`` is complete but for its user; ``new_user_id`` names the user if one is made.

    Exactly one of: ``identity`` and/or ``account`` (with ``user_id`` None), or ``user_id`` with the
    ``password_hash`` that was verified, so that a password changed meanwhile no longer counts, or with ``scan``, what
    is told of a QR login: its session has an id of the scan's own, so that it is opened once. ``device_mark`` is a
    short hash of the device it came from.
    """

    session: Session
    new_user_id: str
    identity: Identity | None = None
    account: NewAccount | None = None
    user_id: str | None = None
    password_hash: str | None = None
    may_exist: bool = True
    may_create: bool = True
    device_mark: str = ""
    scan: dict[str, Any] | None = None

    @property
    def at(self) -> int:
        """When, in ms."""
        return self.session.created_at


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a sign-in led to; ``ended`` are older sessions that gave way to it."""

    user: User
    session: Session
    is_new_user: bool
    ended: tuple[str, ...] = ()


class SignIns:
    """``await write(sign_in)``; raises 4034, 4041, 4090, 4091 and 5001."""

    def __init__(self, database: Database, reseal: Reseal, max_sessions: int) -> None:
        self._database = database
        self._reseal = reseal
        self._max_sessions = max_sessions
        self._batcher: Batcher[SignIn, SignedIn] = Batcher(
            self._commit, name="sign_in", max_items=64, linger_s=LINGER_S
        )

    async def write(self, sign_in: SignIn) -> SignedIn:
        """Durable when it returns."""
        return await self._batcher.submit(sign_in)

    async def close(self) -> None:
        """Waits for what is under way."""
        await self._batcher.close()

    async def _commit(self, items: list[SignIn]) -> Sequence[SignedIn | Exception]:
        try:
            return await self._database.run(lambda tx: _Writing(tx, items, self._reseal, self._max_sessions).run())
        except (AppError, DuplicateKey):
            raise
        except Exception as error:
            if len(items) == 1:
                return [error]
            return [(await self._commit([item]))[0] for item in items]  # one bad row must not fail the others


class _Writing:
    """One transaction over a batch; made anew when the transaction is retried."""

    def __init__(self, tx: Tx, items: list[SignIn], reseal: Reseal, max_sessions: int) -> None:
        self._tx = tx
        self._max_sessions = max_sessions
        self._open_ids: dict[str, list[str]] = {}
        self._ended: list[str] = []
        self._moved: dict[str, User] = {}
        self._items = items
        self._reseal = reseal
        self._results: dict[int, SignedIn | Exception] = {}
        self._users: dict[str, User] = {}
        self._new: dict[str, User] = {}
        self._links = Links({}, {}, set())
        self._names: set[str] = set()
        self._opened: set[str] = set()
        self._new_unionids: list[tuple[str, str, int]] = []
        self._events: list[outbox.Event] = []
        self._entries: list[audit.Entry] = []
        self._counts: dict[str, int] = {}
        self._new_identities: dict[tuple[str, str], tuple[Identity, str, int]] = {}
        self._known_identities: dict[tuple[str, str], tuple[Identity, str, int]] = {}

    async def run(self) -> list[SignedIn | Exception]:
        """Reads, decides, writes."""
        await self._read()
        await self._merge()
        await self._read_excess()
        for index in sorted(range(len(self._items)), key=self._has_no_unionid):
            try:
                self._results[index] = self._sign_in(self._items[index])
            except AppError as error:
                self._results[index] = error
        await self._write()
        return [self._results[index] for index in range(len(self._items))]

    async def _read(self) -> None:
        proofs = [item.identity for item in self._items if item.identity]
        names = [users.username_key(item.account.username) for item in self._items if item.account]
        keys, unionids = (
            list({proof.key for proof in proofs}),
            list({proof.unionid for proof in proofs if proof.unionid}),
        )
        self._names = await users.find_username_keys(self._tx, names)
        self._opened = await sessions.find_ids(self._tx, [item.session.id for item in self._items if item.scan])
        given = [item.user_id for item in self._items if item.user_id]
        self._links, self._users = await lock_links(self._tx, keys, unionids, given)
        for user_id in given:
            await self._follow(user_id)

    async def _follow(self, user_id: str) -> None:
        """Of a user who was merged since the password was checked, the survivor is needed too."""
        user = self._users.get(user_id)
        while user and user.merged_into:
            self._users |= await users.lock_users(self._tx, {user.merged_into} - self._users.keys())
            user = self._users.get(user.merged_into)

    async def _read_excess(self) -> None:
        """Sessions that may have to give way. Each of those kept in the database leaves one place less to fill here."""
        found = Counter(user.id if (user := self._find(item)) else "" for item in self._items)
        most = found.pop("", 0) + max(found.values(), default=0)  # for one user, at the outside
        keep = max(self._max_sessions - most, 0)
        at = min(item.at for item in self._items)
        self._open_ids = await sessions.find_excess(self._tx, list(self._users), at, keep)
        self._max_sessions -= keep

    async def _merge(self) -> None:
        for item in self._items:
            pair = self._links.find_pair(item.identity) if item.identity else None
            if pair:
                await self._merge_pair(item, *pair)

    async def _merge_pair(self, item: SignIn, one: str, other: str) -> None:
        occasion = Occasion(item.at, self._reseal, item.session.address)
        merged = await merges.merge_users(self._tx, self._users[one], self._users[other], occasion)
        self._links.replace(merged.merged_id, merged.survivor_id)
        self._users |= await users.find_users(self._tx, [merged.survivor_id, merged.merged_id])

    def _has_no_unionid(self, index: int) -> bool:
        """Who brings a unionid goes first: of a new identity it then leads to the right user at once."""
        proof = self._items[index].identity
        return proof is None or proof.unionid is None

    def _sign_in(self, item: SignIn) -> SignedIn:
        user = self._find(item)
        is_new = user is None
        if user is None:
            user = self._create(item)
        self._check(item, user)
        self._bind(item, user)
        session = self._open(item, user, is_new)
        return SignedIn(user, session, is_new, self._make_room(user, session))

    def _find(self, item: SignIn) -> User | None:
        if item.user_id:
            user = self._users.get(item.user_id)
            while user and user.merged_into:
                user = self._users.get(user.merged_into)
            return user
        owner = self._links.find(item.identity) if item.identity else None
        return self._users[owner] if owner else None

    def _create(self, item: SignIn) -> User:
        if item.user_id:
            code = Code.UNAUTHENTICATED if item.scan else Code.WRONG_CREDENTIALS
            raise AppError(code, cause="the user is gone")
        if not item.may_create:
            raise AppError(Code.NOT_REGISTERED)
        user = User(item.new_user_id, created_at=item.at, last_login_at=item.at)
        if item.account:
            self._name(user, item.account)
        self._users[user.id] = self._new[user.id] = user
        self._tell(user, "user.created", {}, item.at)
        return user

    def _name(self, user: User, account: NewAccount) -> None:
        key = users.username_key(account.username)
        if key in self._names:
            raise AppError(Code.USERNAME_TAKEN)
        self._names.add(key)
        user.username = account.username
        user.password_hash = account.password_hash

    def _check(self, item: SignIn, user: User) -> None:
        if not item.may_exist and user.id != item.new_user_id:
            raise AppError(Code.ALREADY_REGISTERED)
        if user.disabled_at is not None:
            raise AppError(Code.ACCOUNT_DISABLED, user_id=user.id)
        if item.session.id in self._opened:
            raise AppError(Code.SCAN_REDEEMED)
        if item.user_id and item.scan is None and user.password_hash != item.password_hash:
            raise AppError(Code.WRONG_CREDENTIALS, cause="the password was changed meanwhile")

    def _bind(self, item: SignIn, user: User) -> None:
        proof = item.identity
        if proof is None:
            return
        row = (proof, user.id, item.at)
        if proof.key in self._links.owners and proof.key not in self._new_identities:
            self._known_identities[proof.key] = row
        else:
            self._new_identities[proof.key] = row
            self._links.owners[proof.key] = user.id
            self._tell_bound(item, proof, user)
        if proof.unionid and proof.unionid not in self._links.unionids and proof.key not in self._links.apart:
            self._links.unionids[proof.unionid] = user.id
            self._new_unionids.append((proof.unionid, user.id, item.at))

    def _tell_bound(self, item: SignIn, proof: Identity, user: User) -> None:
        if user.id in self._new:
            return
        self._tell(user, "user.bound", {"appid": proof.appid, "kind": proof.kind}, item.at)
        detail = {"appid": proof.appid, "by": "unionid"}
        self._entries.append(
            audit.Entry(item.at, "user.bind", f"user:{user.id}", user.id, item.session.address, detail)
        )

    def _open(self, item: SignIn, user: User, is_new: bool) -> Session:
        session = item.session
        session.user_id = user.id
        user.last_login_at = item.at
        data = {"sessionId": session.id, "method": session.auth_method, "appid": session.appid, "isNewUser": is_new}
        self._tell(user, "session.created", {**data, "newDevice": self._is_new_device(item, user, is_new)}, item.at)
        if item.scan is not None:
            self._opened.add(session.id)
            self._tell(user, "scan.redeemed", {"sessionId": session.id, **item.scan}, item.at)
        return session

    def _is_new_device(self, item: SignIn, user: User, is_new: bool) -> bool:
        """Whether a known user was never seen on this device; from now on it is known."""
        if not item.device_mark or item.device_mark in user.devices.split():
            return False
        user.devices = users.known_devices(f"{user.devices} {item.device_mark}")
        if user.id not in self._new:
            self._moved[user.id] = user
        return not is_new

    def _make_room(self, user: User, session: Session) -> tuple[str, ...]:
        """The oldest sessions beyond the cap give way."""
        opened = self._open_ids.setdefault(user.id, [])
        opened.append(session.id)
        excess = opened[: -self._max_sessions]
        del opened[: -self._max_sessions]
        for one in excess:
            self._tell(user, "session.revoked", {"sessionId": one, "reason": "too_many"}, session.created_at)
        self._ended += excess
        return tuple(excess)

    def _tell(self, user: User, event: str, data: dict[str, Any], at: int) -> None:
        user.seq += 1
        if user.id not in self._new:
            self._counts[user.id] = self._counts.get(user.id, 0) + 1
        self._events.append(outbox.Event(user.id, user.seq, event, data, at))

    async def _write(self) -> None:
        opened = [result.session for result in self._results.values() if isinstance(result, SignedIn)]
        if not opened:
            return
        await users.insert_users(self._tx, list(self._new.values()))
        await identities.insert_identities(self._tx, list(self._new_identities.values()))
        await identities.keep_session_keys(self._tx, list(self._known_identities.values()))
        await identities.insert_unionids(self._tx, self._new_unionids)
        await sessions.insert_sessions(self._tx, opened)
        if self._ended:
            await sessions.mark_ended(self._tx, self._ended, "too_many", opened[-1].created_at)
        await users.keep_devices(self._tx, list(self._moved.values()))
        for count in set(self._counts.values()):
            ids = [user_id for user_id, events in self._counts.items() if events == count]
            await users.touch_users(self._tx, ids, count, opened[-1].created_at)
        await outbox.insert_events(self._tx, self._events)
        await audit.insert_entries(self._tx, self._entries)
