"""The apps WeChat knows: appid, kind, secret."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from simulator.errors import ControlError, WechatError

KINDS = ("miniprogram", "official", "website")
APPID = re.compile(r"wx[0-9a-z]{16}")


@dataclass(frozen=True, slots=True)
class App:
    """One registered app; ``kind`` is one of ``KINDS``.

    ``page`` is one of its released version, ``token`` and ``aes_key`` are those of the message push, ``domain`` is the
    only host that an OAuth login may return to (any, unless one is named).
    """

    appid: str
    kind: str
    secret: str
    page: str = ""
    token: str = ""
    aes_key: str = ""
    domain: str = ""


class Apps:
    """All apps, by appid."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._apps = {app.appid: app for app in map(parse_app, rows)}

    def __iter__(self) -> Iterator[App]:
        return iter(self._apps.values())

    def authenticate(self, appid: str, secret: str, kinds: tuple[str, ...]) -> App:
        """The app of that kind with that secret; 40013 or 40125."""
        app = self._apps.get(appid)
        if app is None or app.kind not in kinds:
            raise WechatError(40013)
        if app.secret != secret:
            raise WechatError(40125)
        return app

    def find(self, appid: str) -> App | None:
        """The app of that appid, of whatever kind."""
        return self._apps.get(appid)

    def get(self, appid: str) -> App:
        """For the control API: the app, of whatever kind."""
        app = self._apps.get(appid)
        if app is None:
            raise ControlError(f"unknown appid {appid!r}; known: {', '.join(self._apps)}")
        return app

    def with_kind(self, appid: str, kind: str) -> App:
        """The app whose access_token it is, if this API is for its kind; 48001."""
        app = self._apps[appid]
        if app.kind != kind:
            raise WechatError(48001)
        return app

    def get_miniprogram(self, appid: str) -> App:
        """For the control API: the mini-program, or an error that says what it is instead."""
        app = self.get(appid)
        if app.kind != "miniprogram":
            raise ControlError(f"{appid} is a {app.kind} app, not a mini-program")
        return app

    def first_miniprogram(self) -> App | None:
        """The app that a caller without preference gets."""
        return next((app for app in self._apps.values() if app.kind == "miniprogram"), None)


def parse_app(row: Mapping[str, Any]) -> App:
    """An ``App`` from one entry of ``KAIMEN_APPS``; ValueError names the bad field, never a secret."""
    appid, kind, secret = row.get("appid"), row.get("kind"), row.get("secret")
    if not isinstance(appid, str) or not APPID.fullmatch(appid):
        raise ValueError(f"appid: {appid!r} is not 'wx' and 16 lower-case letters or digits")
    if kind not in KINDS:
        raise ValueError(f"{appid}: kind must be one of {', '.join(KINDS)}")
    if not isinstance(secret, str) or not secret:
        raise ValueError(f"{appid}: secret is missing")
    more = [str(row.get(name) or "") for name in ("page", "token", "encodingAesKey", "domain")]
    return App(appid, kind, secret, *more)


def parse_merchant(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the simulator needs of an entry of ``KAIMEN_MERCHANTS``; ValueError names the bad field, never a key."""
    mchid, appids, key = row.get("mchid"), row.get("appids"), row.get("apiV3Key")
    if not isinstance(mchid, str) or not mchid.isdecimal():
        raise ValueError(f"mchid: {mchid!r} is not a number as text")
    if not isinstance(appids, list | tuple) or not all(isinstance(one, str) for one in appids):
        raise ValueError(f"{mchid}: appids is not a list")
    if not isinstance(key, str) or len(key.encode()) != 32:
        raise ValueError(f"{mchid}: apiV3Key must have 32 bytes")
    return {"mchid": mchid, "appids": list(appids), "apiV3Key": key}
