"""The control API: what drives the simulator. Plain JSON; mistakes are HTTP 400 ``{"error": …}``."""

import inspect
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from tornado.web import RequestHandler

from simulator import phone
from simulator.calls import KEPT
from simulator.endpoints import APIS
from simulator.errors import ControlError
from simulator.handlers import read_query
from simulator.state import State
from simulator.users import User
from simulator.wechat import dump_json

Args = dict[str, Any]
Action = Callable[[State, Args], dict[str, Any] | Awaitable[dict[str, Any]]]


def save_user(state: State, args: Args) -> dict[str, Any]:
    """``{name, nickname?, avatarUrl?, phone?, unionid?, blocked?}`` → ``{name, openids, unionid}``."""
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
        "openids": users.openids(user),
    }


ACTIONS: dict[str, dict[str, Action]] = {
    "/sim/users": {"POST": save_user},
    "/sim/login": {"POST": login},
    "/sim/open-data": {"POST": open_data},
    "/sim/phone-code": {"POST": phone_code},
    "/sim/faults": {"POST": add_fault, "DELETE": clear_faults},
    "/sim/calls": {"GET": get_calls},
    "/sim/state": {"GET": get_state},
    "/sim/request": {"POST": phone.send},
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
        action = self.actions.get(self.request.method or "")
        if action is None:
            raise ControlError(f"use {' or '.join(self.actions)} here", 405)
        args = parse_object(self.request.body) if self.request.method == "POST" else read_query(self.request)
        result = action(self.state, args)
        return await result if inspect.isawaitable(result) else result

    def refuse_other_sites(self) -> None:
        """A page of some other site, open in the same browser, must not play with us: 403."""
        origin = self.request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != self.request.host:
            raise ControlError(f"not for pages of {origin}", 403)

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


def number(args: Args, name: str) -> int:
    """A whole number of a query string."""
    value = str(args[name])
    if not value.isdecimal() or len(value) > 9:
        raise ControlError(f"{name} must be a whole number")
    return int(value)
