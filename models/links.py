"""Whom identities and unionids lead to: read to know whom to lock, and read again under the locks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models import users
from models.db import Conflict, Database, Tx, marks, text
from models.identities import KEPT_APART, Identity
from models.users import User


@dataclass(slots=True)
class Links:
    """Whom identities and unionids lead to, as user ids; ``apart`` are identities that a merge was undone for."""

    owners: dict[tuple[str, str], str]
    unionids: dict[str, str]
    apart: set[tuple[str, str]]

    @property
    def user_ids(self) -> set[str]:
        """All of them."""
        return {*self.owners.values(), *self.unionids.values()}

    def find(self, identity: Identity) -> str | None:
        """The user behind an identity: by itself, else by its unionid."""
        return self.owners.get(identity.key) or self.unionids.get(identity.unionid or "")

    def find_pair(self, identity: Identity) -> tuple[str, str] | None:
        """The two users that are one person, as the identity leads to one of them and its unionid to the other."""
        owner, person = self.owners.get(identity.key), self.unionids.get(identity.unionid or "")
        if owner is None or person is None or owner == person or identity.key in self.apart:
            return None
        return owner, person

    def replace(self, old: str, new: str) -> None:
        """What led to ``old`` leads to ``new``: they were merged."""
        self.owners = {key: new if user_id == old else user_id for key, user_id in self.owners.items()}
        self.unionids = {key: new if user_id == old else user_id for key, user_id in self.unionids.items()}


async def find_links(source: Database | Tx, keys: Sequence[tuple[str, str]], unionids: Sequence[str]) -> Links:
    """Where these (appid, openid) and these unionids lead, for those that exist: one query."""
    selects, args = [], []
    if keys:
        where = " OR ".join(["(appid = %s AND openid = %s)"] * len(keys))
        selects.append(f"SELECT appid, openid, user_id, unionid FROM identities WHERE {where}")
        args += [part for key in keys for part in key]
    if unionids:
        selects.append(f"SELECT unionid, NULL, user_id, NULL FROM unionids WHERE unionid IN ({marks(len(unionids))})")
        args += unionids
    rows = await source.fetch(" UNION ALL ".join(selects), args) if selects else []
    return _links([(str(text(row[0])), text(row[1]), str(row[2]), text(row[3])) for row in rows])


async def lock_links(
    tx: Tx, keys: Sequence[tuple[str, str]], unionids: Sequence[str], more: Iterable[str] = ()
) -> tuple[Links, dict[str, User]]:
    """The same with all users they lead to, and ``more`` users by id, under locks until commit.

    Raises ``Conflict`` when one changed hands before its user was locked: the transaction is run again.
    """
    links = await find_links(tx, keys, unionids)
    locked = await users.lock_users(tx, [*links.user_ids, *more])
    if links.user_ids:
        links = await find_links(tx, keys, unionids)
    if not links.user_ids <= locked.keys():
        raise Conflict("an identity changed hands before its user was locked")
    return links, locked


def _links(rows: list[tuple[str, str | None, str, str | None]]) -> Links:
    links = Links({}, {}, set())
    for first, openid, user_id, unionid in rows:
        if openid is None:
            links.unionids[first] = user_id
            continue
        links.owners[first, openid] = user_id
        if unionid == KEPT_APART:
            links.apart.add((first, openid))
    return links
