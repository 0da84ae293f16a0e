"""WeChat itself: the state behind the endpoints, and what its app does on the phone.

The phone's side (``login``, ``open_data``, ``phone_code``) is what ``/sim/*`` calls; the servers' side is
in ``endpoints.py``.
"""

import json
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from simulator import crypto
from simulator.apps import Apps
from simulator.codes import Codes
from simulator.defaults import DEFAULT_APPS
from simulator.errors import ControlError
from simulator.keys import VERSIONS, SessionKeys
from simulator.oauth import OAuth
from simulator.qr import QrCodes
from simulator.tokens import Tickets, Tokens
from simulator.users import User, Users, make_id, split_phone

KINDS = ("userInfo", "phone", "group")


class Wechat:
    """Apps, users, codes, keys and tokens under one clock.

    ``any_code``: a login or phone code that was not issued here is alice's, once.
    """

    def __init__(
        self,
        apps: Iterable[Mapping[str, Any]] | None,
        clock: Callable[[], float],
        any_code: bool = False,
        avatar_base: str = "",
    ) -> None:
        owner = "alice" if any_code else None
        self.clock = clock
        self.apps = Apps(DEFAULT_APPS if apps is None else apps)
        self.users = Users(self.apps, avatar_base)
        self.login_codes = Codes(clock, 32, used_errcode=40163, owner=owner)
        self.phone_codes = Codes(clock, 64, used_errcode=40029, owner=owner)
        self.login_codes.others, self.phone_codes.others = (self.phone_codes,), (self.login_codes,)
        self.keys = SessionKeys(clock)
        self.tokens = Tokens(clock)
        self.tickets = Tickets(clock)
        self.oauth = OAuth(self.users, clock)
        self.qr = QrCodes(clock)

    def login(self, appid: str, user: str) -> str:
        """``wx.login``: a code, and as a rule a new session_key."""
        name, appid = self.users.get(user).name, self.apps.get_miniprogram(appid).appid
        self.keys.login(appid, name)
        return self.login_codes.issue(appid, name)

    def phone_code(self, appid: str, user: str) -> str:
        """The code of a ``getPhoneNumber`` button; ControlError if the user has no phone."""
        person = self.users.get(user)
        if person.phone is None:
            raise ControlError(f"{user} has no phone; POST /sim/users gives one")
        return self.phone_codes.issue(self.apps.get_miniprogram(appid).appid, person.name)

    def open_data(
        self,
        appid: str,
        user: str,
        kind: str,
        key_version: str = "current",
        watermark_appid: str | None = None,
    ) -> dict[str, str]:
        """``{encryptedData, iv, rawData, signature}``; under a random key if that version never was."""
        person, app = self.users.get(user), self.apps.get_miniprogram(appid)
        if kind not in KINDS or key_version not in VERSIONS:
            raise ControlError(f"kind: {', '.join(KINDS)}; keyVersion: {', '.join(VERSIONS)}")
        raw, secret = self._payload(app.appid, person, kind)
        mark = {"timestamp": int(self.clock()), "appid": watermark_appid or app.appid}
        found = self.keys.find_version(app.appid, person.name, key_version)
        key = found.value if found else crypto.new_session_key()
        return seal(raw, {**secret, "watermark": mark}, key)

    def phone_info(self, user: User) -> dict[str, str]:
        """The phone number as both the old and the new way tell it, without the watermark."""
        if user.phone is None:
            raise ControlError(f"{user.name} has no phone; POST /sim/users gives one")
        country, number = split_phone(user.phone)
        full = number if country == "86" else f"+{country}{number}"
        return {"phoneNumber": full, "purePhoneNumber": number, "countryCode": country}

    def _payload(self, appid: str, user: User, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """(rawData, what is encrypted)."""
        if kind == "phone":
            return {}, self.phone_info(user)
        if kind == "group":
            return {}, {"openGId": "t" + make_id(appid, f"group of {user.name}")[1:]}
        raw = {
            "nickName": user.nickname,
            "gender": 0,
            "language": "zh_CN",
            "city": "",
            "province": "",
            "country": "",
            "avatarUrl": self.users.avatar_url(user),
        }
        union = {"unionId": user.unionid} if user.unionid else {}
        return raw, {"openId": make_id(appid, user.name), **raw, **union}


def seal(raw: dict[str, Any], secret: dict[str, Any], session_key: str) -> dict[str, str]:
    """The four texts a mini-program gets; rawData is empty where WeChat sends none."""
    iv = b64encode(secrets.token_bytes(16)).decode()
    raw_data = dump_json(raw) if raw else ""
    return {
        "encryptedData": crypto.encrypt(session_key, iv, dump_json(secret)),
        "iv": iv,
        "rawData": raw_data,
        "signature": crypto.sign_raw_data(raw_data, session_key),
    }


def dump_json(value: object) -> str:
    """Compact JSON with characters as they are, the way WeChat writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
