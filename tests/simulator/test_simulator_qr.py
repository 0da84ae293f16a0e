"""Codes to scan, as strict as WeChat makes them, and what scanning them does."""

import json
from typing import Any

import pytest
from tornado.curl_httpclient import CurlAsyncHTTPClient
from tornado.httpclient import HTTPRequest

from simulator import Simulator
from simulator.errors import ControlError
from simulator.scanning import scan

MINI, OFFICIAL = "wx0000000000000001", "wx00000000000000a1"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
async def http() -> Any:
    client = CurlAsyncHTTPClient(force_instance=True)
    yield client
    client.close()


async def post(http: CurlAsyncHTTPClient, simulator: Simulator, path: str, body: Any, appid: str = MINI) -> Any:
    """(content type, bytes or JSON)."""
    token, _ = simulator.wechat.tokens.issue_stable(appid, force=False)
    text = body if isinstance(body, str) else json.dumps(body)
    url = f"{simulator.url}{path}?access_token={token}"
    response = await http.fetch(HTTPRequest(url, method="POST", body=text), raise_error=False)
    kind = response.headers["Content-Type"]
    return (kind, response.body) if kind.startswith("image/") else json.loads(response.body)


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({"scene": ""}, 40169),
        ({}, 40169),
        ({"scene": "a" * 33}, 40169),
        ({"scene": "a%20b"}, 40169),
        ({"scene": "中"}, 40169),
        ({"scene": 7}, 40169),
        ("scene=a", 40169),
        ("", 40169),
        ({"scene": "a", "page": "/pages/scan/scan"}, 41030),
        ({"scene": "a", "page": "pages/scan/scan?x=1"}, 41030),
        ({"scene": "a", "page": "pages/other/other"}, 41030),
        ({"scene": "a", "env_version": "beta"}, 40097),
        ({"scene": "a", "width": 200}, 40097),
        ({"scene": "a", "width": "430"}, 40097),
    ],
)
async def test_a_mini_program_code_is_refused(
    http: CurlAsyncHTTPClient, simulator: Simulator, body: Any, errcode: int
) -> None:
    assert (await post(http, simulator, "/wxa/getwxacodeunlimit", body))["errcode"] == errcode


@pytest.mark.parametrize(
    "body",
    [
        {"scene": "a" * 32},
        {"scene": "!#$&'()*+,/:;=?@-._~"},
        {"scene": "a", "page": "pages/scan/scan"},
        {"scene": "a", "page": "pages/new/new", "check_path": False, "env_version": "develop"},
        {"scene": "a", "width": 1280},
    ],
)
async def test_a_mini_program_code_is_a_picture(http: CurlAsyncHTTPClient, simulator: Simulator, body: Any) -> None:
    kind, picture = await post(http, simulator, "/wxa/getwxacodeunlimit", body)
    assert (kind, picture[:8]) == ("image/jpeg", PNG)


async def test_each_kind_of_code_is_for_its_kind_of_app(http: CurlAsyncHTTPClient, simulator: Simulator) -> None:
    body = {"scene": "a"}
    assert (await post(http, simulator, "/wxa/getwxacodeunlimit", body, OFFICIAL))["errcode"] == 48001
    assert (await post(http, simulator, "/cgi-bin/qrcode/create", body, MINI))["errcode"] == 48001


def qr(scene: Any = "s", **more: Any) -> dict[str, Any]:
    return {"action_name": "QR_STR_SCENE", "action_info": {"scene": {"scene_str": scene}}, **more}


@pytest.mark.parametrize(
    "body",
    [
        qr(""),
        qr("a" * 65),
        qr(7),
        qr(expire_seconds=0),
        qr(expire_seconds=2_592_001),
        qr(expire_seconds="60"),
        qr(action_name="QR_SCENE"),
        {"action_name": "QR_STR_SCENE"},
        {"action_name": "QR_STR_SCENE", "action_info": []},
    ],
)
async def test_a_qr_code_is_refused(http: CurlAsyncHTTPClient, simulator: Simulator, body: Any) -> None:
    assert (await post(http, simulator, "/cgi-bin/qrcode/create", body, OFFICIAL))["errcode"] == 40053


async def test_a_ticket_leads_to_a_picture_until_its_time_is_over(http: CurlAsyncHTTPClient) -> None:
    now = [1_700_000_000.0]
    simulator = Simulator(clock=lambda: now[0])
    await simulator.start()
    made = await post(http, simulator, "/cgi-bin/qrcode/create", qr(expire_seconds=120), OFFICIAL)
    assert made["expire_seconds"] == 120
    assert made["url"].startswith("http://weixin.qq.com/q/")
    url = f"{simulator.url}/cgi-bin/showqrcode?ticket={made['ticket'].replace('=', '%3D')}"
    shown = await http.fetch(url)
    assert (shown.headers["Content-Type"], shown.body[:8]) == ("image/jpg", PNG)
    now[0] += 121
    assert (await http.fetch(url, raise_error=False)).code == 404
    assert (await http.fetch(url + "x", raise_error=False)).code == 404
    with pytest.raises(ControlError):
        await scan(simulator, {"user": "alice", "ticket": made["ticket"]})
    await simulator.stop()


async def test_scanning_any_other_text_opens_it_and_an_unknown_code_is_a_mistake(simulator: Simulator) -> None:
    assert await scan(simulator, {"user": "bob", "content": "https://x.example/s/1"}) == {
        "opens": "https://x.example/s/1"
    }
    for wrong in ({"content": "http://weixin.qq.com/q/none"}, {"appid": MINI, "scene": "none"}, {"appid": OFFICIAL}):
        with pytest.raises(ControlError):
            await scan(simulator, {"user": "bob", **wrong})
