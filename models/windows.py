"""Sliding windows: in Redis for all instances, or in this process while Redis is away.

``kaimen:limit:<name>:<hash>``: one sorted set for each thing limited, under a hash because it may be a name or an
address. Each key is a script of its own: a common hash tag would put all of them on one slot of a Redis Cluster.
"""

import hashlib
from collections import OrderedDict, deque
from typing import NamedTuple

from core.limits import Limit
from models.kv import Kv

HELD = 10_000


class Window(NamedTuple):
    """What is counted: the limit's name, whom it concerns (network, account …), and how much is allowed."""

    name: str
    subject: str
    limit: Limit

    @property
    def key(self) -> str:
        """Its key in Redis."""
        return f"kaimen:limit:{self.name}:{hashlib.sha256(self.subject.encode()).hexdigest()[:32]}"


async def take(kv: Kv, window: Window, now_ms: int, member: str) -> int:
    """0 and ``member`` is counted, or the ms until there is room; ``member=""`` only looks. Raises 5002."""
    args = [now_ms, window.limit.window_s * 1000, window.limit.times, member]
    return int(await kv.script("limit", [window.key], args))


async def give_back(kv: Kv, window: Window, member: str) -> None:
    """Counts it no longer; raises 5002."""
    await kv.run("ZREM", window.key, member)


class LocalWindows:
    """The same in memory, stricter by half: several processes count apart from each other."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, deque[tuple[int, str]]] = OrderedDict()

    def take(self, window: Window, now_ms: int, member: str) -> int:
        """See the function of the same name."""
        allowed, window_ms = max(1, window.limit.times // 2), window.limit.window_s * 1000
        held = self._held.setdefault(window.key, deque())
        self._held.move_to_end(window.key)
        while held and held[0][0] <= now_ms - window_ms:
            held.popleft()
        if len(held) >= allowed:
            return max(1, held[-allowed][0] + window_ms - now_ms)
        if member:
            held.append((now_ms, member))
        if len(self._held) > HELD:
            self._held.popitem(last=False)
        return 0

    def give_back(self, window: Window, member: str) -> None:
        """See the function of the same name."""
        held = self._held.get(window.key)
        if held:
            self._held[window.key] = deque(one for one in held if one[1] != member)
