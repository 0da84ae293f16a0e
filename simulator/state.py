"""Everything a handler may need, in one object: WeChat, faults, the log, and who is still waiting."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tornado.simple_httpclient import SimpleAsyncHTTPClient

from simulator.apps import parse_merchant
from simulator.calls import Calls
from simulator.defaults import DEFAULT_MERCHANTS
from simulator.endpoints import APIS
from simulator.faults import Faults
from simulator.sinks import Sinks
from simulator.wechat import Wechat


class State:
    """The parts of one simulator; handlers get it, tests may reach into it."""

    def __init__(
        self,
        apps: Iterable[Mapping[str, Any]] | None,
        backend_url: str | None,
        any_code: bool,
        clock: Callable[[], float],
        seed: int | None,
        merchants: Iterable[Mapping[str, Any]] | None = None,
    ) -> None:
        self.clock = clock
        self.backend_url = backend_url
        self.any_code = any_code
        self.wechat = Wechat(apps, clock, any_code)
        self.faults = Faults(APIS, seed)
        self.calls = Calls()
        self.tokens: dict[tuple[str, str], str] = {}  # the backend's, by (appid, user)
        self.sinks = Sinks()
        self.merchants = [parse_merchant(one) for one in (DEFAULT_MERCHANTS if merchants is None else merchants)]
        self._waiting: set[asyncio.Event] = set()
        self._client: SimpleAsyncHTTPClient | None = None

    async def pause(self, over: asyncio.Event, seconds: float | None) -> bool:
        """Wait that long (None: for ever); True if ``over`` or the simulator's stop came first."""
        self._waiting.add(over)
        try:
            async with asyncio.timeout(seconds):
                return await over.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(over)

    def client(self) -> SimpleAsyncHTTPClient:
        """The phone's HTTP client; ten requests at a time, as ``wx.request`` has it."""
        if self._client is None:
            self._client = SimpleAsyncHTTPClient(force_instance=True, max_clients=10)
        return self._client

    def release(self) -> None:
        """End every pause and close the phone's client."""
        for over in self._waiting:
            over.set()
        if self._client is not None:
            self._client.close()
            self._client = None
