"""States of OAuth logins in Redis: ``kaimen:oauth:<hash>``, bound to a browser and taken by one code.

Neither the state nor the browser's secret nor the code is stored, only their hashes.
"""

import hashlib
from dataclasses import dataclass

from models.kv import Kv

TTL_S = 600
REPEAT_MS = 30_000


@dataclass(frozen=True, slots=True)
class LoginState:
    """What a login asked for; ``return_to`` was checked before it was stored."""

    return_to: str
    scope: str
    mode: str


async def keep_state(kv: Kv, state: str, appid: str, browser: str, asked: LoginState) -> None:
    """Stores a state for 10 minutes; raises 5002."""
    fields = ["appid", appid, "browser", hash_of(browser), "return_to", asked.return_to]
    fields += ["scope", asked.scope, "mode", asked.mode]
    key = _key(state)
    await kv.script("oauth_keep", [key], [TTL_S, *fields])


async def take_state(kv: Kv, state: str, appid: str, browser: str, code: str) -> LoginState | None:
    """What the login asked for, once, and again for the same code within 30 s; None for any other caller.

    A state that another browser brings, or another app's callback, stays as it was. Raises 5002.
    """
    reply = await kv.script("oauth_take", [_key(state)], [appid, hash_of(browser), hash_of(code), REPEAT_MS])
    return LoginState(*reply[1:]) if reply[0] == "taken" else None


def _key(state: str) -> str:
    return f"kaimen:oauth:{hash_of(state)}"


def hash_of(secret: str) -> str:
    """The name under which a secret is known here."""
    return hashlib.sha256(secret.encode()).hexdigest()[:40]
