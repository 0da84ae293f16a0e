"""WeChat's error numbers as data: which public code each becomes, and what an operator should do.

The numbers are those of the pages of each API and of the common list
(developers.weixin.qq.com/miniprogram/dev/OpenApiDoc). ``errmsg`` is text for people that changes at any
time: it is never compared, never shown to a client, and only its ``rid`` and addresses are taken from it.
"""

import re
from typing import Any, NamedTuple

from core.errors import AppError, Code

BUSY = -1
TOKEN_REFUSED = frozenset({40001, 40014, 42001})
SESSION_NOT_CURRENT = frozenset({87007, 87009})
OAUTH_NOT_CURRENT = frozenset({40001, 40003, 40014, 42001, 42007})
IP_NOT_LISTED = 40164


class Meaning(NamedTuple):
    """The public code of an errcode, and the words for the log."""

    code: Code
    hint: str


_LOGIN_AGAIN = Code.INVALID_WX_CODE
_CONFIG = Code.WX_BAD_REPLY

MEANINGS: dict[int, Meaning] = {
    BUSY: Meaning(Code.WX_UNAVAILABLE, "WeChat is busy"),
    40001: Meaning(_CONFIG, "access_token refused, or the secret is wrong: check the secret of this appid"),
    40002: Meaning(_CONFIG, "wrong grant_type"),
    40003: Meaning(_LOGIN_AGAIN, "the openid is not of this app, or does not belong to the code"),
    40013: Meaning(_CONFIG, "WeChat does not know this appid: correct it in the settings"),
    40014: Meaning(_CONFIG, "access_token invalid"),
    40029: Meaning(_LOGIN_AGAIN, "code invalid, expired, or of another appid"),
    40030: Meaning(_LOGIN_AGAIN, "refresh_token of a user invalid: the user has to agree again"),
    40097: Meaning(_CONFIG, "wrong argument"),
    40125: Meaning(_CONFIG, "the secret is wrong: was it reset on mp.weixin.qq.com?"),
    40129: Meaning(_CONFIG, "wrong scene"),
    40163: Meaning(Code.WX_CODE_USED, "code already used"),
    IP_NOT_LISTED: Meaning(_CONFIG, "our address is not on the IP whitelist: add it on mp.weixin.qq.com"),
    40169: Meaning(_CONFIG, "wrong scene"),
    40226: Meaning(Code.WX_USER_BLOCKED, "WeChat blocked this user as a risk"),
    40243: Meaning(_CONFIG, "the secret is frozen: unfreeze it on mp.weixin.qq.com"),
    41030: Meaning(_CONFIG, "no such page in that version: check page and envVersion of this appid"),
    41001: Meaning(_CONFIG, "access_token missing"),
    41002: Meaning(_CONFIG, "appid missing"),
    41003: Meaning(_CONFIG, "refresh_token missing"),
    41004: Meaning(_CONFIG, "secret missing: is it set for this appid?"),
    41008: Meaning(_CONFIG, "code missing"),
    41009: Meaning(_CONFIG, "openid missing"),
    42001: Meaning(_CONFIG, "access_token expired"),
    42002: Meaning(_LOGIN_AGAIN, "refresh_token of a user expired: the user has to agree again"),
    42003: Meaning(_LOGIN_AGAIN, "code timed out"),
    42007: Meaning(_LOGIN_AGAIN, "the user changed the password: the user has to agree again"),
    43001: Meaning(_CONFIG, "GET required"),
    43002: Meaning(_CONFIG, "POST required"),
    43003: Meaning(_CONFIG, "HTTPS required: check the API URL"),
    44002: Meaning(_CONFIG, "empty POST body"),
    45009: Meaning(Code.WX_RATE_LIMITED, "quota of this API used up"),
    45011: Meaning(Code.WX_RATE_LIMITED, "this API is called too often"),
    47001: Meaning(_CONFIG, "WeChat cannot parse the body"),
    48001: Meaning(_CONFIG, "API not granted to this appid"),
    48004: Meaning(_CONFIG, "API banned for this appid: see the notices on mp.weixin.qq.com"),
    43104: Meaning(_LOGIN_AGAIN, "the openid is not of this app"),
    61010: Meaning(Code.REAUTH_REQUIRED, "the user was not in the mini-program within two hours"),
    61004: Meaning(_CONFIG, "our address is not registered"),
    87007: Meaning(_LOGIN_AGAIN, "session_key missing or expired"),
    87008: Meaning(_CONFIG, "wrong sig_method"),
    87009: Meaning(_LOGIN_AGAIN, "signature of a session_key that is not current"),
    89503: Meaning(_CONFIG, "our address waits for an administrator of the appid to confirm it"),
    89506: Meaning(_CONFIG, "an administrator refused our address; try again in 24 hours"),
    89507: Meaning(_CONFIG, "an administrator refused our address; try again in 1 hour"),
}

_RID = re.compile(r"rid:\s*([0-9a-zA-Z]{1,16}(?:-[0-9a-zA-Z]{1,16}){1,3})")
_OLD_RID = re.compile(r"hints?:?\s*\[\s*(?:req_id:\s*)?([\w.+/-]{1,64})\s*\]")
_ADDRESS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b|(?:[0-9a-fA-F]{0,4}:){2,}[0-9a-fA-F:.]*")


class Refusal(NamedTuple):
    """A reply whose ``errcode`` is not 0. ``rid`` is what WeChat's support asks for."""

    errcode: int
    rid: str | None
    address: str | None = None

    @property
    def code(self) -> Code:
        """The public code; an unknown errcode is an unusable reply."""
        meaning = MEANINGS.get(self.errcode)
        return meaning.code if meaning else Code.WX_BAD_REPLY

    @property
    def cause(self) -> str:
        """For the log: the number, its rid, what it means, and the address of 40164."""
        meaning = MEANINGS.get(self.errcode)
        hint = meaning.hint if meaning else "unknown errcode"
        address = f" (address {self.address})" if self.address else ""
        return f"errcode {self.errcode}: {hint}{address}, rid {self.rid or 'none'}"


def find_refusal(payload: dict[str, Any]) -> Refusal | None:
    """None if ``errcode`` is missing or 0. Raises 5020 when it is no integer."""
    errcode = payload.get("errcode", 0)
    if type(errcode) is not int:
        raise AppError(Code.WX_BAD_REPLY, cause="unusable reply: errcode")
    if errcode == 0:
        return None
    errmsg = str(payload.get("errmsg", ""))[:512]
    return Refusal(errcode, _find_rid(errmsg), _find_address(errmsg) if errcode == IP_NOT_LISTED else None)


def _find_rid(errmsg: str) -> str | None:
    found = _RID.search(errmsg) or _OLD_RID.search(errmsg)
    return found[1] if found else None


def _find_address(errmsg: str) -> str | None:
    found = _ADDRESS.search(errmsg)
    return found[0] if found else None
