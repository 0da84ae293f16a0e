"""The group commit of sign-ins: what waits is written in one transaction with multi-row statements.

A sign-in becomes a user (new or known), an identity with its newest session_key, a session and its events, all or
nothing. Each one's failure is its own: a refused sign-in is left out, its neighbours are written.

Locks are taken in one order everywhere (users by id, then the rest), and new rows are plain INSERTs: where another
instance was faster, the unique key refuses, the transaction is rolled back, and its second run finds the row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import AppError, Code
from models import identities, outbox, sessions, users
from models.batch import Batcher
from models.db import Database, DuplicateKey, Tx
from models.identities import Identity
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
    ``password_hash`` that was verified, so that a password changed meanwhile no longer counts.
    """

    session: Session
    new_user_id: str
    identity: Identity | None = None
    account: NewAccount | None = None
    user_id: str | None = None
    password_hash: str | None = None
    may_exist: bool = True
    may_create: bool = True

    @property
    def at(self) -> int:
        """When, in ms."""
        return self.session.created_at


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a sign-in led to."""

    user: User
    session: Session
    is_new_user: bool


class SignIns:
    """``await write(sign_in)``; raises 4034, 4041, 4090, 4091 and 5001."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batcher: Batcher[SignIn, SignedIn] = Batcher(self._commit, max_items=64, linger_s=LINGER_S)

    async def write(self, sign_in: SignIn) -> SignedIn:
        """Durable when it returns."""
        return await self._batcher.submit(sign_in)

    async def close(self) -> None:
        """Waits for what is under way."""
        await self._batcher.close()

    async def _commit(self, items: list[SignIn]) -> Sequence[SignedIn | Exception]:
        try:
            return await self._database.run(lambda tx: _Writing(tx, items).run())
        except (AppError, DuplicateKey):
            raise
        except Exception as error:
            if len(items) == 1:
                return [error]
            return [(await self._commit([item]))[0] for item in items]  # one bad row must not fail the others


class _Writing:
    """One transaction over a batch; made anew when the transaction is retried."""

    def __init__(self, tx: Tx, items: list[SignIn]) -> None:
        self._tx = tx
        self._items = items
        self._results: dict[int, SignedIn | Exception] = {}
        self._users: dict[str, User] = {}
        self._new: dict[str, User] = {}
        self._owners: dict[tuple[str, str], str] = {}
        self._unionids: dict[str, str] = {}
        self._names: set[str] = set()
        self._new_unionids: list[tuple[str, str, int]] = []
        self._events: list[outbox.Event] = []
        self._counts: dict[str, int] = {}
        self._new_identities: dict[tuple[str, str], tuple[Identity, str, int]] = {}
        self._known_identities: dict[tuple[str, str], tuple[Identity, str, int]] = {}

    async def run(self) -> list[SignedIn | Exception]:
        """Reads, decides, writes."""
        await self._read()
        for index, item in enumerate(self._items):
            try:
                self._results[index] = self._sign_in(item)
            except AppError as error:
                self._results[index] = error
        await self._write()
        return [self._results[index] for index in range(len(self._items))]

    async def _read(self) -> None:
        proofs = [item.identity for item in self._items if item.identity]
        names = [users.username_key(item.account.username) for item in self._items if item.account]
        self._owners = await identities.find_owners(self._tx, list({proof.key for proof in proofs}))
        unionids = {proof.unionid for proof in proofs if proof.unionid}
        self._unionids = await identities.find_unionid_owners(self._tx, list(unionids))
        self._names = await users.find_username_keys(self._tx, names)
        given = [item.user_id for item in self._items if item.user_id]
        known = [*self._owners.values(), *self._unionids.values(), *given]
        self._users = await users.lock_users(self._tx, known)

    def _sign_in(self, item: SignIn) -> SignedIn:
        user = self._find(item)
        is_new = user is None
        if user is None:
            user = self._create(item)
        self._check(item, user)
        self._bind(item, user)
        session = self._open(item, user, is_new)
        return SignedIn(user, session, is_new)

    def _find(self, item: SignIn) -> User | None:
        if item.user_id:
            return self._users.get(item.user_id)
        proof = item.identity
        if proof is None:
            return None
        owner = self._owners.get(proof.key) or self._unionids.get(proof.unionid or "")
        return self._users[owner] if owner else None

    def _create(self, item: SignIn) -> User:
        if item.user_id:
            raise AppError(Code.WRONG_CREDENTIALS, cause="the user is gone")
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
        if item.user_id and user.password_hash != item.password_hash:
            raise AppError(Code.WRONG_CREDENTIALS, cause="the password was changed meanwhile")

    def _bind(self, item: SignIn, user: User) -> None:
        proof = item.identity
        if proof is None:
            return
        row = (proof, user.id, item.at)
        if proof.key in self._owners and proof.key not in self._new_identities:
            self._known_identities[proof.key] = row
        else:
            self._new_identities[proof.key] = row
            self._owners[proof.key] = user.id
        if proof.unionid and proof.unionid not in self._unionids:
            self._unionids[proof.unionid] = user.id
            self._new_unionids.append((proof.unionid, user.id, item.at))

    def _open(self, item: SignIn, user: User, is_new: bool) -> Session:
        session = item.session
        session.user_id = user.id
        user.last_login_at = item.at
        data = {"sessionId": session.id, "method": session.auth_method, "appid": session.appid, "isNewUser": is_new}
        self._tell(user, "session.created", data, item.at)
        return session

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
        for count in set(self._counts.values()):
            ids = [user_id for user_id, events in self._counts.items() if events == count]
            await users.touch_users(self._tx, ids, count, opened[-1].created_at)
        await outbox.insert_events(self._tx, self._events)
