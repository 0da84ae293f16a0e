"""Webhook sinks: somewhere for a backend to post events to, which checks signatures and fails on demand.

The signature is that of the Standard Webhooks specification, computed here apart from the backend's own code.
See: https://www.standardwebhooks.com
"""

import hashlib
import hmac
import json
from base64 import b64decode, b64encode
from collections import deque
from dataclasses import dataclass, field
from typing import Any

KEPT = 10_000
WINDOW_S = 300


@dataclass(slots=True)
class Received:
    """One POST; ``verified`` is None while the sink has no secret."""

    id: str
    at: float
    headers: dict[str, str]
    body: str
    verified: bool | None
    status: int | None

    @property
    def event(self) -> dict[str, Any]:
        """The JSON in it."""
        event: dict[str, Any] = json.loads(self.body)
        return event

    def as_json(self) -> dict[str, Any]:
        """As ``/sim/sinks`` lists it."""
        shown = {"id": self.id, "at": self.at, "verified": self.verified, "status": self.status}
        return {**shown, "headers": self.headers, "body": self.body}


@dataclass(slots=True)
class Sink:
    """How it answers: ``status`` after ``delayS``, for ``times`` posts (None: all) and 204 after that."""

    secret: str | None = None
    status: int = 204
    delayS: float = 0.0  # noqa: N815 - as on the wire
    times: int | None = None
    received: deque[Received] = field(default_factory=lambda: deque(maxlen=KEPT))

    def answer(self) -> tuple[int, float]:
        """The next status and delay."""
        if self.times is None:
            return self.status, self.delayS
        if self.times == 0:
            return 204, 0.0
        self.times -= 1
        return self.status, self.delayS


class Sinks:
    """Sinks by name; one that nobody set up takes everything."""

    def __init__(self) -> None:
        self._sinks: dict[str, Sink] = {}

    def get(self, name: str) -> Sink:
        """The sink of that name."""
        return self._sinks.setdefault(name, Sink())

    def set_up(self, name: str, **values: Any) -> Sink:
        """How a sink answers from now on; its secret and what it received stay."""
        before = self.get(name)
        self._sinks[name] = sink = Sink(**{"secret": before.secret, **values})
        sink.received = before.received
        return sink

    def clear(self) -> int:
        """Forgets all of them."""
        count = len(self._sinks)
        self._sinks.clear()
        return count


def is_signed(secret: str, headers: dict[str, str], body: bytes, now: float) -> bool:
    """Whether one of the signatures is right and the time within five minutes."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(now - int(timestamp)) > WINDOW_S:
        return False
    key = b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    wanted = "v1," + b64encode(digest).decode()
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(wanted, one) for one in given)
