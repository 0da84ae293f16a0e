"""The log of calls WeChat got: the last 200, and how many there were of each API."""

import json
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

KEPT = 200


@dataclass(slots=True)
class LoggedCall:
    """One call, secrets as received. ``status``, ``reply`` and ``durationMs`` are None until answered.

    ``at`` is in seconds of the simulator's clock; a reply that was not JSON is shown as text.
    """

    id: int
    api: str
    method: str
    path: str
    query: dict[str, str]
    body: Any
    at: float
    status: int | None = None
    reply: Any = None
    durationMs: float | None = None  # noqa: N815 - as on the wire
    fault: dict[str, Any] | None = None
    started: float = 0.0

    def finish(self, status: int | None, reply: Any) -> None:
        """Note the answer; status None where the connection ended without one."""
        self.status, self.reply = status, reply
        self.durationMs = round((time.perf_counter() - self.started) * 1000, 2)


class Calls:
    """A ring of the newest calls."""

    def __init__(self) -> None:
        self._ring: deque[LoggedCall] = deque(maxlen=KEPT)
        self._counts: Counter[str] = Counter()

    def start(self, api: str, method: str, path: str, query: dict[str, str], body: bytes, at: float) -> LoggedCall:
        """Note a call as it arrives, before it is answered."""
        self._counts[api] += 1
        number = self._counts.total()
        call = LoggedCall(number, api, method, path, query, readable(body), at)
        call.started = time.perf_counter()
        self._ring.append(call)
        return call

    def count(self, api: str | None = None) -> int:
        """How many calls there were, of one API or of all."""
        return self._counts.total() if api is None else self._counts[api]

    def last(self, api: str | None = None, limit: int = KEPT) -> list[dict[str, Any]]:
        """The newest calls, newest last."""
        found = [call for call in self._ring if api in (None, call.api)]
        return [shown(call) for call in found[-limit:]] if limit else []


def shown(call: LoggedCall) -> dict[str, Any]:
    """The call as ``GET /sim/calls`` gives it."""
    fields = asdict(call)
    del fields["started"]
    return fields


def readable(body: bytes) -> Any:
    """JSON as a value, other bytes as text, nothing as None."""
    if not body:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")
