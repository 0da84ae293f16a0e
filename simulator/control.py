"""The control API: what drives the simulator. Plain JSON; mistakes are HTTP 400 ``{"error": …}``."""

import inspect
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from tornado.web import RequestHandler

from simulator import oauth, pay, phone, push, scanning, sink
from simulator.calls import KEPT
from simulator.endpoints import APIS
from simulator.errors import ControlError
from simulator.handlers import read_query
from simulator.state import State
from simulator.users import User
from simulator.wechat import dump_json

ATTEMPTS_MAX = 3
REPEAT_MAX = 20
Args = dict[str, Any]
Action = Callable[[State, Args], dict[str, Any] | Awaitable[dict[str, Any]]]


def save_user(state: State, args: Args) -> dict[str, Any]:
    """``{name, nickname?, avatarUrl?, phone?, unionid?, blocked?, snapshot?}`` → ``{name, openids, unionid}``."""
    users = state.wechat.users
    user = users.save(args)
    return {"name": user.name, "openids": users.openids(user), "unionid": user.unionid}


def login(state: State, args: Args) -> dict[str, Any]:
    """``{appid, user}`` → ``{code}`` of ``wx.login``."""
    return {"code": state.wechat.login(text(args, "appid"), text(args, "user"))}


def open_data(state: State, args: Args) -> dict[str, Any]:
    """``{appid, user, kind, keyVersion?, watermarkAppid?}`` → ``{encryptedData, iv, rawData, signature}``."""
    version = text(args, "keyVersion") if "keyVersion" in args else "current"
    watermark = text(args, "watermarkAppid") if "watermarkAppid" in args else None
    appid, user, kind = text(args, "appid"), text(args, "user"), text(args, "kind")
    return {**state.wechat.open_data(appid, user, kind, version, watermark)}


def phone_code(state: State, args: Args) -> dict[str, Any]:
    """``{appid, user}`` → ``{code}`` for getuserphonenumber."""
    return {"code": state.wechat.phone_code(text(args, "appid"), text(args, "user"))}


def authorize(state: State, args: Args) -> dict[str, Any]:
    """``{url, user, allow?}`` → ``{location}``: the user's answer on the consent page of that URL."""
    wechat = state.wechat
    asked = oauth.read_url(text(args, "url"), wechat.apps.find)
    allow = args.get("allow", True)
    if not isinstance(allow, bool):
        raise ControlError("allow must be true or false")
    return {"location": wechat.oauth.answer(asked, wechat.users.get(text(args, "user")), allow)}


async def push_message(state: State, args: Args) -> dict[str, Any]:
    """``{appid, message | messages, mode?, format?, tamper?, repeat?, attempts?, shuffle?}`` → ``{answers: [{status,
    body, reply}]}``; several messages are delivered in this order, or shuffled.
    """
    mode, form, messages = args.get("mode", "safe"), args.get("format", "xml"), args.get("messages")
    messages = [args.get("message")] if messages is None else messages
    if mode not in push.MODES or form not in push.FORMS:
        raise ControlError(f"mode: {', '.join(push.MODES)}; format: {', '.join(push.FORMS)}")
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise ControlError("message must be an object, messages a list of them")
    repeat, attempts = up_to(args, "repeat", REPEAT_MAX), up_to(args, "attempts", ATTEMPTS_MAX)
    app, tamper = state.wechat.apps.get(text(args, "appid")), bool(args.get("tamper", False))
    if args.get("shuffle"):
        random.shuffle(messages)
    answers = [await push.push(state, app, one, mode, tamper, repeat, form, attempts) for one in messages]
    return {"answers": [answer for each in answers for answer in each]}


def add_fault(state: State, args: Args) -> dict[str, Any]:
    """The fault as ``faults.Fault`` names it → the same with its ``id``."""
    return state.faults.add(args).as_json()


def clear_faults(state: State, args: Args) -> dict[str, Any]:
    """All faults off, or the one of ``?id=`` → ``{cleared}``."""
    return {"cleared": state.faults.clear(number(args, "id") if "id" in args else None)}


def get_calls(state: State, args: Args) -> dict[str, Any]:
    """``?api=&limit=`` → ``{count, last}``."""
    api, limit = args.get("api"), number(args, "limit") if "limit" in args else KEPT
    return {"count": state.calls.count(api), "last": state.calls.last(api, limit)}


def get_state(state: State, _args: Args) -> dict[str, Any]:
    """Users, apps (without secrets), faults and the backend's URL, for the page."""
    return {
        "users": [show_user(state, user) for user in state.wechat.users],
        "apps": [{"appid": app.appid, "kind": app.kind} for app in state.wechat.apps],
        "faults": state.faults.as_json(),
        "apis": APIS,
        "backendUrl": state.backend_url,
        "anyCode": state.any_code,
        "now": state.clock(),
    }


def show_user(state: State, user: User) -> dict[str, Any]:
    """One user as ``/sim/state`` lists them."""
    users = state.wechat.users
    return {
        "name": user.name,
        "nickname": user.nickname,
        "avatarUrl": users.avatar_url(user),
        "phone": user.phone,
        "unionid": user.unionid,
        "blocked": user.blocked,
        "snapshot": user.snapshot,
        "openids": users.openids(user),
    }


ACTIONS: dict[str, dict[str, Action]] = {
    "/sim/users": {"POST": save_user},
    "/sim/login": {"POST": login},
    "/sim/open-data": {"POST": open_data},
    "/sim/phone-code": {"POST": phone_code},
    "/sim/authorize": {"POST": authorize},
    "/sim/faults": {"POST": add_fault, "DELETE": clear_faults},
    "/sim/calls": {"GET": get_calls},
    "/sim/state": {"GET": get_state},
    "/sim/request": {"POST": phone.send},
    "/sim/scan": {"POST": scanning.scan},
    "/sim/tap": {"POST": scanning.tap},
    "/sim/push": {"POST": push_message},
    "/sim/pay-notify": {"POST": pay.notify},
    "/sim/merchants": {"GET": pay.show_merchants},
    "/sim/sinks": {"POST": sink.set_up_sink, "GET": sink.show_sink, "DELETE": sink.clear_sinks},
}


class ControlHandler(RequestHandler):
    """One path of the control API; ``actions`` by method."""

    def initialize(self, state: State, actions: dict[str, Action]) -> None:
        """Take what the route table passes."""
        self.state = state
        self.actions = actions

    async def act(self) -> None:
        """The one method behind every verb."""
        try:
            self.reply(200, await self.run())
        except ControlError as error:
            self.reply(error.status, {"error": str(error)})

    get = head = post = put = patch = delete = options = act

    async def run(self) -> dict[str, Any]:
        """Find the action, read its arguments, call it."""
        self.refuse_other_sites()
        if self.request.method == "OPTIONS" and "Access-Control-Request-Method" in self.request.headers:
            return {}
        action = self.actions.get(self.request.method or "")
        if action is None:
            raise ControlError(f"use {' or '.join(self.actions)} here", 405)
        args = parse_object(self.request.body) if self.request.method == "POST" else read_query(self.request)
        result = action(self.state, args)
        return await result if inspect.isawaitable(result) else result

    def refuse_other_sites(self) -> None:
        """A page of some other site, open in the same browser, must not play with us: 403. The backend's own may."""
        origin = self.request.headers.get("Origin")
        if origin is None or urlsplit(origin).netloc == self.request.host:
            return
        if urlsplit(origin).netloc != urlsplit(self.state.backend_url or "").netloc:
            raise ControlError(f"not for pages of {origin}", 403)
        self.set_header("Access-Control-Allow-Origin", origin)
        self.set_header("Access-Control-Allow-Headers", "Content-Type")
        self.set_header("Access-Control-Allow-Methods", ", ".join(self.actions))
        self.set_header("Vary", "Origin")

    def reply(self, status: int, body: dict[str, Any]) -> None:
        """Plain JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.finish(dump_json(body))

    def compute_etag(self) -> None:
        """Nothing here is worth caching."""


def parse_object(body: bytes) -> Args:
    """The JSON object of a POST."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise ControlError("the body is not JSON") from None
    if not isinstance(value, dict):
        raise ControlError("the body must be a JSON object")
    return value


def text(args: Args, name: str) -> str:
    """A required string."""
    value = args.get(name)
    if not isinstance(value, str):
        raise ControlError(f"{name} must be a string")
    return value


def up_to(args: Args, name: str, most: int) -> int:
    """A whole number of a body, 1 unless given."""
    value = args.get(name, 1)
    if type(value) is not int or not 1 <= value <= most:
        raise ControlError(f"{name} must be a whole number from 1 to {most}")
    return value


def number(args: Args, name: str) -> int:
    """A whole number of a query string."""
    value = str(args[name])
    if not value.isdecimal() or len(value) > 9:
        raise ControlError(f"{name} must be a whole number")
    return int(value)
