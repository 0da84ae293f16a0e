import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from simulator_client import APPID, OFFICIAL, Client
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler


async def test_a_new_user_has_an_openid_in_every_app(wx: Client) -> None:
    user = await wx.post("/sim/users", {"name": "小明", "nickname": "<b>明</b>", "phone": "13000000000"})
    assert user["name"] == "小明"
    assert len(user["openids"]) == 4
    state = await wx.get("/sim/state")
    assert state["users"][-1]["nickname"] == "<b>明</b>"


async def test_the_three_users_are_there_at_start(wx: Client) -> None:
    state = await wx.get("/sim/state")
    assert [user["name"] for user in state["users"]] == ["alice", "bob", "carol"]
    assert all(user["phone"] and user["unionid"] for user in state["users"])
    assert [app["kind"] for app in state["apps"]] == ["miniprogram", "miniprogram", "official", "website"]
    assert "secret" not in json.dumps(state["apps"])


async def test_changing_a_user_keeps_what_is_not_named(wx: Client) -> None:
    await wx.post("/sim/users", {"name": "bob", "nickname": "Bob"})
    bob = (await wx.get("/sim/state"))["users"][1]
    assert (bob["nickname"], bob["phone"]) == ("Bob", "13800138002")


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/sim/login", "{", "not JSON"),
        ("/sim/login", "[]", "must be a JSON object"),
        ("/sim/login", {}, "appid must be a string"),
        ("/sim/login", {"appid": APPID, "user": 1}, "user must be a string"),
        ("/sim/login", {"appid": APPID, "user": "nobody"}, "unknown user 'nobody'"),
        ("/sim/login", {"appid": "wx1", "user": "alice"}, "unknown appid 'wx1'"),
        ("/sim/login", {"appid": OFFICIAL["appid"], "user": "alice"}, "not a mini-program"),
        ("/sim/open-data", {"appid": APPID, "user": "alice", "kind": "all"}, "kind: userInfo"),
        (
            "/sim/open-data",
            {"appid": APPID, "user": "alice", "kind": "phone", "keyVersion": "next"},
            "keyVersion: current",
        ),
        ("/sim/users", {"nickname": "x"}, "name must be"),
        ("/sim/users", {"name": "x", "phone": "call me"}, "phone must be"),
        ("/sim/users", {"name": "x", "nickname": 1}, "nickname must be"),
        ("/sim/users", {"name": "x", "blocked": "yes"}, "blocked must be"),
        ("/sim/users", {"name": "x", "age": 7}, "unknown field age"),
        ("/sim/request", {"path": "/"}, "no backend is configured"),
    ],
)
async def test_wrong_input_is_400_and_says_what_is_wrong(wx: Client, path: str, body: Any, words: str) -> None:
    response = await wx.fetch(path, "POST", body)
    assert response.code == 400
    assert words in json.loads(response.body)["error"]


async def test_a_user_without_phone_has_no_phone_code(wx: Client) -> None:
    await wx.post("/sim/users", {"name": "dora"})
    for path in ("/sim/phone-code", "/sim/open-data"):
        reply = await wx.post(path, {"appid": APPID, "user": "dora", "kind": "phone"})
        assert "dora has no phone" in reply["error"]


async def test_a_wrong_method_is_405(wx: Client) -> None:
    response = await wx.fetch("/sim/login")
    assert response.code == 405
    assert json.loads(response.body) == {"error": "use POST here"}


async def test_pages_of_other_sites_are_refused(wx: Client) -> None:
    own = await wx.fetch("/sim/state", headers={"Origin": wx.sim.url})
    other = await wx.fetch("/sim/state", headers={"Origin": "https://example.com"})
    assert (own.code, other.code) == (200, 403)


async def test_calls_are_logged_newest_last_and_counted_by_api(wx: Client) -> None:
    code = await wx.login()
    await wx.exchange(code)
    await wx.stable()
    log = await wx.get("/sim/calls")
    assert log["count"] == 2
    assert [call["api"] for call in log["last"]] == ["jscode2session", "stable_token"]
    first, second = log["last"]
    assert first["query"]["js_code"] == code
    assert first["reply"]["openid"]
    assert first["status"] == 200
    assert first["at"] == 1_700_000_000.0
    assert first["durationMs"] >= 0
    assert second["body"]["grant_type"] == "client_credential"
    assert (await wx.get("/sim/calls", api="stable_token"))["count"] == 1


async def test_the_log_keeps_two_hundred_calls_and_counts_all(wx: Client) -> None:
    for _ in range(205):
        await wx.exchange("x")
    log = await wx.get("/sim/calls", api="jscode2session")
    assert log["count"] == 205
    assert len(log["last"]) == 200
    assert len((await wx.get("/sim/calls", limit="3"))["last"]) == 3
    assert "limit must be" in (await wx.get("/sim/calls", limit="-1"))["error"]


class Backend(RequestHandler):
    """Tells what it got."""

    def post(self) -> None:
        self.set_status(201)
        self.finish({"headers": dict(self.request.headers), "body": self.request.body.decode()})

    def get(self) -> None:
        self.redirect("/elsewhere")

    def delete(self) -> None:
        self.detach().close()


@pytest.fixture
async def phone(wx: Client) -> AsyncIterator[Client]:
    server = HTTPServer(Application([("/api/.*", Backend)], log_function=lambda _: None))
    sock, port = bind_unused_port()
    server.add_socket(sock)
    wx.sim.backend_url = f"http://127.0.0.1:{port}"
    yield wx
    server.stop()
    await server.close_all_connections()


def wx_request(**fields: Any) -> dict[str, Any]:
    return {"user": "alice", "appid": APPID, "method": "POST", "path": "/api/auth", **fields}


async def test_the_phone_sends_json_under_wechats_own_headers(phone: Client) -> None:
    sent = wx_request(headers={"Authorization": "Bearer x"}, body={"action": "login"})
    reply = await phone.post("/sim/request", sent)
    headers = reply["body"]["headers"]
    assert reply["status"] == 201
    assert reply["durationMs"] > 0
    assert json.loads(reply["body"]["body"]) == {"action": "login"}
    assert "MicroMessenger/" in headers["User-Agent"]
    assert headers["Referer"] == f"https://servicewechat.com/{APPID}/devtools/page-frame.html"
    assert headers["Authorization"] == "Bearer x"


async def test_the_phone_shows_a_redirect_instead_of_following_it(phone: Client) -> None:
    reply = await phone.post("/sim/request", wx_request(method="GET"))
    assert reply["status"] == 302


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"path": "//example.com/"}, "path must begin"),
        ({"path": "https://example.com/"}, "path must begin"),
        ({"path": "/\\example.com"}, "path must begin"),
        ({"path": "/a b"}, "path must begin"),
        ({"method": "PATCH"}, "wx.request knows"),
        ({"headers": {"Referer": "x"}}, "does not let a page set Referer"),
        ({"headers": {"X-A": "b\r\nX-C: d"}}, "single lines"),
        ({"headers": ["x"]}, "headers must be"),
        ({"user": "nobody"}, "unknown user"),
        ({"appid": "wx1"}, "unknown appid"),
    ],
)
async def test_the_phone_refuses_what_wechat_would(phone: Client, fields: dict[str, Any], words: str) -> None:
    response = await phone.fetch("/sim/request", "POST", wx_request(**fields))
    assert response.code == 400
    assert words in json.loads(response.body)["error"]


async def test_a_backend_that_is_away_is_502(wx: Client) -> None:
    wx.sim.backend_url = "http://127.0.0.1:1"
    response = await wx.fetch("/sim/request", "POST", wx_request())
    assert response.code == 502
    assert "no backend answers at http://127.0.0.1:1" in json.loads(response.body)["error"]


async def test_a_backend_that_breaks_off_is_502(phone: Client) -> None:
    response = await phone.fetch("/sim/request", "POST", wx_request(method="DELETE"))
    assert response.code == 502
