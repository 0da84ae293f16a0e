"""Passwords: argon2id, off the event loop, one at a time.

19 MiB, t=2, p=1 is OWASP's minimum for argon2id. One thread a process: more would cost 19 MiB each and, with a
process for each core, check no more passwords. What has to wait waits; when the queue is long, the answer is an
honest 503.

Imported users may bring bcrypt hashes. They are verified as they are and replaced at the first login.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import AppError, Code

MAX_WAITING = 256
BCRYPT_BYTES = 72  # bcrypt looks at no more; bcrypt 5 refuses what earlier versions cut off
T = TypeVar("T")


class Passwords:
    """``await hash(password)`` and ``await verify(hash, password)``; both raise 5003 when too many wait.

    ``bcrypt_cost`` is the highest cost among the bcrypt hashes still in use (0: none). While there are any, every
    refusal does the work of both kinds, so that time does not tell whether a username exists, or is an imported one.
    """

    def __init__(self, bcrypt_cost: int = 0) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="argon2")
        self._waiting = 0
        self._dummy = self._hasher.hash("not anyone's password")
        self._bcrypt_cost = bcrypt_cost

    async def hash(self, password: str) -> str:
        """The PHC string to store."""
        return await self._run(lambda: self._hasher.hash(password.encode()))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether it is the password. Without a stored hash it does the same work and says no, so that an unknown
        username takes as long as a wrong password.
        """
        return await self._run(lambda: self._verify(stored, password.encode()))

    def is_outdated(self, stored: str) -> bool:
        """Whether a hash should be replaced while the password is at hand: bcrypt, or other costs than ours."""
        return is_bcrypt(stored) or self._hasher.check_needs_rehash(stored)

    def waiting(self) -> int:
        """Passwords that are being checked or wait for it."""
        return self._waiting

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, stored: str | None, password: bytes) -> bool:
        old = stored is not None and is_bcrypt(stored)
        if old and stored:
            self._bcrypt_cost = max(self._bcrypt_cost, bcrypt_cost_of(stored))
            if _matches_bcrypt(stored, password):
                return True
        if self._matches_argon2(self._dummy if old else stored or self._dummy, password):
            return stored is not None and not old
        if not old and self._bcrypt_cost:
            bcrypt.hashpw(password[:BCRYPT_BYTES], _dummy_salt(self._bcrypt_cost))
        return False

    def _matches_argon2(self, stored: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(stored, password)
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


def is_bcrypt(stored: str) -> bool:
    """Whether a stored hash is an imported one of bcrypt."""
    return stored.startswith("$2")


def bcrypt_cost_of(stored: str) -> int:
    """The cost of a bcrypt hash: ``$2b$12$…`` has 12."""
    return int(stored[4:6])


def _matches_bcrypt(stored: str, password: bytes) -> bool:
    """A longer password counts by its first 72 bytes, as it did when the hash was made."""
    try:
        return bcrypt.checkpw(password[:BCRYPT_BYTES], stored.encode())
    except ValueError:
        return False


def _dummy_salt(cost: int) -> bytes:
    return b"$2b$%02d$" % cost + b"abcdefghijklmnopqrstuu"
