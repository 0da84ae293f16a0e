"""A user's own tokens at WeChat: sealed at rest, refreshed when they are needed, gone with the identity."""

from typing import Any

import pytest

from app.crypto.sealing import CannotUnseal
from app.oauth.user_tokens import UserTokens, tokens_context
from backend import OFFICIAL, WEBSITE, Backend
from browser import Browser
from core.clock import Deadline
from core.settings import App

SECRETS = ("access_token", "refresh_token")


def user_tokens(backend: Backend) -> UserTokens:
    found: UserTokens = backend.kaimen.oauth._user_tokens
    return found


def app_of(backend: Backend, appid: str = WEBSITE) -> App:
    app = backend.kaimen.settings.app(appid)
    assert app
    return app


def openid_of(backend: Backend, user: str = "alice", appid: str = WEBSITE) -> str:
    users = backend.simulator.wechat.users
    return users.openid(appid, users.get(user))


async def find(backend: Backend) -> str | None:
    deadline = Deadline.after(backend.kaimen.clock, 3)
    return await user_tokens(backend).find(app_of(backend), openid_of(backend), deadline)


async def stored(backend: Backend) -> list[Any]:
    rows = await backend.kaimen.privacy._database.fetch("SELECT oauth_tokens FROM identities")
    return [row[0].decode() if isinstance(row[0], bytes) else row[0] for row in rows]


def last_reply(backend: Backend, api: str = "access_token") -> dict[str, Any]:
    reply: dict[str, Any] = backend.simulator.calls.last(api)[-1]["reply"]
    return reply


async def test_tokens_are_sealed_for_their_place_alone(backend: Backend) -> None:
    await Browser(backend).sign_in("alice", WEBSITE)
    (sealed,) = await stored(backend)
    assert not any(last_reply(backend)[name] in sealed for name in SECRETS)
    sealer = user_tokens(backend)._sealer
    opened = sealer.unseal(sealed, tokens_context(WEBSITE, openid_of(backend)))
    assert all(last_reply(backend)[name] in opened for name in SECRETS)
    with pytest.raises(CannotUnseal):
        sealer.unseal(sealed, tokens_context(WEBSITE, openid_of(backend, "bob")))


async def test_the_token_of_a_silent_login_is_not_kept_and_takes_no_other_away(backend: Backend) -> None:
    browser = Browser(backend)
    await browser.sign_in("alice", OFFICIAL)
    assert await stored(backend) == [None]
    await browser.sign_in("alice", OFFICIAL, scope="userinfo")
    (kept,) = await stored(backend)
    await browser.sign_in("alice", OFFICIAL)
    assert await stored(backend) == [kept]


async def test_a_token_that_works_is_used_as_it_is(backend: Backend) -> None:
    await Browser(backend).sign_in("alice", WEBSITE)
    assert await find(backend) == last_reply(backend)["access_token"]
    assert backend.count_calls("auth") == 1
    assert backend.count_calls("refresh_token") == 0


async def test_an_old_token_is_refreshed_and_stored(backend: Backend) -> None:
    await Browser(backend).sign_in("alice", WEBSITE)
    before = await stored(backend)
    backend.clock.advance(7200)
    token = await find(backend)
    assert token == last_reply(backend, "refresh_token")["access_token"]
    assert await stored(backend) != before
    assert await find(backend) == token
    assert backend.count_calls("refresh_token") == 1


@pytest.mark.parametrize("errcode", [40001, 40003, 40014, 42001])
async def test_a_token_that_wechat_no_longer_takes_is_refreshed(backend: Backend, errcode: int) -> None:
    await Browser(backend).sign_in("alice", WEBSITE)
    backend.simulator.faults.add({"api": "auth", "errcode": errcode, "times": 1})
    assert await find(backend)
    assert backend.count_calls("refresh_token") == 1


@pytest.mark.parametrize("errcode", [40030, 42002, 42007])
async def test_tokens_that_cannot_be_refreshed_are_forgotten(backend: Backend, errcode: int) -> None:
    await Browser(backend).sign_in("alice", WEBSITE)
    backend.clock.advance(7200)
    backend.simulator.faults.add({"api": "refresh_token", "errcode": errcode})
    assert await find(backend) is None
    assert await stored(backend) == [None]


async def test_tokens_outlive_an_outage_of_wechat(backend: Backend) -> None:
    from core.errors import AppError

    await Browser(backend).sign_in("alice", WEBSITE)
    backend.clock.advance(7200)
    backend.simulator.faults.add({"api": "refresh_token", "status": 500, "times": 2})
    with pytest.raises(AppError):
        await find(backend)
    assert await stored(backend) != [None]
    assert await find(backend)


async def test_tokens_leave_with_the_user_and_are_in_no_export(backend: Backend) -> None:
    browser = Browser(backend)
    await browser.sign_in("alice", WEBSITE)
    reply = await browser.open("/api/user/export")
    assert not any(last_reply(backend)[name] in reply.text for name in SECRETS)
    assert "oauth" not in reply.text.lower()
    headers = {"Cookie": browser.cookie_header(), "Origin": "http://kaimen.test"}
    headers["X_XSRFToken"] = browser.cookies["kaimen-xsrf"]
    assert (await backend.call("DELETE", "/api/user", None, **headers)).status == 200
    assert await stored(backend) == []
