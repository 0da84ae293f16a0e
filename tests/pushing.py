"""Deliveries of WeChat's message push, as the simulator makes them."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from backend import OFFICIAL, OTHER_APPID, Backend
from simulator import DEFAULT_APPS, push
from simulator.apps import App

PUSHED_APPS = [  # a mini-program with a message push too
    {**app, "token": "miniPushToken1", "encodingAesKey": "m" * 43} if app["appid"] == OTHER_APPID else app
    for app in DEFAULT_APPS
]


def app_of(backend: Backend, appid: str = OFFICIAL) -> App:
    """The app as WeChat knows it."""
    app = backend.simulator.wechat.apps.get(appid)
    return replace(app, token="miniPushToken1", aes_key="m" * 43) if appid == OTHER_APPID else app


def openid(backend: Backend, user: str = "alice", appid: str = OFFICIAL) -> str:
    users = backend.simulator.wechat.users
    return users.openid(appid, users.get(user))


def event(backend: Backend, name: str, user: str = "alice", appid: str = OFFICIAL, **fields: Any) -> dict[str, Any]:
    """An event that a user caused."""
    made = {
        "ToUserName": "gh_simulator",
        "FromUserName": openid(backend, user, appid),
        "CreateTime": int(backend.clock.now_ms() // 1000),
        "MsgType": "event",
        "Event": name,
    }
    return {**made, **fields}


def privacy_event(backend: Backend, name: str, user: str = "alice", appid: str = OTHER_APPID, **fields: Any) -> Any:
    """An event of the platform: FromUserName is always the same, the user is in OpenID."""
    about = {"FromUserName": "oPlatform000000000000000000", "OpenID": openid(backend, user, appid), "AppID": appid}
    return {**event(backend, name, user, appid), **about, **fields}


async def deliver(backend: Backend, message: dict[str, Any], appid: str = OFFICIAL, **options: Any) -> list[int]:
    """The statuses; returns when this process has done the work."""
    backend.simulator.backend_url = backend.url
    form = options.pop("form", "xml" if appid == OFFICIAL else "json")
    answers = await push.push(backend.simulator, app_of(backend, appid), message, form=form, **options)
    await settle(backend)
    return [answer["status"] for answer in answers]


async def settle(*backends: Backend) -> None:
    for backend in backends:
        intake = backend.kaimen.push.intake
        assert intake
        await intake.settle()


async def deliver_all(backend: Backend, messages: Iterable[dict[str, Any]], appid: str = OFFICIAL) -> None:
    for message in messages:
        assert await deliver(backend, message, appid) == [200]
