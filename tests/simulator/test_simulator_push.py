"""The message push of the simulator: repeats, retries, tampering, reordering; read back with wechatpy."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from simulator_client import APPID, OFFICIAL, Client
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler
from wechatpy.crypto import WeChatCrypto
from wechatpy.exceptions import InvalidSignatureException
from wechatpy.utils import check_signature

MESSAGE: dict[str, Any] = {
    "ToUserName": "gh_1",
    "FromUserName": "o1",
    "CreateTime": 1_700_000_000,
    "MsgType": "text",
    "Content": "你好",
}


class Sink(RequestHandler):
    """Answers with the statuses it was given, then with 200."""

    def post(self, appid: str) -> None:
        self.application.settings["got"].append(self.request)
        statuses = self.application.settings["statuses"]
        self.set_status(statuses.pop(0) if statuses else 200)
        self.finish("success")


@pytest.fixture
async def sink(wx: Client) -> AsyncIterator[Application]:
    app = Application([(r"/callback/wechat/(\w+)", Sink)], got=[], statuses=[])
    server, (listener, port) = HTTPServer(app), bind_unused_port()
    server.add_socket(listener)
    wx.sim.backend_url = f"http://127.0.0.1:{port}"
    yield app
    server.stop()
    await server.close_all_connections()


async def push(wx: Client, **fields: Any) -> Any:
    return await wx.post("/sim/push", {"appid": OFFICIAL["appid"], "message": MESSAGE, **fields})


def query_of(request: Any) -> dict[str, str]:
    return {name: values[0].decode() for name, values in request.query_arguments.items()}


def opened(request: Any) -> Any:
    query = query_of(request)
    crypto = WeChatCrypto(OFFICIAL["token"], OFFICIAL["encodingAesKey"], OFFICIAL["appid"])
    return crypto.decrypt_message(request.body, query["msg_signature"], query["timestamp"], query["nonce"])


async def test_wechatpy_reads_what_is_pushed_in_safe_mode(wx: Client, sink: Application) -> None:
    answers = (await push(wx))["answers"]
    assert [(answer["status"], answer["body"]) for answer in answers] == [(200, "success")]
    (request,) = sink.settings["got"]
    assert "<Content><![CDATA[你好]]></Content>" in opened(request)
    query = query_of(request)
    check_signature(OFFICIAL["token"], query["signature"], query["timestamp"], query["nonce"])
    assert query["encrypt_type"] == "aes"


async def test_json_is_pushed_to_those_who_ask_for_it(wx: Client, sink: Application) -> None:
    await push(wx, format="json", mode="plain")
    await push(wx, format="json")
    plain, safe = sink.settings["got"]
    assert json.loads(plain.body) == MESSAGE
    assert set(json.loads(safe.body)) == {"ToUserName", "Encrypt"}


async def test_a_tampered_delivery_does_not_verify(wx: Client, sink: Application) -> None:
    await push(wx, tamper=True)
    with pytest.raises(InvalidSignatureException):
        opened(sink.settings["got"][0])
    await push(wx, tamper=True, mode="plain")
    query = query_of(sink.settings["got"][1])
    check_signature(OFFICIAL["token"], query["signature"], query["timestamp"], query["nonce"])
    assert b"Tampered" in sink.settings["got"][1].body


async def test_repeats_are_byte_for_byte_the_same(wx: Client, sink: Application) -> None:
    await push(wx, repeat=3)
    assert len({(request.uri, request.body) for request in sink.settings["got"]}) == 1
    assert len(sink.settings["got"]) == 3


async def test_what_is_not_answered_is_tried_three_times(wx: Client, sink: Application) -> None:
    sink.settings["statuses"][:] = [503, 503]
    assert [answer["status"] for answer in (await push(wx, attempts=3))["answers"]] == [503, 503, 200]
    sink.settings["statuses"][:] = [503] * 4
    assert len((await push(wx, attempts=3))["answers"]) == 3


async def test_several_messages_come_in_order_or_shuffled(wx: Client, sink: Application) -> None:
    messages = [{**MESSAGE, "MsgId": number} for number in range(20)]
    for shuffle in (False, True):
        sink.settings["got"].clear()
        await push(wx, messages=messages, shuffle=shuffle)
        came = [int(opened(request).partition("<MsgId>")[2].partition("<")[0]) for request in sink.settings["got"]]
        assert sorted(came) == list(range(20))
        assert (came == list(range(20))) == (not shuffle)


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": "loud"},
        {"format": "yaml"},
        {"repeat": 0},
        {"repeat": "3"},
        {"attempts": 4},
        {"message": "text"},
        {"messages": {}},
        {"messages": ["text"]},
        {"appid": "wxnone"},
        {"appid": APPID},
    ],
)
async def test_mistakes_are_named(wx: Client, sink: Application, fields: dict[str, Any]) -> None:
    assert (await push(wx, **fields))["error"]
    assert sink.settings["got"] == []
