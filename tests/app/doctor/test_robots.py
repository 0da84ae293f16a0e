"""Group robots against a local sink that checks signatures as their vendors describe them."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from app.doctor import robots, telling
from app.doctor.findings import FAIL, OK, WARN, Finding
from backend import MovableClock
from core.clock import Clock

SECRET = "SECtest"
BAD = Finding("redis", FAIL, "away", "start it")


class Robot(RequestHandler):
    """Keeps what it is sent; refuses what is not signed as it should be."""

    def post(self) -> None:
        sink: Sink = self.application.settings["sink"]
        body = json.loads(self.request.body)
        sink.received.append(body)
        self.finish(sink.reply or READERS[self.request.path.split("/")[1]](self, body))


def read_wecom(_handler: Robot, body: dict[str, Any]) -> dict[str, Any]:
    assert body["msgtype"] == "text"
    return {"errcode": 0, "errmsg": "ok"} if len(body["text"]["content"].encode()) <= 2048 else {"errcode": 40058}


def read_dingtalk(handler: Robot, _body: dict[str, Any]) -> dict[str, Any]:
    timestamp = handler.get_query_argument("timestamp")
    mac = hmac.new(SECRET.encode(), f"{timestamp}\n{SECRET}".encode(), hashlib.sha256)
    good = base64.b64encode(mac.digest()).decode() == handler.get_query_argument("sign")
    return {"errcode": 0} if good and len(timestamp) == 13 else {"errcode": 310000, "errmsg": "sign not match"}


def read_feishu(_handler: Robot, body: dict[str, Any]) -> dict[str, Any]:
    mac = hmac.new(f"{body['timestamp']}\n{SECRET}".encode(), digestmod=hashlib.sha256)
    good = base64.b64encode(mac.digest()).decode() == body["sign"]
    return {"code": 0} if good and len(body["timestamp"]) == 10 else {"code": 19021, "msg": "sign match fail"}


READERS = {"cgi-bin": read_wecom, "robot": read_dingtalk, "open-apis": read_feishu}


class Sink:
    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[dict[str, Any]] = []
        self.reply: dict[str, Any] = {}

    @property
    def texts(self) -> list[str]:
        return [(one.get("text") or one["content"]).get("content") or one["content"]["text"] for one in self.received]


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    listener, port = bind_unused_port()
    made = Sink(f"http://127.0.0.1:{port}")
    server = HTTPServer(Application([("/.*", Robot)], sink=made))
    server.add_socket(listener)
    yield made
    server.stop()
    await server.close_all_connections()


@pytest.mark.parametrize(
    "path",
    ["/cgi-bin/webhook/send?key=k", f"/robot/send?access_token=t#{SECRET}", f"/open-apis/bot/v2/hook/h#{SECRET}"],
)
async def test_each_kind_of_robot_takes_our_message(sink: Sink, path: str) -> None:
    await robots.tell(sink.url + path, "Kaimen: 数据库", Clock())
    assert sink.texts == ["Kaimen: 数据库"]


@pytest.mark.parametrize("path", ["/robot/send?access_token=t#other", "/open-apis/bot/v2/hook/h#other"])
async def test_a_refusal_is_told_without_the_url(sink: Sink, path: str) -> None:
    with pytest.raises(robots.RobotFailed, match=r"refuses: (310000|19021) sign") as failed:
        await robots.tell(sink.url + path, "x", Clock())
    assert "access_token" not in str(failed.value)


async def test_a_long_message_is_cut_at_a_whole_character(sink: Sink) -> None:
    await robots.tell(sink.url + "/cgi-bin/webhook/send?key=k", "开" * 3000, Clock())
    assert sink.texts[0].endswith("开…")


async def test_a_robot_that_cannot_be_reached_or_is_none_is_told() -> None:
    for url, words in [("http://127.0.0.1:1/robot/send", "cannot be reached"), ("http://x/other", "none of a robot")]:
        with pytest.raises(robots.RobotFailed, match=words):
            await robots.tell(url, "x", Clock())


@pytest.mark.parametrize("url", ["ftp://x/robot/send", "/robot/send", "https://x/", "https:///robot/send"])
def test_what_is_no_robot_is_known(url: str) -> None:
    assert not robots.is_robot(url)
    assert robots.is_robot("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k")


async def test_trouble_is_told_when_it_changes_once_a_day_and_when_it_is_over(sink: Sink, tmp_path: Path) -> None:
    clock, url = MovableClock(), sink.url + "/cgi-bin/webhook/send?key=k"

    async def told(*findings: Finding) -> bool:
        return await telling.tell_robot(url, "https://login.example.com", list(findings), tmp_path, clock)

    fine = Finding("disk", OK, "1 MiB")
    assert not await told(fine)
    assert await told(fine, BAD)
    assert not await told(BAD)
    assert await told(BAD, Finding("proxy", WARN, "none", "set it"))
    clock.advance(86_401)
    assert await told(BAD, Finding("proxy", WARN, "none", "set it"))
    assert await told(fine)
    assert not await told(fine)
    assert sink.texts[0] == "Kaimen https://login.example.com\n✗ redis: away → start it"
    assert sink.texts[-1] == "Kaimen https://login.example.com: all is well again"


async def test_what_could_not_be_told_is_told_the_next_time(sink: Sink, tmp_path: Path) -> None:
    url, sink.reply = sink.url + "/cgi-bin/webhook/send?key=k", {"errcode": 45009}
    with pytest.raises(robots.RobotFailed):
        await telling.tell_robot(url, "x", [BAD], tmp_path, Clock())
    sink.reply = {}
    assert await telling.tell_robot(url, "x", [BAD], tmp_path, Clock())
