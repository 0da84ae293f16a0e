"""``/s/{scanId}``: in WeChat the confirm screen or the way to it, elsewhere the word to use WeChat."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from backend import Backend, Reply, StartBackend, Store
from scan_client import ORIGIN, Page, confirmed, open_page
from simulator.defaults import DEFAULT_APPS
from simulator.phone import USER_AGENT

CHROME = "Mozilla/5.0 (X11; Linux x64) Chrome/142.0.0.0 Safari/537.36"


@pytest.fixture
async def backend(start_backend: StartBackend, embedded_store: Store) -> Backend:
    return await start_backend(embedded_store)


async def visit(backend: Backend, path: str, agent: str = USER_AGENT, **headers: str) -> Reply:
    request = {"User-Agent": agent, **{name.replace("_", "-"): value for name, value in headers.items()}}
    response = await backend.http.fetch(backend.url + path, headers=request, follow_redirects=False, raise_error=False)
    return Reply(response.code, response.headers, (response.body or b"").decode())


def mode_of(reply: Reply) -> str:
    assert reply.status == 200, reply.text
    found = re.search(r'data-mode="(\w+)"', reply.text)
    assert found
    return found[1]


async def cookie_of(backend: Backend) -> str:
    body = {"action": "login", "code": backend.wx_login(), "cookie": True}
    reply = await backend.call("POST", "/api/auth", body, Origin=ORIGIN)
    return str(reply.headers.get_list("Set-Cookie")[0].split(";")[0])


async def test_outside_wechat_it_says_to_open_wechat_and_tells_nothing_of_the_scan(backend: Backend) -> None:
    page = await open_page(backend)
    reply = await visit(backend, f"/s/{page.id}", CHROME)
    assert mode_of(reply) == "elsewhere"
    assert mode_of(await visit(backend, "/s/" + "A" * 22, CHROME)) == "elsewhere"


async def test_who_is_signed_in_gets_the_confirm_screen(backend: Backend) -> None:
    page = await open_page(backend)
    reply = await visit(backend, f"/s/{page.id}", Cookie=await cookie_of(backend))
    assert mode_of(reply) == "confirm"
    assert f'content="{page.id}"' in reply.text
    assert page.secret not in reply.text
    assert str(page.data["matchCode"]) not in re.sub(r"<[^>]*>", "", reply.text)


async def test_who_is_not_is_sent_to_the_official_account_and_comes_back(backend: Backend) -> None:
    page = await open_page(backend)
    for cookie in ("", "kaimen=forged"):
        reply = await visit(backend, f"/s/{page.id}", Cookie=cookie)
        assert reply.status == 302
        url = urlsplit(reply.headers["Location"])
        assert (url.netloc, url.path) == ("", "/oauth/wx00000000000000a1/login")
        query = parse_qs(url.query)
        assert query == {"scope": ["base"], "mode": ["cookie"], "return": [f"/s/{page.id}?signed=1"]}


async def test_who_comes_back_without_a_session_is_not_sent_round_again(backend: Backend) -> None:
    page = await open_page(backend)
    assert mode_of(await visit(backend, f"/s/{page.id}?signed=1")) == "miniprogram"


@pytest.mark.parametrize(("kinds", "mode"), [({"miniprogram"}, "miniprogram"), ({"website"}, "nowhere")])
async def test_without_an_official_account_the_mini_program_is_offered(
    start_backend: StartBackend, embedded_store: Store, kinds: set[str], mode: str
) -> None:
    backend = await start_backend(embedded_store, apps=[app for app in DEFAULT_APPS if app["kind"] in kinds])
    page = await open_page(backend)
    assert mode_of(await visit(backend, f"/s/{page.id}")) == mode


async def test_the_mini_program_code_of_the_page_is_made_once_and_not_after_the_end(backend: Backend) -> None:
    page = await open_page(backend)
    for _ in range(3):
        response = await backend.http.fetch(f"{backend.url}/s/{page.id}/miniprogram")
        assert response.headers["Content-Type"] == "image/png"
    assert backend.count_calls("getwxacodeunlimit") == 1
    over = await open_page(backend)
    backend.clock.advance(121)
    assert (await backend.get(f"/s/{over.id}/miniprogram")).body["code"] == 4040
    assert (await backend.get(f"/s/{'A' * 22}/miniprogram")).body["code"] == 4040


async def test_a_scan_that_is_over_or_unknown_says_so(backend: Backend) -> None:
    phone = await backend.login()
    page = await open_page(backend)
    await page.redeem(backend, await confirmed(backend, page, phone["accessToken"]))
    expired = await open_page(backend)
    backend.clock.advance(121)
    for scan_id in (page.id, expired.id, "A" * 22, "x"):
        assert mode_of(await visit(backend, f"/s/{scan_id}")) == "over"


@pytest.mark.parametrize("scan_id", ["%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E", "{{mode}}", "%3Cimg%20src=x%3E"])
async def test_nothing_of_a_hostile_url_gets_into_the_page(backend: Backend, scan_id: str) -> None:
    for agent in (USER_AGENT, CHROME):
        reply = await visit(backend, f"/s/{scan_id}", agent)
        assert mode_of(reply) == "over"
        assert 'name="kaimen-scan" content=""' in reply.text
        assert "alert(1)" not in reply.text


async def test_the_page_has_a_policy_without_inline_scripts_and_loads_nothing_of_others(backend: Backend) -> None:
    page = await open_page(backend)
    reply = await visit(backend, f"/s/{page.id}", Cookie=await cookie_of(backend))
    policy = reply.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", reply.text)
    assert set(re.findall(r'(?:src|href)="([^"]*)"', reply.text)) <= {
        "/web/kaimen.css",
        "/web/phone/phone.css",
        "/web/phone/phone.js",
        "/web/demo/logo.svg",
    }
    for path in re.findall(r'(?:src|href)="([^"]*)"', reply.text):
        assert (await backend.get(path)).status == 200


async def test_the_page_is_in_the_language_of_the_phone(backend: Backend) -> None:
    page = await open_page(backend)
    for language, lang in (("en-US,en;q=0.9", "en"), ("zh-CN,zh;q=0.9", "zh-CN"), ("", "zh-CN")):
        reply = await visit(backend, f"/s/{page.id}", CHROME, Accept_Language=language)
        assert f'<html lang="{lang}">' in reply.text


async def test_below_a_prefix_everything_is_found(start_backend: StartBackend, embedded_store: Store) -> None:
    backend = await start_backend(embedded_store, path_prefix="/login")
    reply = await backend.call("POST", "/login/api/scan", {"channel": "page"}, Origin=ORIGIN)
    page = Page(reply.data)
    assert page.data["qrContent"] == f"{ORIGIN}/login/s/{page.id}"
    assert (await backend.get(f"/login/api/scan/{page.id}/qr.svg")).status == 200
    sent = await visit(backend, f"/login/s/{page.id}")
    assert sent.headers["Location"].startswith("/login/oauth/")
    assert parse_qs(urlsplit(sent.headers["Location"]).query)["return"] == [f"/login/s/{page.id}?signed=1"]
    shown = await visit(backend, f"/login/s/{page.id}", CHROME)
    assert 'src="/login/web/phone/phone.js"' in shown.text


async def test_the_page_acts_under_its_cookie_though_only_another_site_shows_codes(
    start_backend: StartBackend, embedded_store: Store
) -> None:
    backend = await start_backend(embedded_store, web_origins="https://shop.example")
    body = {"action": "login", "code": backend.wx_login(), "cookie": True}
    login = await backend.call("POST", "/api/auth", body, Origin="https://shop.example")
    cookie = login.headers.get_list("Set-Cookie")[0].split(";")[0]
    reply = await backend.call("POST", "/api/scan", {"channel": "page"}, Origin="https://shop.example")
    headers = {"Cookie": cookie, "X_XSRFToken": login.data["xsrfToken"]}
    scan = f"/api/scan/{reply.data['scanId']}/scan"
    shown = await backend.call("POST", scan, {}, Origin=ORIGIN, **headers)
    assert shown.data["site"] == "https://shop.example"
    for origin in ("https://evil.example", "null"):
        assert (await backend.call("POST", scan, {}, Origin=origin, **headers)).body["code"] == 4032
    assert (await backend.call("POST", scan, {}, **headers)).body["code"] == 4032
    assert (await backend.call("POST", "/api/scan", {"channel": "page"}, Origin=ORIGIN)).body["code"] == 4032
