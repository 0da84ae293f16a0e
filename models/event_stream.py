"""The Redis Stream ``kaimen:events``: what happened, for other services to follow."""

from collections.abc import Sequence

from models.kv import Kv

STREAM = "kaimen:events"


async def append_events(kv: Kv, events: Sequence[tuple[str, int, str, str, str, str]], kept: int) -> None:
    """Appends (id, seq, type, occurredAt, subject, data) in this order and keeps about ``kept`` entries.

    Raises 5002; then they may have been appended all the same.
    """
    values = [value for event in events for value in event]
    await kv.script("append_events", [STREAM], [kept, *values])
