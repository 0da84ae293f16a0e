"""Hostile names, foreign hosts, strict policies: security.md 42 and 44, in Chromium."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Request, expect

from backend import Backend, StartBackend, Store
from browsing import URL, OpenContext, Phone, Site, Window

HOSTILE = [
    "<img src=x onerror=window.pwned=1>",
    "</h2><script>window.pwned=1</script>",
    "javascript:window.pwned=1",
    "{{constructor.constructor('window.pwned=1')()}}",
]


def hosts(requests: list[Request]) -> set[str]:
    return {urlsplit(request.url).netloc for request in requests if not request.url.startswith("data:")}


async def is_harmless(window: Window) -> bool:
    pwned = await window.page.evaluate("window.pwned")
    return (pwned, await window.refused(), window.errors) == (None, [], [])


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_nickname_is_text_on_the_login_element(site: Site, name: str) -> None:
    window = await (await site.window()).show('<kaimen-login avatars="any"></kaimen-login>')
    phone = await site.phone(nickname=name)
    scan_id = (await window.heard("shown"))["scanId"]
    await phone.do("scan", scan_id)
    await expect(window.page.locator("kaimen-login .status strong")).to_have_text(f"{name} 已扫码")
    await expect(window.page.locator("kaimen-login .over strong")).to_have_text(name)
    await phone.do("confirm", scan_id)
    await expect(window.page.locator("kaimen-login .room strong")).to_have_text(f"欢迎，{name}")
    assert await is_harmless(window)


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_nickname_is_text_on_the_demo_and_its_phone(site: Site, name: str) -> None:
    site.backend.simulator.wechat.users.save({"name": "alice", "nickname": name})
    window = await (await site.window()).open("/")
    await window.scan_on_demo()
    await window.confirm_on_demo()
    await expect(window.page.locator(".me h2")).to_have_text(name)
    await expect(window.page.locator("#events").get_by_text(name).first).to_be_visible()
    assert await is_harmless(window)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/a.png",
        "data:image/svg+xml,<svg onload='pwned=1'/>",
        "javascript:pwned=1",
        "//evil.example/x",
        "\\\\evil",
    ],
)
async def test_a_picture_of_another_host_is_not_asked_for(site: Site, url: str) -> None:
    window = await site.window()

    async def with_picture(route: Any) -> None:
        reply = await route.fetch()
        body = await reply.json()
        if "user" in body["data"]:
            body["data"]["user"] |= {"avatarUrl": url, "nickname": "阿丽"}
        await route.fulfill(response=reply, json=body)

    await window.page.route_web_socket(re.compile("/ws$"), lambda socket: socket.close())
    await window.page.route(re.compile(r"/api/scan/[\w-]{22}\?"), with_picture)
    await window.show("<kaimen-login></kaimen-login>")
    scan_id = (await window.heard("shown"))["scanId"]
    await (await site.phone()).do("scan", scan_id)
    await expect(window.page.locator("kaimen-login .over .letter")).to_have_text("阿")
    assert hosts(window.requests) == {urlsplit(window.url).netloc}
    assert await is_harmless(window)


async def test_a_whole_sign_in_asks_no_other_host(site: Site) -> None:
    window = await (await site.window()).show(
        "<kaimen-login></kaimen-login><kaimen-password></kaimen-password>", scripts=("index.js",)
    )
    phone, scan_id = await site.phone(nickname="阿丽"), (await window.heard("shown"))["scanId"]
    await phone.do("scan", scan_id)
    await phone.do("confirm", scan_id)
    await window.heard("success")
    own = urlsplit(window.url).netloc
    assert hosts(window.requests) == {own}
    assert {urlsplit(url).netloc for url in window.sockets} == {own}
    assert await is_harmless(window)


async def test_no_secret_goes_into_a_url_or_a_storage(site: Site) -> None:
    window = await site.window()
    secrets: list[str] = []

    async def note(response: Any) -> None:
        if response.url.endswith("/api/scan"):
            secrets.append((await response.json())["data"]["pollSecret"])

    window.page.on("response", note)
    await window.show("<kaimen-login></kaimen-login>")
    phone, scan_id = await site.phone(), (await window.heard("shown"))["scanId"]
    await phone.do("scan", scan_id)
    await phone.do("confirm", scan_id)
    done = await window.heard("success")
    assert secrets
    stored = await window.page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, location.href, history.state])"
    )
    assert secrets[0] not in stored + json.dumps(done)
    assert not [request.url for request in window.requests if secrets[0] in request.url]
    assert not [url for url in window.sockets if secrets[0] in url]


async def test_a_page_of_another_listed_origin_signs_in_with_tokens(
    start_backend: StartBackend, embedded_store: Store, open_context: OpenContext
) -> None:
    backend: Backend = await start_backend(embedded_store, public_url=URL)
    own_port = backend.url.rsplit(":", 1)[1]
    origin = f"http://localhost:{own_port}"
    listed = await start_backend(embedded_store, public_url=URL, web_origins=f"{origin},{backend.url}")
    site = Site(backend, await open_context())
    window = await site.window()
    window.url = origin
    connect = f"connect-src {listed.url} {listed.url.replace('http', 'ws')}"
    policy = f"default-src 'none'; script-src 'self'; img-src {listed.url}; {connect}"
    tag = f'<kaimen-login base-url="{listed.url}" cookie="off"></kaimen-login>'
    await window.show(tag, policy=policy)
    await window.page.locator("kaimen-login .qr.ready").wait_for()
    phone = Phone(listed, (await listed.login("alice"))["accessToken"])
    scan_id = (await window.heard("shown"))["scanId"]
    asked = await phone.do("scan", scan_id)
    assert asked["site"] == origin
    await phone.do("confirm", scan_id)
    done = await window.heard("success")
    assert (done["via"], bool(done["accessToken"])) == ("socket", True)
    assert await window.refused() == []
