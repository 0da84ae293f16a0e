"""What WeChat's push says of people, done to their rows: one transaction each, that also finishes the delivery.

So whatever is done and told is done and told once, however often the delivery is tried.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models import audit, inbox, merges, outbox, sessions
from models.batch import Batcher
from models.bindings import take_away
from models.db import Database, Tx, text
from models.links import Links, lock_links
from models.users import User

PUSHED = "wechat.push"
ACTOR = "wechat"
SELECT_MINE = "SELECT appid, openid, unionid, bound_at FROM identities WHERE user_id = %s"
SELECT_SESSIONS = "SELECT id, auth_at FROM sessions WHERE user_id = %s AND appid = %s AND openid = %s"
DROP_TOKENS = "UPDATE identities SET oauth_tokens = NULL WHERE appid = %s AND openid = %s"
CLEARED: dict[str, dict[str, Any]] = {
    "nickname": {"nickname": ""},
    "avatar_url": {"avatar_url": ""},
    "phone": {"phone_sealed": None, "phone_index": None},
    "email": {"email": None, "email_key": None},
}


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a push is about, as its app knows them; ``unionid`` where the push says it."""

    appid: str
    openid: str
    unionid: str = ""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Whose identity it was, and the sessions that ended with it; ``remains`` says whether another way in is left."""

    user_id: str
    ended: list[str]
    remains: bool


async def find_person(database: Database, person: Person) -> str | None:
    """The id of the user it is about, if there is one."""

    async def work(tx: Tx) -> str | None:
        user = await _lock(tx, person)
        return user.id if user else None

    return await database.run(work)


@dataclass(frozen=True, slots=True)
class Telling:
    """A push that becomes an event, of the user it is about or of nobody known."""

    delivery_id: str
    person: Person
    data: dict[str, Any]
    at: int


class Tellings:
    """``await tell(telling)``: those that arrive together share a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batcher: Batcher[Telling, None] = Batcher(self._commit, max_items=64)

    async def tell(self, telling: Telling) -> None:
        """Told, and its delivery finished, when it returns; nothing if the delivery was finished before."""
        await self._batcher.submit(telling)

    async def close(self) -> None:
        """Waits for what is under way."""
        await self._batcher.close()

    async def _commit(self, items: list[Telling]) -> list[None]:
        await self._database.run(lambda tx: _tell_all(tx, items))
        return [None] * len(items)


async def _tell_all(tx: Tx, items: list[Telling]) -> None:
    keys = [(item.person.appid, item.person.openid) for item in items if item.person.openid]
    unionids = [item.person.unionid for item in items if item.person.unionid]
    links, locked = await lock_links(tx, list(set(keys)), list(set(unionids)))
    waiting = await inbox.lock_waiting(tx, [item.delivery_id for item in items])
    events = []
    for item in items:
        if item.delivery_id in waiting:
            user = _find(links, locked, item.person)
            events.append(_event(user, PUSHED, item.data, item.at))
    for user in locked.values():
        await tx.execute("UPDATE users SET seq = %s WHERE id = %s", [user.seq, user.id])
    await outbox.insert_events(tx, events)
    await inbox.finish_all(tx, sorted(waiting), items[-1].at)


async def replace_profile(
    database: Database, person: Person, changes: dict[str, Any], at: int, delivery_id: str
) -> str | None:
    """Other values of ``nickname`` and ``avatar_url``; returns whose, and None if nothing changed."""

    async def work(tx: Tx) -> str | None:
        user = await _lock(tx, person)
        changed = {name: value for name, value in changes.items() if user and getattr(user, name) != value}
        if user and changed:
            await merges.update(tx, user.id, {**changed, "updated_at": at})
            await _tell(tx, user, "user.updated", {"fields": outbox.public_names(changed)}, at)
        await inbox.finish(tx, delivery_id, at)
        return user.id if user and changed else None

    return await database.run(work)


async def withdraw(
    database: Database, person: Person, names: Sequence[str], items: Sequence[str], at: int, delivery_id: str
) -> str | None:
    """Removes what the user no longer lets us have: profile fields by name, and the user's tokens at WeChat.

    ``items`` are WeChat's numbers of what was withdrawn; others are told of them. Returns whose it was.
    """

    async def work(tx: Tx) -> str | None:
        user = await _lock(tx, person)
        if user:
            columns = {column: value for name in names for column, value in CLEARED[name].items()}
            await merges.update(tx, user.id, {**columns, "updated_at": at})
            await tx.execute(DROP_TOKENS, [person.appid, person.openid])
            data = {"fields": outbox.public_names(names), "appid": person.appid, "revoked": list(items)}
            await _tell(tx, user, "user.updated", data, at)
            detail = {"appid": person.appid, "items": list(items)}
            await audit.insert_entries(tx, [audit.Entry(at, "user.revoke", ACTOR, user.id, detail=detail)])
        await inbox.finish(tx, delivery_id, at)
        return user.id if user else None

    return await database.run(work)


async def forget_identity(database: Database, person: Person, since: int, at: int) -> Forgotten | None:
    """Takes an identity away, with its unionid, tokens and sessions, unless it was used after ``since`` (ms).

    Where no other way in would remain nothing is done: the whole user is to be deleted. None if nothing is to be done.
    """

    async def work(tx: Tx) -> Forgotten | None:
        user = await _lock(tx, person)
        if user is None or await _was_used(tx, user, person, since):
            return None
        rows = [tuple(map(text, row[:3])) for row in await tx.fetch(SELECT_MINE, [user.id])]
        rest = [row for row in rows if row[:2] != (person.appid, person.openid)]
        if not rest and not (user.username and user.password_hash):
            return Forgotten(user.id, [], remains=False)
        mine = [row for row in rows if row not in rest]
        unionids = {str(row[2]) for row in mine if row[2]} - {row[2] for row in rest}
        await take_away(tx, user, person.appid, unionids, openid=person.openid)
        data = {"fields": ["bindings"], "appid": person.appid}
        await _tell(tx, user, "user.updated", data, at)
        entry = audit.Entry(at, "user.unbind", ACTOR, user.id, detail={"appid": person.appid})
        await audit.insert_entries(tx, [entry])
        opened = [row[0] for row in await tx.fetch(SELECT_SESSIONS, [user.id, person.appid, person.openid])]
        return Forgotten(user.id, await sessions.end_within(tx, user, opened, "unbound", at), remains=True)

    return await database.run(work)


async def _was_used(tx: Tx, user: User, person: Person, since: int) -> bool:
    """Whether the identity was bound or logged in with later: then the push is old news."""
    rows = await tx.fetch(SELECT_SESSIONS, [user.id, person.appid, person.openid])
    bound = "SELECT bound_at FROM identities WHERE appid = %s AND openid = %s"
    bounds = await tx.fetch(bound, [person.appid, person.openid])
    return any(at > since for at in [*(row[1] for row in rows), *(row[0] for row in bounds)])


async def _lock(tx: Tx, person: Person) -> User | None:
    key = (person.appid, person.openid)
    links, locked = await lock_links(tx, [key] if person.openid else [], [person.unionid] if person.unionid else [])
    return _find(links, locked, person)


def _find(links: Links, locked: dict[str, User], person: Person) -> User | None:
    owner = links.owners.get((person.appid, person.openid)) or links.unionids.get(person.unionid)
    return locked[owner] if owner else None


async def _tell(tx: Tx, user: User, event: str, data: dict[str, Any], at: int) -> None:
    told = _event(user, event, data, at)
    await tx.execute("UPDATE users SET seq = %s WHERE id = %s", [user.seq, user.id])
    await outbox.insert_events(tx, [told])


def _event(user: User | None, event: str, data: dict[str, Any], at: int) -> outbox.Event:
    """The next event of the user, whose row is locked and has to be written; or one of nobody."""
    if user is None:
        return outbox.Event(None, outbox.NO_USER, event, data, at)
    user.seq += 1
    return outbox.Event(user.id, user.seq, event, data, at)
