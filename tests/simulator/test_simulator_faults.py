import asyncio
import socket
from typing import Any

import pytest
from simulator_client import Client
from tornado.httpclient import HTTPResponse
from tornado.iostream import IOStream
from tornado.simple_httpclient import HTTPStreamClosedError

from simulator import Simulator

API = "jscode2session"


async def add(wx: Client, **fault: Any) -> dict[str, Any]:
    return await wx.post("/sim/faults", {"api": API, **fault})


async def raw_exchange(wx: Client, **options: Any) -> HTTPResponse:
    return await wx.fetch(f"/sns/{API}", **options)


async def test_an_errcode_answers_without_consuming_the_code(wx: Client) -> None:
    await add(wx, errcode=-1, times=1)
    code = await wx.login()
    reply = await wx.exchange(code)
    assert reply["errcode"] == -1
    assert reply["errmsg"].startswith("system error, rid: ")
    assert "openid" in await wx.exchange(code)


async def test_times_counts_down_and_the_fault_ends(wx: Client) -> None:
    fault = await add(wx, errcode=45011, times=2)
    assert fault == {"id": 1, "api": API, "errcode": 45011, "times": 2}
    assert (await wx.exchange("x"))["errcode"] == 45011
    assert (await wx.get("/sim/state"))["faults"] == [{**fault, "times": 1}]
    assert (await wx.exchange("x"))["errcode"] == 45011
    assert (await wx.exchange("x"))["errcode"] == 40029
    assert (await wx.get("/sim/state"))["faults"] == []


async def test_a_rate_hits_some_calls_and_the_seed_repeats_which(wx: Client) -> None:
    await add(wx, errcode=-1, rate=0.5)
    replies = [(await wx.exchange("x"))["errcode"] for _ in range(40)]
    assert 10 < replies.count(-1) < 30
    again = Simulator(seed=1).faults
    again.add({"api": API, "errcode": -1, "rate": 0.5})
    assert [again.take(API) is not None for _ in range(40)] == [code == -1 for code in replies]


async def test_faults_hit_only_their_api_unless_it_is_a_star(wx: Client) -> None:
    await add(wx, errcode=-1)
    assert await wx.token()
    await wx.post("/sim/faults", {"api": "*", "status": 503})
    assert (await wx.fetch("/cgi-bin/token")).code == 503


async def test_faults_are_deleted_one_by_one_or_all(wx: Client) -> None:
    first, second = await add(wx, errcode=-1), await add(wx, errcode=45011)
    response = await wx.fetch(f"/sim/faults?id={first['id']}", "DELETE")
    assert response.body == b'{"cleared":1}'
    assert (await wx.get("/sim/state"))["faults"] == [second]
    await wx.fetch("/sim/faults", "DELETE")
    assert (await wx.exchange("x"))["errcode"] == 40029


async def test_a_status_answers_a_page_or_with_errcode_json(wx: Client) -> None:
    await add(wx, status=502, times=1)
    response = await raw_exchange(wx)
    assert (response.code, response.headers["Content-Type"]) == (502, "text/html")
    await add(wx, status=500, errcode=-1)
    response = await raw_exchange(wx)
    assert response.code == 500
    assert b'"errcode":-1' in response.body


async def test_html_is_a_page_with_status_200(wx: Client) -> None:
    await add(wx, html=True)
    response = await raw_exchange(wx)
    assert response.code == 200
    assert response.body.startswith(b"<!DOCTYPE html>")


async def test_a_delay_holds_the_answer_back(wx: Client) -> None:
    await add(wx, delayS=0.15)
    code = await wx.login()
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert "openid" in await wx.exchange(code)
    assert loop.time() - started >= 0.15


async def test_a_delay_may_end_in_an_errcode(wx: Client) -> None:
    await add(wx, delayS=0.01, errcode=-1)
    assert (await wx.exchange("x"))["errcode"] == -1


async def open_stream(wx: Client, path: str = f"/sns/{API}") -> IOStream:
    stream = IOStream(socket.socket())
    await stream.connect(("127.0.0.1", wx.sim.port))
    await stream.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return stream


async def test_a_truncated_reply_promises_more_than_it_sends(wx: Client) -> None:
    await add(wx, truncate=True)
    stream = await open_stream(wx)
    head, _, body = (await stream.read_until_close()).partition(b"\r\n\r\n")
    promised = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    assert len(body) == promised // 2
    assert body.startswith(b'{"errcode"')


async def test_a_reset_ends_the_connection_with_rst(wx: Client) -> None:
    await add(wx, reset=True)
    reader, writer = await asyncio.open_connection("127.0.0.1", wx.sim.port)
    writer.write(f"GET /sns/{API} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_a_hang_never_answers_until_the_client_leaves(wx: Client) -> None:
    await add(wx, hang=True, times=1)
    stream = await open_stream(wx)
    answer = asyncio.ensure_future(stream.read_bytes(1))
    await asyncio.sleep(0.1)
    assert not answer.done()
    assert (await wx.get("/sim/calls"))["last"][0]["reply"] is None
    stream.close()
    answer.exception() if answer.done() else answer.cancel()
    await asyncio.sleep(0.1)
    assert (await wx.get("/sim/calls"))["last"][0]["reply"] == "no answer"


@pytest.mark.parametrize("fault", [{"hang": True}, {"delayS": 60}])
async def test_stopping_ends_calls_that_wait(fault: dict[str, Any]) -> None:
    sim = Simulator()
    await sim.start()
    wx = Client(sim)
    await add(wx, **fault)
    call = asyncio.ensure_future(raw_exchange(wx))
    await asyncio.sleep(0.1)
    await asyncio.wait_for(sim.stop(), 2)
    with pytest.raises(HTTPStreamClosedError):
        await call
    wx.http.close()


async def test_huge_and_bomb_are_fifty_megabytes(wx: Client) -> None:
    await add(wx, huge=True, times=1)
    assert len((await raw_exchange(wx)).body) > 50_000_000
    await add(wx, gzipBomb=True)
    packed = await raw_exchange(wx, decompress_response=False)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.body) < 1_000_000


async def test_a_client_that_leaves_a_huge_reply_does_no_harm(wx: Client) -> None:
    await add(wx, huge=True, times=1)
    stream = await open_stream(wx)
    await stream.read_bytes(1000)
    stream.close()
    await asyncio.sleep(0.05)
    assert (await wx.exchange("x"))["errcode"] == 40029


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"errcode": -1}, "api must be one of"),
        ({"api": "nothing", "errcode": -1}, "api must be one of"),
        ({"api": API}, "does nothing"),
        ({"api": API, "hang": False}, "does nothing"),
        ({"api": API, "hang": 1}, "hang must be"),
        ({"api": API, "errcode": "40029"}, "errcode must be"),
        ({"api": API, "errcode": True}, "errcode must be"),
        ({"api": API, "status": 99}, "status must be"),
        ({"api": API, "hang": True, "times": 0}, "times must be"),
        ({"api": API, "hang": True, "rate": 2}, "rate must be"),
        ({"api": API, "delayS": -1}, "delayS must be"),
        ({"api": API, "hang": True, "colour": "red"}, "unknown field colour"),
        ({"api": API, "hang": True, "id": 5}, "unknown field id"),
    ],
)
async def test_a_fault_that_could_not_work_is_refused(wx: Client, body: dict[str, Any], words: str) -> None:
    response = await wx.fetch("/sim/faults", "POST", body)
    assert response.code == 400
    assert words in response.body.decode()
