"""Consent pages as strict as WeChat's, and the tokens behind their codes."""

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from simulator_client import APPID, OFFICIAL, Client, HandClock

from simulator import DEFAULT_APPS

WEBSITE = DEFAULT_APPS[3]
BACK = "https://www.example/oauth/back?a=1"


def url_of(path: str = "/connect/oauth2/authorize", fragment: str = "#wechat_redirect", **changes: str | None) -> str:
    """A consent page's URL; ``None`` leaves a parameter out."""
    given: dict[str, str | None] = {
        "appid": OFFICIAL["appid"],
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": "snsapi_userinfo",
        "state": "abc123",
    }
    pairs = [(name, value) for name, value in {**given, **changes}.items() if value is not None]
    return f"https://open.weixin.qq.com{path}?{urlencode(pairs, quote_via=quote, safe='')}{fragment}"


def website_url(**changes: str | None) -> str:
    asked: dict[str, str | None] = {"appid": WEBSITE["appid"], "scope": "snsapi_login", **changes}
    return url_of("/connect/qrconnect", **asked)


async def agree(wx: Client, url: str, user: str = "alice", **fields: Any) -> Any:
    return await wx.post("/sim/authorize", {"url": url, "user": user, **fields})


async def code_of(wx: Client, url: str, user: str = "alice") -> str:
    location = (await agree(wx, url, user))["location"]
    return dict(parse_qsl(urlsplit(location).query))["code"]


async def exchange(wx: Client, code: str, app: dict[str, Any] = OFFICIAL) -> Any:
    query = {"appid": app["appid"], "secret": app["secret"], "code": code, "grant_type": "authorization_code"}
    return await wx.get("/sns/oauth2/access_token", **query)


async def tokens(wx: Client, url: str | None = None, user: str = "alice", app: dict[str, Any] = OFFICIAL) -> Any:
    return await exchange(wx, await code_of(wx, url or url_of(), user), app)


async def test_the_answer_carries_code_and_state_behind_what_the_address_had(wx: Client) -> None:
    location = (await agree(wx, url_of()))["location"]
    assert location.startswith(f"{BACK}&code=")
    assert location.endswith("&state=abc123")
    refused = (await agree(wx, url_of(), allow=False))["location"]
    assert refused == f"{BACK}&state=abc123"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (url_of(fragment=""), "#wechat_redirect"),
        (url_of(path="/connect/elsewhere"), "not a consent page"),
        (url_of(appid=None), "10012"),
        (url_of(appid="wx0000000000000fff"), "10012"),
        (url_of(appid=APPID), "10016"),
        (url_of(appid=WEBSITE["appid"]), "10016"),
        (website_url(appid=OFFICIAL["appid"]), "10016"),
        (url_of(redirect_uri=None), "10011"),
        (url_of(redirect_uri="ftp://www.example/"), "10003"),
        (url_of(redirect_uri="not a url"), "10003"),
        (url_of(response_type="token"), "10005"),
        (url_of(scope=None), "10010"),
        (url_of(scope="snsapi_login"), "10005"),
        (website_url(scope="snsapi_base"), "10005"),
        (url_of(state=None), "10013"),
        (url_of(state="a-b"), "10013"),
        (url_of(state="a" * 129), "10013"),
        (url_of().replace("appid=", "APPID="), "10012"),
        (url_of(extra="1"), "in this order"),
    ],
)
async def test_what_wechat_would_not_open_is_refused(wx: Client, url: str, words: str) -> None:
    assert words in (await agree(wx, url))["error"]


async def test_the_order_of_the_parameters_counts(wx: Client) -> None:
    parts = urlsplit(url_of())
    reordered = "&".join(reversed(parts.query.split("&")))
    assert "in this order" in (await agree(wx, parts._replace(query=reordered).geturl()))["error"]


async def test_an_address_that_is_not_encoded_as_a_whole_is_refused(wx: Client) -> None:
    half = url_of().replace(quote("https://www.example/oauth/back", safe=""), "https://www.example/oauth/back")
    assert "10003" in (await agree(wx, half))["error"]


@pytest.mark.parametrize(
    ("host", "is_taken"),
    [("www.example", True), ("example", False), ("m.www.example", False), ("www.example.evil", False)],
)
async def test_a_named_domain_is_compared_exactly(wx: Client, host: str, is_taken: bool) -> None:
    apps = wx.sim.wechat.apps
    apps._apps[OFFICIAL["appid"]] = replace(apps.get(OFFICIAL["appid"]), domain="www.example")
    reply = await agree(wx, url_of(redirect_uri=f"https://{host}/back"))
    assert ("location" in reply) == is_taken


async def test_a_code_works_once_for_its_app_and_for_five_minutes(wx: Client, clock: HandClock) -> None:
    code = await code_of(wx, url_of())
    assert (await exchange(wx, code, WEBSITE))["errcode"] == 40029
    assert "openid" in await exchange(wx, code)
    assert (await exchange(wx, code))["errcode"] == 40163
    late = await code_of(wx, url_of())
    clock.now += 301
    assert (await exchange(wx, late))["errcode"] == 40029


async def test_a_code_of_a_website_lives_ten_minutes(wx: Client, clock: HandClock) -> None:
    code = await code_of(wx, website_url())
    clock.now += 599
    assert "openid" in await exchange(wx, code, WEBSITE)


@pytest.mark.parametrize(
    ("url", "app", "tells"),
    [(url_of(scope="snsapi_base"), OFFICIAL, False), (url_of(), OFFICIAL, True), (website_url(), WEBSITE, True)],
)
async def test_the_unionid_is_told_only_where_more_than_the_openid_was_agreed_to(
    wx: Client, url: str, app: dict[str, Any], tells: bool
) -> None:
    found = await tokens(wx, url, app=app)
    assert ("unionid" in found) == tells
    assert found["openid"] == wx.sim.wechat.users.openid(app["appid"], wx.sim.wechat.users.get("alice"))
    assert (found["expires_in"], "is_snapshotuser" in found) == (7200, False)


async def test_a_snapshot_page_tells_of_somebody_who_does_not_exist(wx: Client) -> None:
    await wx.post("/sim/users", {"name": "alice", "snapshot": True})
    one, two = await tokens(wx), await tokens(wx)
    assert (one["is_snapshotuser"], two["is_snapshotuser"]) == (1, 1)
    assert one["openid"] != two["openid"]
    assert "unionid" not in one
    assert "is_snapshotuser" not in await tokens(wx, url_of(scope="snsapi_base"))


async def test_the_profile_needs_a_token_that_opens_it(wx: Client) -> None:
    silent, full = await tokens(wx, url_of(scope="snsapi_base")), await tokens(wx)
    query = {name: silent[name] for name in ("access_token", "openid")}
    assert (await wx.get("/sns/userinfo", **query))["errcode"] == 48001
    query = {name: full[name] for name in ("access_token", "openid")}
    info = await wx.get("/sns/userinfo", lang="zh_CN", **query)
    assert (info["nickname"], info["sex"], info["city"], info["privilege"]) == ("爱丽丝", 0, "", [])
    assert info["unionid"] == full["unionid"]
    assert (await wx.get("/sns/userinfo", **{**query, "openid": "oOther"}))["errcode"] == 40003
    assert (await wx.get("/sns/userinfo", access_token="x", openid=query["openid"]))["errcode"] == 40001


async def test_a_token_lives_two_hours_and_is_refreshed_for_thirty_days(wx: Client, clock: HandClock) -> None:
    found = await tokens(wx)
    query = {name: found[name] for name in ("access_token", "openid")}
    refresh = {
        "appid": OFFICIAL["appid"],
        "grant_type": "refresh_token",
        "refresh_token": found["refresh_token"],
    }
    assert (await wx.get("/sns/auth", **query))["errcode"] == 0
    assert (await wx.get("/sns/oauth2/refresh_token", **refresh))["access_token"] == found["access_token"]
    clock.now += 7200
    assert (await wx.get("/sns/auth", **query))["errcode"] == 42001
    renewed = await wx.get("/sns/oauth2/refresh_token", **refresh)
    assert renewed["access_token"] != found["access_token"]
    assert (await wx.get("/sns/auth", **{**query, "access_token": renewed["access_token"]}))["errcode"] == 0
    foreign = await wx.get("/sns/oauth2/refresh_token", **{**refresh, "appid": WEBSITE["appid"]})
    assert foreign["errcode"] == 40030
    clock.now += 30 * 86_400
    assert (await wx.get("/sns/oauth2/refresh_token", **refresh))["errcode"] == 42002


async def test_the_page_answers_a_browser_as_wechat_does(wx: Client) -> None:
    def path(url: str) -> str:
        parts = urlsplit(url)
        return f"{parts.path}?{parts.query}"

    silent = await wx.fetch(path(url_of(scope="snsapi_base")), follow_redirects=False)
    assert (silent.code, silent.headers["Location"].startswith(f"{BACK}&code=")) == (302, True)
    page = await wx.fetch(path(url_of()), headers={"Accept-Language": "en"})
    text = page.body.decode()
    assert page.code == 200
    assert "爱丽丝" in text
    assert "Allow" in text
    assert "<script>" not in text
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    answer = await wx.fetch(path(url_of()), "POST", "user=bob&allow=yes", follow_redirects=False, headers=FORM)
    code = dict(parse_qsl(urlsplit(answer.headers["Location"]).query))["code"]
    assert (await exchange(wx, code))["openid"] == wx.sim.wechat.users.openid(
        OFFICIAL["appid"], wx.sim.wechat.users.get("bob")
    )
    refusal = await wx.fetch(path(url_of()), "POST", "user=bob&allow=no", follow_redirects=False, headers=FORM)
    assert refusal.headers["Location"] == f"{BACK}&state=abc123"
    broken = await wx.fetch(path(url_of(scope="<script>alert(1)</script>")))
    assert "<script>alert" not in broken.body.decode()


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_a_jsapi_ticket_is_the_same_for_all_until_it_ends(wx: Client, clock: HandClock) -> None:
    token = await wx.token(OFFICIAL)
    one = await wx.get("/cgi-bin/ticket/getticket", access_token=token, type="jsapi")
    clock.now += 100
    two = await wx.get("/cgi-bin/ticket/getticket", access_token=token, type="jsapi")
    assert (one["ticket"], one["expires_in"], two["expires_in"]) == (two["ticket"], 7200, 7100)
    wrong = await wx.get("/cgi-bin/ticket/getticket", access_token=token, type="wx_card")
    assert wrong["errcode"] == 40097
    assert (await wx.get("/cgi-bin/ticket/getticket", access_token=await wx.token(), type="jsapi"))["errcode"] == 48001
