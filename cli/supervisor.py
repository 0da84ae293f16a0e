"""What systemd is told (sd_notify(3)): ready, reloading, stopping, and that the event loop still turns.

A datagram of lines to the socket that ``NOTIFY_SOCKET`` names; nothing where there is none.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from core.clock import Clock
from core.tasks import end_task


class Supervisor:
    """``tell(READY="1")``; never fails what it tells of."""

    def __init__(self, address: str | None = None, watchdog_usec: str | None = None) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "") if address is None else address
        self._address = "\0" + address[1:] if address.startswith("@") else address
        given = os.environ.get("WATCHDOG_USEC", "") if watchdog_usec is None else watchdog_usec
        self._period_s = int(given) / 2_000_000 if given.isdigit() else 0.0

    def tell(self, **state: str) -> None:
        """Sends ``NAME=value`` lines."""
        if not self._address:
            return
        lines = "\n".join(f"{name}={value}" for name, value in state.items())
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(lines.encode(), self._address)

    def reloading(self, clock: Clock) -> None:
        """``READY`` must follow."""
        self.tell(RELOADING="1", MONOTONIC_USEC=str(int(clock.monotonic() * 1_000_000)))

    @asynccontextmanager
    async def watching(self, status: str) -> AsyncIterator[None]:
        """Ready and alive within the block, stopping after it."""
        self.tell(READY="1", STATUS=status)
        alive = asyncio.create_task(self._keep_telling()) if self._period_s else None
        try:
            yield
        finally:
            self.tell(STOPPING="1", STATUS="finishing what is under way")
            await end_task(alive)

    async def _keep_telling(self) -> None:
        while True:
            self.tell(WATCHDOG="1")
            await asyncio.sleep(self._period_s)
