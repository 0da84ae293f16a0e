"""The people who use WeChat, and the ids each app knows them by."""

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from simulator.apps import Apps
from simulator.defaults import DEFAULT_USERS
from simulator.errors import ControlError

PHONE = re.compile(r"(?:\+(?P<country>\d{1,3})[ -])?(?P<number>\d{5,14})")
TEXTS = ("nickname", "avatarUrl", "phone")
FLAGS = ("unionid", "blocked", "snapshot")


@dataclass(slots=True)
class User:
    """One person. ``avatar_url`` None: the simulator draws one. ``blocked``: WeChat answers 40226.

    ``snapshot``: looks at snapshots of web pages, where OAuth tells of somebody who does not exist.
    """

    name: str
    nickname: str
    avatar_url: str | None = None
    phone: str | None = None
    has_unionid: bool = True
    blocked: bool = False
    snapshot: bool = False

    @property
    def unionid(self) -> str | None:
        """The id over all apps of the one Open Platform account, if there is one."""
        return make_id("union", self.name) if self.has_unionid else None


class Users:
    """All users by name, and back from openid. ``avatar_base`` is the simulator's own URL."""

    def __init__(self, apps: Apps, avatar_base: str) -> None:
        self.avatar_base = avatar_base
        self._apps = apps
        self._users: dict[str, User] = {}
        self._by_openid: dict[tuple[str, str], User] = {}
        for row in DEFAULT_USERS:
            self.save(row)

    def __iter__(self) -> Iterator[User]:
        return iter(self._users.values())

    def save(self, fields: dict[str, Any]) -> User:
        """Insert the user, or change the given fields of a known one; ControlError on bad fields."""
        check_fields(fields)
        name = fields["name"]
        user = self._users.get(name) or self._insert(User(name, name))
        user.nickname = fields.get("nickname") or user.nickname
        user.avatar_url = fields.get("avatarUrl", user.avatar_url)
        user.phone = fields.get("phone", user.phone)
        user.has_unionid = fields.get("unionid", user.has_unionid)
        user.blocked = fields.get("blocked", user.blocked)
        user.snapshot = fields.get("snapshot", user.snapshot)
        return user

    def _insert(self, user: User) -> User:
        self._users[user.name] = user
        for app in self._apps:
            self._by_openid[app.appid, make_id(app.appid, user.name)] = user
        return user

    def get(self, name: str) -> User:
        """The user of that name; ControlError if there is none."""
        if name not in self._users:
            raise ControlError(f"unknown user {name!r}; POST /sim/users adds one")
        return self._users[name]

    def find_by_openid(self, appid: str, openid: str) -> User | None:
        """Whose openid this is in that app."""
        return self._by_openid.get((appid, openid))

    def openid(self, appid: str, user: User) -> str:
        """How that app knows the user."""
        return make_id(appid, user.name)

    def openids(self, user: User) -> dict[str, str]:
        """The user's openid in every app, by appid."""
        return {app.appid: make_id(app.appid, user.name) for app in self._apps}

    def avatar_url(self, user: User) -> str:
        """The chosen avatar, or the one drawn at ``/avatar/{name}.svg``."""
        if user.avatar_url is not None:
            return user.avatar_url
        return f"{self.avatar_base}/avatar/{quote(user.name, safe='')}.svg"


def make_id(scope: str, name: str) -> str:
    """An openid or unionid: 28 characters beginning with 'o', always the same for the same pair."""
    digest = hashlib.sha256(f"{scope}\0{name}".encode()).digest()
    return "o" + urlsafe_b64encode(digest)[:27].decode()


def split_phone(phone: str) -> tuple[str, str]:
    """(country code, number) of ``13800138001`` or ``+852 91234567``."""
    match = PHONE.fullmatch(phone)
    if match is None:
        raise ControlError("phone must be digits, or '+CC ' and digits: +852 91234567")
    return match["country"] or "86", match["number"]


def check_fields(fields: dict[str, Any]) -> None:
    """Refuse unknown and ill-typed fields of a user."""
    unknown = fields.keys() - {"name", *TEXTS, *FLAGS}
    if unknown:
        raise ControlError(f"unknown field {', '.join(sorted(unknown))}")
    name = fields.get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= 64:
        raise ControlError("name must be 1 to 64 characters")
    for field in TEXTS:
        if not isinstance(fields.get(field, ""), str):
            raise ControlError(f"{field} must be a string")
    for field in FLAGS:
        if not isinstance(fields.get(field, False), bool):
            raise ControlError(f"{field} must be true or false")
    if "phone" in fields:
        split_phone(fields["phone"])
