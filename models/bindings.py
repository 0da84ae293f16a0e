"""Binding a WeChat identity to a user who is signed in, taking it away, and unionids that arrive late."""

from collections.abc import Collection
from dataclasses import dataclass

from core.errors import AppError, Code
from models import audit, identities, merges, sessions, users
from models.db import Database, Row, Tx, marks, text
from models.identities import Identity
from models.links import Links, find_links, lock_links
from models.merges import Occasion
from models.users import User

SELECT_MINE = "SELECT appid, openid, unionid FROM identities WHERE user_id = %s"
SELECT_SESSIONS = "SELECT id, openid FROM sessions WHERE user_id = %s AND appid = %s AND ended_at IS NULL AND id <> %s"
DELETE_IDENTITIES = "DELETE FROM identities WHERE user_id = %s AND appid = %s AND (openid = %s OR %s = '')"
SET_UNIONID = "UPDATE identities SET unionid = %s WHERE appid = %s AND openid = %s"


@dataclass(frozen=True, slots=True)
class Unbinding:
    """What is taken away, by whom; ``usable`` are the appids one can still log in with. ``session_id`` goes on."""

    user_id: str
    appid: str
    usable: Collection[str]
    session_id: str
    address: str
    at: int


async def bind_identity(database: Database, user_id: str, identity: Identity, occasion: Occasion) -> str:
    """Makes the identity the user's; raises 4010, 4011, and 4092 if it is someone else's.

    Where the identity or its unionid is another user's and the two together make them one person, both become one.
    Returns the id of the user it belongs to then.
    """

    async def work(tx: Tx) -> str:
        links, locked = await lock_links(tx, [identity.key], _known(identity.unionid), [user_id])
        user = users.present(locked.get(user_id))
        pair = links.find_pair(identity)
        if pair and user_id in pair:
            user = await _merge(tx, links, locked, pair, occasion)
        if links.find(identity) not in (None, user.id):
            raise AppError(Code.IDENTITY_CONFLICT)
        await _bind(tx, links, user, identity, occasion)
        return user.id

    return await database.run(work)


async def learn_unionid(database: Database, key: tuple[str, str], unionid: str, occasion: Occasion) -> str | None:
    """Notes the unionid of an identity, and merges its user with the one whom the unionid leads to.

    Returns the id of the user then; None if the identity is gone. Costs one read when nothing is new.
    """
    known = await find_links(database, [key], [unionid])
    owner = known.owners.get(key)
    if owner is None or key in known.apart or known.unionids.get(unionid) == owner:
        return owner

    async def work(tx: Tx) -> str | None:
        links, locked = await lock_links(tx, [key], [unionid])
        found, person = links.owners.get(key), links.unionids.get(unionid)
        if found is None or key in links.apart or found == person:
            return found
        await tx.execute(SET_UNIONID, [unionid, *key])
        if person is None:
            await identities.insert_unionids(tx, [(unionid, found, occasion.at)])
            return found
        return (await _merge(tx, links, locked, (found, person), occasion)).id

    return await database.run(work)


async def unbind_identity(database: Database, what: Unbinding) -> list[str]:
    """Takes the user's identities of an app away and ends the sessions they opened; returns those sessions.

    Raises 4040 if there is none, 4094 if nothing to log in with would remain, 4010 and 4011.
    """

    async def work(tx: Tx) -> list[str]:
        user = await users.lock_self(tx, what.user_id)
        rows: list[Row] = [tuple(map(text, row)) for row in await tx.fetch(SELECT_MINE, [user.id])]
        mine, rest = [row for row in rows if row[0] == what.appid], [row for row in rows if row[0] != what.appid]
        if not mine:
            raise AppError(Code.NOT_FOUND, cause="no such binding")
        if not (user.username and user.password_hash) and not any(row[0] in what.usable for row in rest):
            raise AppError(Code.LAST_CREDENTIAL)
        await take_away(tx, user, what.appid, {row[2] for row in mine if row[2]} - {row[2] for row in rest})
        return await _tell_unbound(tx, user, what, {row[1] for row in mine})

    return await database.run(work)


def _known(unionid: str | None) -> list[str]:
    return [unionid] if unionid else []


async def _merge(tx: Tx, links: Links, locked: dict[str, User], pair: tuple[str, str], occasion: Occasion) -> User:
    merged = await merges.merge_users(tx, locked[pair[0]], locked[pair[1]], occasion)
    links.replace(merged.merged_id, merged.survivor_id)
    return locked[merged.survivor_id]


async def _bind(tx: Tx, links: Links, user: User, identity: Identity, occasion: Occasion) -> None:
    row = (identity, user.id, occasion.at)
    if identity.key in links.owners:
        await identities.keep_session_keys(tx, [row])
    else:
        await identities.insert_identities(tx, [row])
        await users.note_change(tx, user, "user.bound", {"appid": identity.appid, "kind": identity.kind}, occasion.at)
        detail = {"appid": identity.appid, "by": "code"}
        entry = audit.Entry(occasion.at, "user.bind", f"user:{user.id}", user.id, occasion.address, detail)
        await audit.insert_entries(tx, [entry])
    if identity.unionid and identity.unionid not in links.unionids and identity.key not in links.apart:
        await identities.insert_unionids(tx, [(identity.unionid, user.id, occasion.at)])


async def take_away(tx: Tx, user: User, appid: str, unionids: set[str], openid: str = "") -> None:
    """Deletes the user's identities of an app, or the one of that openid, and the unionids that came with them."""
    await tx.execute(DELETE_IDENTITIES, [user.id, appid, openid, openid])
    if unionids:
        sql = f"DELETE FROM unionids WHERE user_id = %s AND unionid IN ({marks(len(unionids))})"
        await tx.execute(sql, [user.id, *sorted(unionids)])


async def _tell_unbound(tx: Tx, user: User, what: Unbinding, openids: set[str]) -> list[str]:
    await users.note_change(tx, user, "user.updated", {"fields": ["bindings"]}, what.at)
    entry = audit.Entry(what.at, "user.unbind", f"user:{user.id}", user.id, what.address, {"appid": what.appid})
    await audit.insert_entries(tx, [entry])
    opened = await tx.fetch(SELECT_SESSIONS, [user.id, what.appid, what.session_id])
    theirs = [row[0] for row in opened if text(row[1]) in openids]
    return await sessions.end_within(tx, user, theirs, "unbound", what.at)
