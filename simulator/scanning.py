"""The phone's camera: what WeChat does with a code, and a whole QR login with one call for each tap."""

import html
import re
from typing import Any
from urllib.parse import quote

from simulator import phone
from simulator.apps import App
from simulator.errors import ControlError
from simulator.push import push
from simulator.qr import QR_URL, Ticket
from simulator.state import State
from simulator.users import User

LINK = re.compile(r'<a href="([^"]+)"')
TAPS = ("scan", "confirm", "cancel")
SCAN_ID = re.compile(r"[A-Za-z0-9_-]{22}")


async def scan(state: State, args: dict[str, Any]) -> dict[str, Any]:
    """``{user, content}``, or ``{appid, user, ticket | scene}`` → what WeChat opens.

    A mini-program code: ``{appid, page, query}``, the scene percent-encoded as pages get it. An official account's:
    ``{event, answers, opens}``, the link of the reply. Any other text: ``{opens}``.
    """
    user, content = state.wechat.users.get(str(args.get("user"))), str(args.get("content") or args.get("ticket") or "")
    if content and not args.get("ticket") and not content.startswith(QR_URL):
        return {"opens": content}
    ticket = state.wechat.qr.find_ticket(content) if content else None
    if content and ticket is None:
        raise ControlError("no such ticket, or its time is over")
    if ticket is None:
        return await scan_scene(state, user, str(args.get("appid")), str(args.get("scene")))
    return await scan_ticket(state, user, ticket)


async def scan_scene(state: State, user: User, appid: str, scene: str) -> dict[str, Any]:
    """By the scene alone: the newest code of it, of either kind."""
    app = state.wechat.apps.get(appid)
    if app.kind == "official":
        ticket = state.wechat.qr.newest_ticket(appid, scene)
        if ticket is None or state.wechat.qr.find_ticket(ticket.value) is None:
            raise ControlError("no code of that scene, or its time is over")
        return await scan_ticket(state, user, ticket)
    code = state.wechat.qr.miniprogram.get(scene)
    if code is None or code.appid != appid:
        raise ControlError("no code of that scene")
    return {"appid": appid, "page": code.page, "query": {"scene": quote(scene, safe="")}}


async def scan_ticket(state: State, user: User, ticket: Ticket) -> dict[str, Any]:
    """SCAN of a follower; subscribe, with the scene behind ``qrscene_``, of who follows with it."""
    app = state.wechat.apps.get(ticket.appid)
    message = event_of(state, app, user, ticket)
    answers = await push(state, app, message)
    link = LINK.search(html.unescape(answers[-1]["reply"]))
    return {"event": message["Event"], "answers": answers, "opens": link[1] if link else None}


def event_of(state: State, app: App, user: User, ticket: Ticket) -> dict[str, Any]:
    """The event; who scans it for the first time follows from now on."""
    following, pair = state.wechat.qr.following, (app.appid, user.name)
    event, key = ("SCAN", ticket.scene) if pair in following else ("subscribe", f"qrscene_{ticket.scene}")
    following.add(pair)
    return {
        "ToUserName": "gh_simulator",
        "FromUserName": state.wechat.users.openid(app.appid, user),
        "CreateTime": int(state.clock()),
        "MsgType": "event",
        "Event": event,
        "EventKey": key,
        "Ticket": ticket.value,
    }


async def tap(state: State, args: dict[str, Any]) -> dict[str, Any]:
    """``{user, appid, scanId, tap: scan | confirm | cancel, matchCode?}`` → the backend's ``{status, headers, body}``.

    The phone logs in to the backend with the mini-program when it has to.
    """
    kind, scan_id = args.get("tap"), args.get("scanId")
    if kind not in TAPS or not isinstance(scan_id, str) or not SCAN_ID.fullmatch(scan_id):
        raise ControlError(f"tap: {', '.join(TAPS)}; scanId as the backend gave it")
    first = state.wechat.apps.first_miniprogram()
    who = {"user": str(args.get("user")), "appid": str(args.get("appid") or (first.appid if first else ""))}
    body = {"matchCode": args["matchCode"]} if "matchCode" in args else {}
    request = {**who, "method": "POST", "path": f"/api/scan/{scan_id}/{kind}", "body": body}
    for is_last in (False, True):
        token = await logged_in(state, who, anew=is_last)
        reply = await phone.send(state, {**request, "headers": {"Authorization": f"Bearer {token}"}})
        if reply["status"] != 401 or is_last:
            break
    return reply


async def logged_in(state: State, who: dict[str, str], *, anew: bool) -> str:
    """An access token of that user at the backend."""
    key = (who["appid"], who["user"])
    if anew or key not in state.tokens:
        code = state.wechat.login(who["appid"], who["user"])
        body = {"action": "login", "appid": who["appid"], "code": code}
        reply = await phone.send(state, {**who, "method": "POST", "path": "/api/auth", "body": body})
        if reply["status"] != 200:
            raise ControlError(f"the backend refuses the login: {reply['body']}", 502)
        state.tokens[key] = reply["body"]["data"]["accessToken"]
    return state.tokens[key]
