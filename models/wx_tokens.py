"""WeChat's access_token and jsapi_ticket of each appid, as all instances share them through Redis.

``kaimen:{wxtoken:<appid>}:token``  hash: sealed, expires_at and renew_from (ms), version, fence
``kaimen:{wxtoken:<appid>}:lock``   who is fetching a new one
``kaimen:{wxtoken:<appid>}:forced`` there while no other forced refresh is allowed
The jsapi_ticket has ``wxticket`` where the access_token has ``wxtoken``.

Versions ascend with every lease given out; a token never replaces one with a higher version.
"""

from dataclasses import dataclass, field

from core.clock import Clock
from models.kv import Kv

LOCK_MS = 15_000
FORCED_MS = 600_000
KEEP_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A sealed token; between ``renew_from`` and ``expires_at`` it works but is due. Times in ms."""

    sealed: str = field(repr=False)
    expires_at: int
    renew_from: int
    version: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to fetch a token for 15 s, and the version it will have."""

    appid: str
    owner: str
    version: int


class WxTokens:
    """Every method raises 5002 when Redis is away."""

    def __init__(self, kv: Kv, clock: Clock, family: str = "wxtoken") -> None:
        self._kv = kv
        self._clock = clock
        self._family = family

    async def claim(self, appid: str, known_version: int, share: float) -> StoredToken | Lease | None:
        """The stored token if newer than ``known_version`` and not due, else a lease, None if another has it.

        ``share`` (0 to 1) says how much of the renewal window to stay away from.
        """
        owner = self._clock.token(128)
        args = [owner, LOCK_MS, self._clock.now_ms(), known_version, share, KEEP_MS]
        reply = await self._kv.script("wx_token_claim", [self._key(appid, "token"), self._key(appid, "lock")], args)
        if reply[0] == "token":
            return StoredToken(reply[1], int(reply[2]), int(reply[3]), int(reply[4]))
        return Lease(appid, owner, int(reply[1])) if reply[0] == "lease" else None

    async def store(self, lease: Lease, sealed: str, expires_at: int, renew_from: int) -> bool:
        """False, and nothing is stored, if the lease was lost meanwhile. Ends the lease."""
        keys = [self._key(lease.appid, "token"), self._key(lease.appid, "lock")]
        args = [lease.owner, lease.version, sealed, expires_at, renew_from, KEEP_MS]
        return bool(await self._kv.script("wx_token_store", keys, args))

    async def release(self, lease: Lease) -> None:
        """Lets another instance fetch."""
        await self._kv.script("wx_token_release", [self._key(lease.appid, "lock")], [lease.owner])

    async def claim_force(self, appid: str) -> bool:
        """Whether a forced refresh is allowed; once in 10 minutes over all instances."""
        reply = await self._kv.run("SET", self._key(appid, "forced"), "1", "NX", "PX", FORCED_MS)
        return reply is not None

    def _key(self, appid: str, name: str) -> str:
        return f"kaimen:{{{self._family}:{appid}}}:{name}"
