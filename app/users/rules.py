"""What usernames, passwords, nicknames, avatars and e-mail addresses may be."""

import re
import unicodedata
from urllib.parse import urlsplit

from app.users.common_passwords import is_common
from core.errors import AppError, Code

USERNAME = re.compile(r"[A-Za-z0-9]{3,20}", re.ASCII)
EMAIL = re.compile(
    r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}", re.ASCII
)
PLAIN_URL = re.compile(r"https://[A-Za-z0-9.-]*[A-Za-z0-9](/[A-Za-z0-9._~/?=&%+-]*)?", re.ASCII)  # most are
NICKNAME_MAX = 64
URL_MAX = 1024
# Control, format (bidi marks, zero-width characters), surrogate, line and paragraph separator.
BLANK = set("\u115f\u1160\u2800\u3164\uffa0")  # letters and symbols that show nothing
HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def check_username(username: str) -> str:
    """The username; raises 4002."""
    if not is_username(username):
        raise AppError(Code.INVALID_USERNAME)
    return username


def is_username(text: str) -> bool:
    """Whether it could be registered as one."""
    return USERNAME.fullmatch(text) is not None


def check_password(password: str) -> str:
    """The password as sent; raises 4001 unless it has 8–128 characters of all four kinds and is no common one."""
    kinds = (str.islower, str.isupper, str.isdigit, _is_special)
    if not (8 <= len(password) <= 128 and all(any(kind(char) for char in password) for kind in kinds)) or is_common(
        password
    ):
        raise AppError(Code.WEAK_PASSWORD)
    return password


def check_nickname(nickname: str) -> str:
    """The nickname; raises 4000 if it is empty, too long, blank or holds characters nobody can see."""
    if (
        not (0 < len(nickname) <= NICKNAME_MAX and any(map(_is_visible, nickname)))
        or clean_nickname(nickname) != nickname
    ):
        raise AppError(Code.INVALID_REQUEST, field="nickname")
    return nickname


def clean_nickname(nickname: str) -> str:
    """What is left of a nickname from WeChat when what our rule forbids is taken out."""
    if nickname.isprintable():  # then it holds none of HIDDEN; ten times as fast, for imports
        return nickname[:NICKNAME_MAX]
    return "".join(char for char in nickname if unicodedata.category(char) not in HIDDEN)[:NICKNAME_MAX]


def check_avatar_url(url: str) -> str:
    """An https URL; raises 4000."""
    if not _is_https(url):
        raise AppError(Code.INVALID_REQUEST, field="avatarUrl")
    return url


def clean_avatar_url(url: str) -> str:
    """An avatar URL from WeChat, http turned into https; empty if it is no such URL.

    The simulator's avatars stay http: WeChat itself names no host on this machine.
    """
    secure = "https" + url.removeprefix("http") if url.startswith("http://") else url
    if not _is_https(secure):
        return ""
    return url if urlsplit(url).hostname in ("127.0.0.1", "localhost") else secure


def check_email(email: str | None) -> str | None:
    """The address, or None to remove it; raises 4000."""
    if email is not None and (len(email) > 254 or not EMAIL.fullmatch(email)):
        raise AppError(Code.INVALID_REQUEST, field="email")
    return email


def mask_phone(phone: str) -> str:
    """``138****8000``: enough to recognise one's own."""
    return phone[:-8] + "****" + phone[-4:] if len(phone) >= 11 else "*" * max(0, len(phone) - 2) + phone[-2:]


def _is_visible(char: str) -> bool:
    return unicodedata.category(char)[0] in "LNPS" and char not in BLANK


def _is_special(char: str) -> bool:
    return not char.isalnum()


def _is_https(url: str) -> bool:
    if len(url) <= URL_MAX and PLAIN_URL.fullmatch(url):
        return True
    if len(url) > URL_MAX or not url.isascii() or not url.isprintable() or set(' "<>\\') & set(url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return False
