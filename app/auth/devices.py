"""A device as its user would name it, read from a User-Agent; and what makes two logins come from the same one."""

import hashlib
import ipaddress
import re
from functools import lru_cache

WECHAT = re.compile(r"MicroMessenger/([0-9]+(?:\.[0-9]+)*)")
BROWSERS = [  # the first that is named wins: Chrome names Safari, Edge names Chrome
    ("Edge", re.compile(r"Edg(?:e|A|iOS)?/([0-9]+)")),
    ("Opera", re.compile(r"OPR/([0-9]+)")),
    ("Firefox", re.compile(r"(?:Firefox|FxiOS)/([0-9]+)")),
    ("QQ Browser", re.compile(r"M?QQBrowser/([0-9]+)")),
    ("UC Browser", re.compile(r"UCBrowser/([0-9]+)")),
    ("Chrome", re.compile(r"(?:Chrome|CriOS)/([0-9]+)")),
    ("Safari", re.compile(r"Version/([0-9]+)[0-9.]* (?:Mobile/\w+ )?Safari/")),
]
SYSTEMS = [
    ("Windows", re.compile(r"Windows NT|Windows Phone")),
    ("HarmonyOS", re.compile(r"HarmonyOS|OpenHarmony")),
    ("macOS", re.compile(r"Macintosh")),
    ("ChromeOS", re.compile(r"CrOS")),
    ("Linux", re.compile(r"Linux|X11")),
]
APPLE = re.compile(r"\((iPhone|iPad|iPod)[;,]")
ANDROID = re.compile(
    r"Android[ /]?[0-9.]*; (?:[a-z]{2}[-_][A-Za-z]{2}; )?([^;()]{1,64}?)(?: Build/[^;()]*)?(?:; wv)?[;)]"
)
UNKNOWN = "Unknown device"
MARK_DIGITS = 10


@lru_cache(maxsize=4096)
def name_device(user_agent: str) -> str:
    """Such as ``WeChat 8.0 · iPhone`` or ``Chrome 142 · Windows``; at most 100 printable characters."""
    parts = [name_program(user_agent), name_machine(user_agent)]
    named = " · ".join(part for part in parts if part)
    return "".join(char for char in named if char.isprintable())[:100] or UNKNOWN


def device_mark(user_agent: str, address: str) -> str:
    """A short hash of the device's name and the wider network (IPv4 /16, IPv6 /32) it calls from.

    The wider one, because a phone changes its address all day and its carrier seldom.
    """
    seen = f"{_without_versions(name_device(user_agent))}|{_wide_network(address)}"
    return hashlib.sha256(seen.encode()).hexdigest()[:MARK_DIGITS]


def name_program(user_agent: str) -> str:
    """Such as ``WeChat 8.0`` or ``Chrome 142``; empty for what is not known."""
    wechat = WECHAT.search(user_agent)
    if wechat:
        return "WeChat " + ".".join(wechat[1].split(".")[:2])
    for name, pattern in BROWSERS:
        found = pattern.search(user_agent)
        if found:
            return f"{name} {found[1]}"
    return ""


def name_machine(user_agent: str) -> str:
    """Such as ``iPhone`` or ``Windows``; empty for what is not known."""
    apple = APPLE.search(user_agent)
    if apple:
        return apple[1]
    android = ANDROID.search(user_agent)
    if android:
        model = android[1].strip()
        return "Android" if model in ("K", "wv", "Mobile", "") else model
    return next((name for name, pattern in SYSTEMS if pattern.search(user_agent)), "")


def _without_versions(name: str) -> str:
    program, _, machine = name.partition(" · ")
    return f"{program.rstrip('0123456789. ')} · {machine}"


@lru_cache(maxsize=4096)
def _wide_network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 16 if parsed.version == 4 else 32), strict=False))
