"""Claims on WeChat codes in Redis: which instance exchanges a code, and what came of it.

One key per (appid, code), named by hash; it lives as long as WeChat's code does (5 minutes).
"""

import hashlib
import json
from dataclasses import dataclass

from models.kv import Kv

TTL_S = 300


@dataclass(frozen=True, slots=True)
class Claim:
    """``state``: pending, done (``session_id``, ``is_new_user``) or refused (``code``, the number of the error).

    ``by`` is the client address that brought the code first; ``at`` when the state was reached (ms).
    """

    state: str
    action: str
    by: str
    at: int
    session_id: str = ""
    is_new_user: bool = False
    code: int = 0


def code_key(appid: str, code: str) -> str:
    """The name under which a code is known here: a hash, for the code is a secret while it lives."""
    return hashlib.sha256(f"{appid}:{code}".encode()).hexdigest()[:40]


async def claim(kv: Kv, key: str, mine: Claim) -> Claim | None:
    """None when the code is now ours to exchange, else the claim that stands."""
    if await kv.run("SET", _name(key), _dump(mine), "NX", "EX", TTL_S):
        return None
    return await find_claim(kv, key)


async def find_claim(kv: Kv, key: str) -> Claim | None:
    """The claim that stands, or None when it was given up."""
    text = await kv.run("GET", _name(key))
    return Claim(*json.loads(text)) if text else None


async def settle(kv: Kv, key: str, outcome: Claim) -> None:
    """Stores what came of the exchange."""
    await kv.run("SET", _name(key), _dump(outcome), "EX", TTL_S)


async def release(kv: Kv, key: str) -> None:
    """Gives the claim up: WeChat was not reached, so the code may be brought again."""
    await kv.run("DEL", _name(key))


def _name(key: str) -> str:
    return f"kaimen:code:{key}"


def _dump(one: Claim) -> str:
    return json.dumps([one.state, one.action, one.by, one.at, one.session_id, one.is_new_user, one.code])
