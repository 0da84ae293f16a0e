"""The HTTP face of WeChat's endpoints: log the call, let a fault strike, answer."""

import asyncio
from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler

from simulator import replies
from simulator.calls import LoggedCall
from simulator.endpoints import Call, Endpoint, NoPicture, Picture
from simulator.errors import WechatError
from simulator.faults import Fault
from simulator.state import State
from simulator.wechat import dump_json


class WechatHandler(RequestHandler):
    """One endpoint. Business errors are HTTP 200; only a POST of unknown length gets an HTTP error (412)."""

    def initialize(self, state: State, endpoint: Endpoint) -> None:
        """Take what the route table passes."""
        self.state = state
        self.endpoint = endpoint
        self.over = asyncio.Event()

    async def answer(self) -> None:
        """The one method behind every verb."""
        request, endpoint = self.request, self.endpoint
        call = Call(request.method or "", read_query(request), request.body)
        logged = self.state.calls.start(
            endpoint.api, call.method, request.path, call.query, call.body, self.state.clock()
        )
        if call.method == "POST" and "Content-Length" not in request.headers:
            logged.finish(412, replies.send_html(self, 412))
            return
        fault = self.state.faults.take(endpoint.api)
        if fault is None:
            self.send_reply(logged, call)
        else:
            logged.fault = fault.as_json()
            await self.strike(fault, call, logged)

    get = head = post = put = patch = delete = options = answer

    def send_reply(self, logged: LoggedCall, call: Call) -> None:
        """The honest answer: JSON, a picture, or 404 where there is none."""
        try:
            reply = self.make_reply(call)
        except NoPicture:
            logged.finish(404, replies.send_html(self, 404))
            return
        if isinstance(reply, Picture):
            logged.finish(200, f"{reply.content_type}, {len(reply.data)} bytes")
            self.set_header("Content-Type", reply.content_type)
            self.finish(reply.data)
        else:
            self.send(logged, reply)

    def make_reply(self, call: Call) -> dict[str, Any] | Picture:
        """What WeChat says to this call."""
        try:
            self.endpoint.check(call)
            return self.endpoint.answer(self.state.wechat, call)
        except WechatError as error:
            return replies.error_body(error, self.state.clock())

    def send(self, logged: LoggedCall, body: dict[str, Any], status: int = 200) -> None:
        """Answer and note it."""
        logged.finish(status, body)
        replies.send_json(self, body, self.endpoint.content_type, status)

    async def strike(self, fault: Fault, call: Call, logged: LoggedCall) -> None:
        """Wait if the fault says so, then fail in its way, or answer after all."""
        if fault.delayS and await self.state.pause(self.over, fault.delayS):
            self.give_up(logged)
        elif fault.hang:
            await self.state.pause(self.over, None)
            self.give_up(logged)
        elif fault.reset:
            logged.finish(None, "connection reset")
            replies.drop(self, reset=True)
        elif fault.errcode is not None:
            body = replies.error_body(WechatError(fault.errcode), self.state.clock())
            self.send(logged, body, fault.status or 200)
        else:
            await self.send_broken(fault, call, logged)

    async def send_broken(self, fault: Fault, call: Call, logged: LoggedCall) -> None:
        """The faults that answer something, but not what was asked for."""
        if fault.status or fault.html:
            status = fault.status or 200
            logged.finish(status, replies.send_html(self, status))
        elif fault.truncate:
            reply = self.make_reply(call)
            data = reply.data if isinstance(reply, Picture) else dump_json(reply).encode()
            logged.finish(200, await replies.send_truncated(self, data, self.endpoint.content_type))
        elif fault.huge:
            await replies.send_huge(self)
            logged.finish(200, "50 MB")
        elif fault.gzipBomb:
            replies.send_gzip_bomb(self)
            logged.finish(200, "50 MB, gzipped")
        else:
            self.send_reply(logged, call)

    def give_up(self, logged: LoggedCall) -> None:
        """Close without an answer."""
        logged.finish(None, "no answer")
        replies.drop(self)

    def on_connection_close(self) -> None:
        """The client went away: nothing to wait for any more."""
        self.over.set()

    def compute_etag(self) -> None:
        """WeChat sends none."""


class UnknownPathHandler(RequestHandler):
    """Any other path: WeChat's "invalid url", still with HTTP 200."""

    def initialize(self, state: State) -> None:
        """Take what the route table passes."""
        self.state = state

    def prepare(self) -> None:
        """Answer before the method matters."""
        body = replies.error_body(WechatError(40066), self.state.clock())
        replies.send_json(self, body, "application/json; charset=UTF-8")


def read_query(request: HTTPServerRequest) -> dict[str, str]:
    """The last value of each parameter; bytes that are not UTF-8 are replaced."""
    arguments = request.query_arguments
    return {name: values[-1].decode(errors="replace") for name, values in arguments.items()}
