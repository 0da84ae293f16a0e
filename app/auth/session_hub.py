"""Open sockets of signed-in clients in this process: who hears of what, and how many there may be."""

from collections import Counter, defaultdict
from typing import Any, Protocol

from app.auth.tokens import Claims
from core.errors import AppError, Code

WAITING_PER_NETWORK = 20  # not signed in yet; who is no longer counts, for many guests share one address
SIGNED_IN_PER_SESSION = 5
LOGGED_OUT = 4401
GOING_AWAY = 1001  # RFC 6455 §7.4.1


class Listener(Protocol):
    """A socket, as the hub sees it."""

    def push(self, message: dict[str, Any]) -> None:
        """Sends it, if the socket still stands."""
        ...

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Closes it with a code of RFC 6455."""
        ...


class SessionHub:
    """``enter`` and ``leave`` count sockets that wait to sign in, ``join`` and ``part`` keep those that have."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()
        self._all: set[Listener] = set()
        self._of_session: defaultdict[str, set[Listener]] = defaultdict(set)
        self._of_user: defaultdict[str, set[Listener]] = defaultdict(set)

    def check_room(self, network: str) -> None:
        """Raises 4290 when that many sockets of the network wait already."""
        if self._waiting[network] >= WAITING_PER_NETWORK:
            raise AppError(Code.RATE_LIMITED, cause="too many sockets wait to sign in")

    def enter(self, listener: Listener, network: str) -> None:
        """A socket was opened and has not said who it is."""
        self._all.add(listener)
        self._waiting[network] += 1

    def size(self) -> int:
        """Open sockets."""
        return len(self._all)

    def leave(self, network: str) -> None:
        """It has said so, or is gone."""
        self._waiting[network] -= 1
        if not self._waiting[network]:
            del self._waiting[network]

    def join(self, listener: Listener, claims: Claims) -> None:
        """From now on it hears of its session and its user; raises 4290 for too many of one session."""
        if len(self._of_session[claims.sid]) >= SIGNED_IN_PER_SESSION:
            raise AppError(Code.RATE_LIMITED, cause="too many sockets of one session")
        self._of_session[claims.sid].add(listener)
        self._of_user[claims.sub].add(listener)

    def part(self, listener: Listener, claims: Claims | None) -> None:
        """The socket is gone; to say so twice does no harm."""
        self._all.discard(listener)
        if claims:
            _drop(self._of_session, claims.sid, listener)
            _drop(self._of_user, claims.sub, listener)

    def logged_out(self, session_id: str, reason: str) -> None:
        """Tells the session's sockets, and closes them."""
        for listener in list(self._of_session.get(session_id, ())):
            listener.push({"type": "LOGGED_OUT", "reason": reason})
            listener.close(LOGGED_OUT, "logged out")

    def user_updated(self, user_id: str) -> None:
        """Tells the user's sockets."""
        for listener in list(self._of_user.get(user_id, ())):
            listener.push({"type": "USER_UPDATED"})

    def close(self) -> None:
        """The process stops: clients connect again, elsewhere."""
        for listener in list(self._all):
            listener.close(GOING_AWAY, "going away")


def _drop(groups: defaultdict[str, set[Listener]], key: str, listener: Listener) -> None:
    group = groups.get(key)
    if group is not None:
        group.discard(listener)
        if not group:
            del groups[key]
