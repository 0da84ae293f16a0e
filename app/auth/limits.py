"""Who may try how often. The rows and their defaults are in ``core.limits``; what each answers with is here.

A wrong password is counted before the password is looked at and taken off again when it was right: a hundred tries
at once cannot slip through between looking and counting. WeChat logins that succeed are never counted against an
address (a hundred guests share one behind a NAT); their failures are. Every check is at most one pipeline to Redis;
while Redis is away, half as much is allowed by each process.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from core.clock import Clock
from core.errors import AppError, Code
from core.limits import DEFAULTS, Limit
from core.observe import metrics
from models import windows
from models.kv import Kv
from models.windows import LocalWindows, Window

ANSWERS = {
    "password_account": Code.TOO_MANY_ATTEMPTS,
    "password_network": Code.TOO_MANY_ATTEMPTS,
    "register_network": Code.RATE_LIMITED,
    "code_network": Code.RATE_LIMITED,
    "code_appid": Code.RATE_LIMITED,
    "refresh_network": Code.RATE_LIMITED,
    "oauth_network": Code.RATE_LIMITED,
    "scan_network": Code.RATE_LIMITED,
    "scan_user": Code.RATE_LIMITED,
    "avatar_user": Code.RATE_LIMITED,
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """Something counted beforehand, that may be taken off again."""

    windows: tuple[Window, ...] = ()
    member: str = ""


class Limits:
    """Raises 4290 or 4291 with the seconds until there is room; with ``on=False`` nothing is limited."""

    def __init__(self, kv: Kv, clock: Clock, changed: dict[str, Limit], *, on: bool) -> None:
        self._kv = kv
        self._clock = clock
        self._table = {**DEFAULTS, **changed}
        self._on = on
        self._local = LocalWindows()
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def password(self, username: str, network: str) -> AsyncIterator[None]:
        """Around the check of a password: counted unless the block ends otherwise than by 4013. Raises 4291."""
        account = self._window("password_account", f"{username.lower()}|{network}")
        attempt = await self._take(account, self._window("password_network", network))
        try:
            yield
        except AppError as error:
            if error.code is not Code.WRONG_CREDENTIALS:
                self._forgive(attempt)
            raise
        self._forgive(attempt)

    async def count_registration(self, network: str) -> None:
        """Counts a registration by username and password; raises 4290."""
        await self._take(self._window("register_network", network))

    async def check_code(self, appid: str, network: str) -> None:
        """Counts an exchange of the appid, and looks whether the network brought too many bad codes; raises 4290."""
        exchange, failures = self._window("code_appid", appid), self._window("code_network", network)
        if self._on:
            waits = await asyncio.gather(self._count(exchange, self._member()), self._count(failures, ""))
            _refuse([exchange, failures], waits)

    def count_bad_code(self, network: str) -> None:
        """Counts a code that was refused; nobody waits for it."""
        if self._on:
            self._later(self._count_quietly(self._window("code_network", network)))

    async def count_bad_refresh(self, network: str) -> None:
        """Counts a refresh token that was refused; raises 4290."""
        await self._take(self._window("refresh_network", network))

    async def count_avatar(self, user_id: str) -> None:
        """Counts an upload; raises 4290."""
        await self._take(self._window("avatar_user", user_id))

    async def count_oauth(self, network: str) -> None:
        """Counts an OAuth login that begins; raises 4290."""
        await self._take(self._window("oauth_network", network))

    async def count_scan(self, network: str) -> None:
        """Counts a QR login that a page begins; raises 4290."""
        await self._take(self._window("scan_network", network))

    async def count_scan_step(self, user_id: str) -> None:
        """Counts what a user does on the phone; raises 4290."""
        await self._take(self._window("scan_user", user_id))

    @property
    def on(self) -> bool:
        """Whether anything is limited."""
        return self._on

    async def close(self) -> None:
        """Waits for what is being counted."""
        await asyncio.gather(*self._tasks)

    def _window(self, name: str, subject: str) -> Window:
        return Window(name, subject, self._table[name])

    def _member(self) -> str:
        return self._clock.token(96)

    async def _take(self, *wanted: Window) -> Attempt:
        if not self._on:
            return Attempt()
        attempt = Attempt(wanted, self._member())
        waits = await asyncio.gather(*(self._count(window, attempt.member) for window in wanted))
        try:
            _refuse(wanted, waits)
        except AppError:
            self._forgive(attempt)  # a refused attempt is not counted: the wait does not grow
            raise
        return attempt

    def _forgive(self, attempt: Attempt) -> None:
        if attempt.windows:
            self._later(self._give_back(attempt))

    async def _count(self, window: Window, member: str) -> int:
        now = self._clock.now_ms()
        try:
            return await windows.take(self._kv, window, now, member)
        except AppError:
            return self._local.take(window, now, member)

    async def _count_quietly(self, window: Window) -> None:
        await self._count(window, self._member())

    async def _give_back(self, attempt: Attempt) -> None:
        for window in attempt.windows:
            self._local.give_back(window, attempt.member)
        with contextlib.suppress(AppError):
            await asyncio.gather(*(windows.give_back(self._kv, one, attempt.member) for one in attempt.windows))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _refuse(wanted: Sequence[Window], waits: Sequence[int]) -> None:
    """Raises for the window with the longest wait, if there is one."""
    wait_ms, window = max(zip(waits, wanted, strict=True), key=lambda pair: pair[0])
    if wait_ms:
        metrics.LIMITED.inc(window.name)
        raise AppError(ANSWERS[window.name], cause=f"limit {window.name}", retry_after_s=math.ceil(wait_ms / 1000))
