"""The WeChat apps: does WeChat give their access_token and know their page, and do their users have a unionid."""

from app.doctor.findings import FAIL, OK, WARN, Finding
from app.wechat.access_token import AccessTokens
from app.wechat.client import WeChatClient
from core.clock import Clock, Deadline
from core.errors import AppError
from core.settings import App, Settings
from models import inspection
from models.db import Database

BUDGET_S = 10.0
SCENE = "doctor"


async def examine_tokens(settings: Settings, access_tokens: AccessTokens, clock: Clock) -> list[Finding]:
    """The token comes the way it does when serving, so nobody's token ends."""
    return [await _token(app, access_tokens, clock) for app in settings.apps if app.kind != "website"]


async def examine_pages(
    settings: Settings, wechat: WeChatClient, access_tokens: AccessTokens, clock: Clock
) -> list[Finding]:
    """Whether WeChat draws the code that opens the page which confirms a QR login."""
    apps = [app for app in settings.apps if app.kind == "miniprogram" and app.page]
    return [await _page(app, wechat, access_tokens, clock) for app in apps]


async def examine_unionids(settings: Settings, database: Database) -> list[Finding]:
    """Whether users of the apps are known across apps; raises 5001."""
    counts = await inspection.count_unionids(database)
    return [_unionids(app, *counts[app.appid]) for app in settings.apps if app.appid in counts]


async def _token(app: App, access_tokens: AccessTokens, clock: Clock) -> Finding:
    """The cause names WeChat's errcode and what to do: secret, whitelist (with our address), frozen, quota."""
    try:
        await access_tokens.get(app, Deadline.after(clock, BUDGET_S))
    except AppError as error:
        return Finding(f"app {app.appid}", FAIL, "WeChat gives no access_token", error.cause)
    return Finding(f"app {app.appid}", OK, "WeChat gives an access_token: secret and whitelist are right")


async def _page(app: App, wechat: WeChatClient, access_tokens: AccessTokens, clock: Clock) -> Finding:
    deadline = Deadline.after(clock, BUDGET_S)
    try:
        await access_tokens.call(
            app,
            deadline,
            lambda token: wechat.get_wxacode(app, token, SCENE, app.page, app.env_version, deadline),
        )
    except AppError as error:
        return Finding(f"app {app.appid}", FAIL, f"WeChat draws no code for {app.page}", error.cause)
    if app.env_version != "release":
        found = f"the code for {app.page} opens the {app.env_version} version, which only its developers have"
        return Finding(f"app {app.appid}", WARN, found, "envVersion release, or none, in KAIMEN_APPS")
    return Finding(f"app {app.appid}", OK, f"WeChat draws the code for {app.page}")


def _unionids(app: App, count: int, known: int) -> Finding:
    if known:
        return Finding(f"app {app.appid}", OK, f"{known} of {count} users have a unionid")
    found = f"none of {count} users has a unionid: the same person in another app is another user"
    return Finding(f"app {app.appid}", WARN, found, "bind the app to an Open Platform account, if there are others")
