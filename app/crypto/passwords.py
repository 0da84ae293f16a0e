"""Passwords: argon2id, off the event loop, one at a time.

19 MiB, t=2, p=1 is OWASP's minimum for argon2id. One thread a process: more would cost 19 MiB each and, with a
process for each core, check no more passwords. What has to wait waits; when the queue is long, the answer is an
honest 503.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import AppError, Code

MAX_WAITING = 256
T = TypeVar("T")


class Passwords:
    """``await hash(password)`` and ``await verify(hash, password)``; both raise 5003 when too many wait."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="argon2")
        self._waiting = 0
        self._dummy = self._hasher.hash("not anyone's password")

    async def hash(self, password: str) -> str:
        """The PHC string to store."""
        return await self._run(lambda: self._hasher.hash(password.encode()))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether it is the password. Without a stored hash it does the same work and says no, so that an unknown
        username takes as long as a wrong password.
        """
        matches = await self._run(lambda: self._matches(stored or self._dummy, password))
        return matches and stored is not None

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password.encode())
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise AppError(Code.OVERLOADED, cause="too many passwords to check")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
