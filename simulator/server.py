"""The simulator as a whole: routes, start and stop."""

import socket
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.routing import URLSpec
from tornado.web import Application, RequestHandler

from simulator.consent import ConsentHandler
from simulator.control import ACTIONS, ControlHandler
from simulator.endpoints import ENDPOINTS
from simulator.handlers import UnknownPathHandler, WechatHandler
from simulator.oauth import PATHS
from simulator.pages import AvatarHandler, PageHandler
from simulator.sink import SinkHandler
from simulator.state import State

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - where to reach it
MAX_BODY_BYTES = 1024 * 1024


class Simulator(State):
    """WeChat on loopback.

    ``apps`` and ``merchants``: entries as in the settings (default: those of ``defaults``); ``backend_url``:
    where the phone's requests go; ``any_code``: codes not issued here are alice's; ``clock``: Unix seconds;
    ``seed``: makes faults with a ``rate`` repeatable.
    """

    def __init__(
        self,
        apps: Iterable[Mapping[str, Any]] | None = None,
        *,
        backend_url: str | None = None,
        any_code: bool = False,
        clock: Callable[[], float] = time.time,
        seed: int | None = None,
        merchants: Iterable[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(apps, backend_url, any_code, clock, seed, merchants)
        self.url = ""
        self.port = 0
        self._server: HTTPServer | None = None

    def application(self) -> Application:
        """All routes over this state."""
        state = {"state": self}
        wechat = [URLSpec(e.path, WechatHandler, {**state, "endpoint": e}) for e in ENDPOINTS]
        control = [URLSpec(path, ControlHandler, {**state, "actions": a}) for path, a in ACTIONS.items()]
        consent = [URLSpec(path, ConsentHandler, state) for path in PATHS]
        pages = [
            URLSpec(r"/()", PageHandler, state),
            URLSpec(r"/web/(.+)", PageHandler, state),
            URLSpec(r"/sink/([A-Za-z0-9._-]{1,64})", SinkHandler, state),
            URLSpec(r"/avatar/([^/]+)\.svg", AvatarHandler),
        ]
        return Application(
            [*wechat, *control, *consent, *pages],
            default_handler_class=UnknownPathHandler,
            default_handler_args=state,
            log_function=keep_silent,
        )

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free one. OSError when the address cannot be had."""
        sockets = bind_sockets(port, host)
        self._server = HTTPServer(self.application(), max_body_size=MAX_BODY_BYTES)
        self._server.add_sockets(sockets)
        self.port = sockets[0].getsockname()[1]
        shown = ANY_ADDRESS.get(host, host)
        family = sockets[0].family == socket.AF_INET6 and ":" in shown
        self.url = f"http://[{shown}]:{self.port}" if family else f"http://{shown}:{self.port}"
        self.wechat.users.avatar_base = self.url

    async def stop(self) -> None:
        """Stop listening, end what hangs, close every connection. Twice is fine."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()
            self.release()
            await server.close_all_connections()


def keep_silent(_handler: RequestHandler) -> None:
    """No line per request: benchmarks and tests would drown in them."""
