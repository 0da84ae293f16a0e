"""By how much the event loop is late: what blocks it delays everybody."""

import asyncio

from core.observe import metrics

EVERY_S = 0.25


class LoopLag:
    """``start`` and ``stop``; costs a timer four times a second."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Looks until stopped."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(EVERY_S, self._look, loop, loop.time() + EVERY_S)

    def stop(self) -> None:
        """Looks no more."""
        if self._timer:
            self._timer.cancel()

    def _look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        metrics.LOOP_LAG_S.observe(max(0.0, loop.time() - due))
        self.start()
