"""The HTTP face of the webhook sinks, and their control."""

import asyncio
import re
from typing import Any

from tornado.web import RequestHandler

from simulator.errors import ControlError
from simulator.sinks import Received, is_signed
from simulator.state import State

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
KINDS: dict[str, Any] = {"secret": str, "status": int, "delayS": int | float, "times": int}


class SinkHandler(RequestHandler):
    """``POST /sink/{name}``."""

    def initialize(self, state: State) -> None:
        """Take what the route table passes."""
        self.state = state
        self.over = asyncio.Event()

    async def post(self, name: str) -> None:
        """Note it, wait if so told, answer."""
        sink = self.state.sinks.get(name)
        headers = {key.lower(): value for key, value in self.request.headers.get_all()}
        status, delay_s = sink.answer()
        verified = is_signed(sink.secret, headers, self.request.body, self.state.clock()) if sink.secret else None
        status = 401 if verified is False else status
        body = self.request.body.decode(errors="replace")
        entry = Received(headers.get("webhook-id", ""), self.state.clock(), headers, body, verified, None)
        sink.received.append(entry)
        if delay_s and await self.state.pause(self.over, delay_s):
            return
        entry.status = status
        self.set_status(status)
        if 300 <= status < 400:
            self.set_header("Location", f"/sink/{name}-elsewhere")
        self.finish()

    def on_connection_close(self) -> None:
        """The sender went away."""
        self.over.set()

    def compute_etag(self) -> None:
        """Nothing here is worth caching."""


def set_up_sink(state: State, args: dict[str, Any]) -> dict[str, Any]:
    """``{name, secret?, status?, delayS?, times?}`` → ``{name, path}``."""
    name = sink_name(args)
    wrong = [key for key, value in args.items() if key != "name" and not isinstance(value, KINDS.get(key, ()))]
    if wrong:
        raise ControlError(f"a sink has no such {', '.join(wrong)}")
    if not 200 <= args.get("status", 204) <= 599:
        raise ControlError("status must be 200 to 599")
    state.sinks.set_up(**args)
    return {"name": name, "path": f"/sink/{name}"}


def show_sink(state: State, args: dict[str, Any]) -> dict[str, Any]:
    """``?name=`` → ``{received}``, the newest last."""
    return {"received": [one.as_json() for one in state.sinks.get(sink_name(args)).received]}


def clear_sinks(state: State, _args: dict[str, Any]) -> dict[str, Any]:
    """All of them are as at the start → ``{cleared}``."""
    return {"cleared": state.sinks.clear()}


def sink_name(args: dict[str, Any]) -> str:
    """The name among the arguments; ControlError."""
    name = args.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ControlError("name must be 1 to 64 letters, digits, '.', '_' or '-'")
    return name
