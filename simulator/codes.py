"""One-time codes: they live five minutes and work once."""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from simulator.errors import WechatError

CODE_LIFE_S = 300
FOREIGN_LIFE_S = 86_400
SHAPE = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(slots=True)
class Code:
    """What a code stands for; ``issued_at`` in seconds of the simulator's clock."""

    appid: str
    user: str
    issued_at: float
    scope: str = ""
    used: bool = False


class Codes:
    """All codes of one kind (login or phone).

    ``used_errcode`` is what the second use is answered with. With ``owner`` (the name of a user), a code
    nobody issued counts as that user's; it is then remembered for a day, so that it too works once.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        hex_length: int,
        used_errcode: int,
        owner: str | None = None,
        life_s: int = CODE_LIFE_S,
    ) -> None:
        self._clock = clock
        self._life_s = life_s
        self._length = hex_length
        self._used_errcode = used_errcode
        self._owner = owner
        self._keep_s = FOREIGN_LIFE_S if owner else 2 * life_s
        self._codes: dict[str, Code] = {}
        self.others: tuple[Codes, ...] = ()  # of other kinds: what they issued is no code of this one

    def __contains__(self, code: str) -> bool:
        return code in self._codes

    def issue(self, appid: str, user: str, scope: str = "") -> str:
        """A new code of that user in that app; ``scope`` where the user was asked for one."""
        self._forget_old()
        code = secrets.token_hex(self._length // 2)
        self._codes[code] = Code(appid, user, self._clock(), scope)
        return code

    def find(self, code: str, appid: str) -> Code:
        """The usable code, not yet consumed; 40029, or ``used_errcode`` after its first use."""
        found = self._codes.get(code) or self._adopt(code, appid)
        if found is None or found.appid != appid or self._clock() - found.issued_at > self._life_s:
            raise WechatError(40029)
        if found.used:
            raise WechatError(self._used_errcode)
        return found

    def _adopt(self, code: str, appid: str) -> Code | None:
        if self._owner is None or not SHAPE.fullmatch(code) or any(code in other for other in self.others):
            return None
        self._codes[code] = Code(appid, self._owner, self._clock())
        return self._codes[code]

    def _forget_old(self) -> None:
        """Drop what is past keeping; the dict is in order of time, so this stops early."""
        limit = self._clock() - self._keep_s
        while self._codes:
            oldest = next(iter(self._codes))
            if self._codes[oldest].issued_at >= limit:
                return
            del self._codes[oldest]
