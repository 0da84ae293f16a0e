"""The table of limits: how many of what within how long. ``KAIMEN_LIMITS`` changes single rows of it."""

import re
from typing import Any, NamedTuple

WRITTEN = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})", re.ASCII)


class Limit(NamedTuple):
    """At most ``times`` within any ``window_s`` seconds."""

    times: int
    window_s: int

    def __str__(self) -> str:
        return f"{self.times}/{self.window_s}"


DEFAULTS = {
    "password_account": Limit(5, 900),  # wrong passwords for one account from one network
    "password_network": Limit(100, 900),  # wrong passwords from one network, whatever the account
    "register_network": Limit(10, 3600),  # registrations by username and password; by WeChat alone not counted
    "code_network": Limit(100, 300),  # WeChat codes that were refused, from one network
    "code_appid": Limit(6000, 60),  # WeChat codes exchanged for one appid: WeChat has a quota for each
    "oauth_network": Limit(600, 300),  # OAuth logins begun from one network
    "refresh_network": Limit(300, 300),  # refresh tokens that were refused, from one network
    "scan_network": Limit(30, 60),  # QR logins begun from one network
    "scan_user": Limit(60, 60),  # scans, confirms and cancels of one user
    "avatar_user": Limit(20, 3600),  # avatars uploaded by one user
}


def parse_limits(value: Any) -> dict[str, Limit]:
    """``{"password_account": "5/900"}`` as limits; raises ``ValueError`` for an unknown name or another form."""
    if not isinstance(value, dict):
        raise ValueError("must be an object")
    return {name: _parse(name, text) for name, text in value.items()}


def _parse(name: str, text: Any) -> Limit:
    found = WRITTEN.fullmatch(str(text))
    if name not in DEFAULTS:
        raise ValueError("names a limit that does not exist")
    if found is None:
        raise ValueError(f"{name} must be count/seconds, such as {DEFAULTS[name]}")
    return Limit(int(found[1]), int(found[2]))
