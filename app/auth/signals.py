"""Word between processes, over one Redis subscription each: sessions that ended, users who changed.

It only makes things faster. Without Redis a revocation arrives with the feed, half a second later, and a page
learns of a change of its user when it asks next.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from app.auth.revocation import Revocations
from app.auth.session_hub import SessionHub
from core.errors import AppError
from models import signals
from models.kv import Kv

PAUSE_S = 0.5
GATHER_S = 0.02  # events written within it are told of once


class Signals:
    """``start`` and ``stop`` run the listening; ``user_updated`` tells all processes."""

    def __init__(self, kv: Kv, revocations: Revocations, hub: SessionHub) -> None:
        self._kv = kv
        self._revocations = revocations
        self._hub = hub
        self._task: asyncio.Task[None] | None = None
        self._telling: set[asyncio.Task[None]] = set()
        self._tells_written = False
        self.on_written: Callable[[], None] = lambda: None
        revocations.on_end = hub.logged_out
        revocations.announce = self._announce

    def start(self) -> None:
        """Listens until stopped, and again whenever Redis comes back."""
        self._task = asyncio.create_task(self._keep_listening())

    async def stop(self) -> None:
        """Ends the listening, and lets what is being told arrive."""
        while self._task and not self._task.done():
            self._task.cancel()  # more than once: drivers lose a cancellation that meets their own timeout
            await asyncio.wait([self._task], timeout=0.1)
        await asyncio.gather(*self._telling)

    def user_updated(self, user_id: str) -> None:
        """The user's open pages should ask again; call it after the commit."""
        self._tell(self._tell_updated(user_id))

    def events_written(self) -> None:
        """The process that relays should look; call it after the commit."""
        if not self._tells_written:
            self._tells_written = True
            self._tell(self._tell_written())

    async def _tell_written(self) -> None:
        await asyncio.sleep(GATHER_S)
        self._tells_written = False
        await signals.publish_written(self._kv)

    def _announce(self, session_ids: list[str], reason: str) -> None:
        self._tell(signals.publish_revoked(self._kv, session_ids, reason))

    async def _tell_updated(self, user_id: str) -> None:
        try:
            await signals.publish_updated(self._kv, user_id)
        except AppError:
            self._hub.user_updated(user_id)  # the pages of this process at least

    def _tell(self, telling: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(_quietly(telling))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _keep_listening(self) -> None:
        while True:
            with contextlib.suppress(AppError):
                await self._listen()
            await asyncio.sleep(PAUSE_S)

    async def _listen(self) -> None:
        async for signal in signals.listen(self._kv):
            if isinstance(signal, signals.Revoked):
                self._revocations.hear(signal.session_ids, signal.reason)
            elif isinstance(signal, signals.Updated):
                self._hub.user_updated(signal.user_id)
            else:
                self.on_written()


async def _quietly(telling: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(AppError):  # the feed will tell
        await telling
