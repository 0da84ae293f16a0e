"""The states of a scan and the ways between them, as data.

| action  | who     | leaves                      | leads to  | ends                     |
|---------|---------|-----------------------------|-----------|--------------------------|
| create  | browser |                             | pending   | after 120 s              |
| scan    | phone   | pending                     | scanned   | as it was                |
| confirm | phone   | scanned, by who scanned     | confirmed | 60 s later               |
| cancel  | phone   | pending, or scanned by them | cancelled |                          |
| redeem  | browser | confirmed, with the ticket  | redeemed  |                          |
| expire  | time    | pending, scanned, confirmed | expired   |                          |

A wrong match code stays where it is twice and cancels the third time. Where a state is among the ``again`` of an
action, the same user's repeating it is a success without effect: replies get lost.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from core.errors import Code

PENDING, SCANNED, CONFIRMED = "pending", "scanned", "confirmed"
REDEEMED, CANCELLED, EXPIRED = "redeemed", "cancelled", "expired"
OPEN = (PENDING, SCANNED, CONFIRMED)
LIFE_MS = 120_000
TICKET_MS = 60_000
MATCH_ATTEMPTS = 3


class Action(NamedTuple):
    """A row of the table; ``life_ms``: the scan ends that much later, None: it ends with this, 0: when it would."""

    leaves: tuple[str, ...]
    to: str
    again: tuple[str, ...] = ()
    life_ms: int | None = None


SCAN = Action((PENDING,), SCANNED, (SCANNED, CONFIRMED), 0)
ADOPT = Action((SCANNED,), SCANNED, (SCANNED, CONFIRMED), 0)  # who WeChat said had scanned turns out to be a user
CONFIRM = Action((SCANNED,), CONFIRMED, (CONFIRMED,), TICKET_MS)
CANCEL = Action((PENDING, SCANNED), CANCELLED)
REDEEM = Action((CONFIRMED,), REDEEMED)
EXPIRE = Action((), EXPIRED)  # the time decides, not the state
ACTIONS = {"scan": SCAN, "confirm": CONFIRM, "cancel": CANCEL, "redeem": REDEEM, "expire": EXPIRE}

FINISHED = {EXPIRED: Code.SCAN_EXPIRED, REDEEMED: Code.SCAN_REDEEMED, CANCELLED: Code.SCAN_CANCELLED}
TYPES = {
    PENDING: "PENDING",
    SCANNED: "SCANNED",
    CONFIRMED: "LOGIN_SUCCESS",
    REDEEMED: "REDEEMED",
    CANCELLED: "CANCELLED",
    EXPIRED: "EXPIRED",
}


def make_frame(state: str, left_ms: int, user: Mapping[str, str] | None, ticket: str) -> dict[str, Any]:
    """What a browser is told of a state, but for its version: ``{type, state, expiresIn, user?, ticket?}``."""
    frame: dict[str, Any] = {"type": TYPES[state], "state": state, "expiresIn": 0}
    if state in OPEN:
        frame["expiresIn"] = max(0, -(-left_ms // 1000))
    if user and state in (SCANNED, CONFIRMED):
        frame["user"] = user
    if state == CONFIRMED:
        frame["ticket"] = ticket
    return frame
