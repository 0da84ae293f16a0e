"""Session keys: one is valid per user and app, older ones are kept so that tests can use them.

How long WeChat keeps a key is not published; here three days from the last login.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from simulator.crypto import new_session_key

KEY_LIFE_S = 3 * 86_400
HISTORY = 5
VERSIONS = ("current", "previous", "older")


@dataclass(slots=True)
class SessionKey:
    """``value`` is base64 of 16 bytes; times are seconds of the simulator's clock."""

    value: str
    created_at: float
    expires_at: float


class SessionKeys:
    """Keys per (appid, user), newest first.

    A login makes a new key unless the last is younger than ``min_refresh_s`` (0: every login does);
    either way the key's life starts again.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.min_refresh_s = 0.0
        self._clock = clock
        self._keys: dict[tuple[str, str], deque[SessionKey]] = {}
        self._seen: dict[tuple[str, str], float] = {}

    def login(self, appid: str, user: str) -> SessionKey:
        """The key after one more ``wx.login``."""
        now = self._clock()
        self._seen[appid, user] = now
        key = self.find(appid, user)
        if key is None or now - key.created_at >= self.min_refresh_s:
            return self._push(appid, user, SessionKey(new_session_key(), now, now + KEY_LIFE_S))
        key.expires_at = now + KEY_LIFE_S
        return key

    def was_active(self, appid: str, user: str, within_s: float) -> bool:
        """Whether that user was in the mini-program so lately."""
        return self._clock() - self._seen.get((appid, user), float("-inf")) <= within_s

    def reset(self, appid: str, user: str, key: SessionKey) -> SessionKey:
        """A new key in place of this one, which dies at once; the end of life stays the same."""
        return self._push(appid, user, SessionKey(new_session_key(), self._clock(), key.expires_at))

    def find(self, appid: str, user: str) -> SessionKey | None:
        """The valid key, if there is one and it has not expired."""
        keys = self._keys.get((appid, user))
        return keys[0] if keys and keys[0].expires_at > self._clock() else None

    def find_version(self, appid: str, user: str, version: str) -> SessionKey | None:
        """The current key or one of its two predecessors, expired or not."""
        keys = self._keys.get((appid, user), ())
        index = VERSIONS.index(version)
        return keys[index] if index < len(keys) else None

    def _push(self, appid: str, user: str, key: SessionKey) -> SessionKey:
        self._keys.setdefault((appid, user), deque(maxlen=HISTORY)).appendleft(key)
        return key
