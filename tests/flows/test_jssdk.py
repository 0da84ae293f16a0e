"""Signatures for the JS-SDK: for pages of ours only, from one ticket that is fetched once and never shown."""

import asyncio
from urllib.parse import quote

import pytest
from wechatpy.client.api import WeChatJSAPI

from app.oauth.jssdk import sign_page
from backend import APPID, OFFICIAL, WEBSITE, Backend, Reply, StartBackend, Store

PAGE = "http://kaimen.test/shop?code=071&state=x"


async def ask(backend: Backend, url: str = PAGE, appid: str = OFFICIAL, **headers: str) -> Reply:
    return await backend.get(f"/api/wechat/{appid}/jssdk-signature?url={quote(url, safe='')}", **headers)


def current_ticket(backend: Backend) -> str:
    return str(backend.simulator.calls.last("getticket")[-1]["reply"]["ticket"])


def test_wechats_own_example_has_its_signature() -> None:
    ticket = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"
    signature = sign_page(ticket, "Wm3WZYTPz0wzccnW", 1414587457, "http://mp.weixin.qq.com?params=value")
    assert signature == "0f9de62fce790f9a083d5c99e95740ceb90c27ed"


async def test_a_page_of_ours_gets_what_wx_config_takes(backend: Backend) -> None:
    reply = await ask(backend, PAGE + "#/detail")
    assert reply.status == 200, reply.text
    assert sorted(reply.data) == ["appId", "nonceStr", "signature", "timestamp"]
    assert reply.data["appId"] == OFFICIAL
    assert abs(reply.data["timestamp"] * 1000 - backend.clock.now_ms()) < 5000
    ticket = current_ticket(backend)
    expected = WeChatJSAPI().get_jsapi_signature(reply.data["nonceStr"], ticket, reply.data["timestamp"], PAGE)
    assert reply.data["signature"] == expected
    assert ticket not in reply.text


@pytest.mark.parametrize(
    "url",
    ["https://evil.example/", "http://kaimen.test.evil.example/", "http://kaimen.test@evil.example/", "/shop", ""],
)
async def test_pages_of_others_get_nothing_and_wechat_is_not_asked(backend: Backend, url: str) -> None:
    reply = await ask(backend, url)
    assert (reply.status, reply.body["code"], reply.data) == (400, 4000, {"field": "url"})
    assert backend.count_calls("getticket") == 0


@pytest.mark.parametrize("appid", [APPID, WEBSITE, "wxunknown"])
async def test_only_official_accounts_have_a_js_sdk(backend: Backend, appid: str) -> None:
    reply = await ask(backend, appid=appid)
    assert (reply.status, reply.body["code"]) == (404, 4042)


async def test_a_foreign_page_cannot_read_the_reply(backend: Backend) -> None:
    reply = await ask(backend, Origin="https://evil.example")
    assert "Access-Control-Allow-Origin" not in reply.headers


async def test_two_instances_fetch_one_ticket_and_renew_it_in_time(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    replies = await asyncio.gather(*(ask(at) for at in [one, two] * 10))
    assert {reply.status for reply in replies} == {200}
    assert one.count_calls("getticket") == 1
    assert one.count_calls("stable_token") == 1
    for backend in (one, two):
        backend.clock.advance(7200)
    replies = await asyncio.gather(ask(one), ask(two))
    assert {reply.status for reply in replies} == {200}
    assert one.count_calls("getticket") == 2


async def test_the_ticket_is_sealed_in_redis(start_backend: StartBackend, server_store: Store) -> None:
    backend = await start_backend(server_store)
    await ask(backend)
    kv = backend.kaimen.oauth._kv
    stored = await kv.run("HGETALL", f"kaimen:{{wxticket:{OFFICIAL}}}:token")
    assert current_ticket(backend) not in str(stored)
    assert "v1." in str(stored)


async def test_an_access_token_that_was_refused_is_renewed_for_the_ticket(backend: Backend) -> None:
    backend.simulator.faults.add({"api": "getticket", "errcode": 40001, "times": 1})
    assert (await ask(backend)).status == 200
    assert backend.count_calls("getticket") == 2


@pytest.mark.parametrize(
    ("fault", "code"), [({"errcode": 48001}, 5020), ({"status": 500}, 5020), ({"errcode": -1}, 5030)]
)
async def test_without_wechat_there_is_no_signature(backend: Backend, fault: dict[str, object], code: int) -> None:
    backend.simulator.faults.add({"api": "getticket", **fault})
    assert (await ask(backend)).body["code"] == code
