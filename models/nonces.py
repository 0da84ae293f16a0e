"""Nonces of signed requests: each is good once over all instances.

``kaimen:nonce:<service>:<nonce>``  there while a request with that nonce could still be in time
"""

from models.kv import Kv


class Nonces:
    """Raises 5002 when Redis is away: nobody could tell a replay then."""

    def __init__(self, kv: Kv) -> None:
        self._kv = kv

    async def claim(self, service: str, nonce: str, keep_s: int) -> bool:
        """Whether this is the first use."""
        return await self._kv.run("SET", f"kaimen:nonce:{service}:{nonce}", "1", "NX", "EX", keep_s) is not None
