"""Bodies of the message push over a real socket: too large, in chunks, too slow; and none of them a 500."""

import asyncio
import json
import time
from dataclasses import replace
from urllib.parse import urlencode

import pytest

from backend import OFFICIAL, Backend, Store
from pushing import app_of, event
from rows import fetch
from simulator import push

LIMIT = 64 * 1024


def signed_query(backend: Backend, encrypted: str) -> str:
    app, timestamp = app_of(backend), str(int(time.time()))
    signature = push.sign(app.token, timestamp, "n1", encrypted)
    return urlencode({"timestamp": timestamp, "nonce": "n1", "encrypt_type": "aes", "msg_signature": signature})


async def send_raw(backend: Backend, head: str, parts: list[bytes], query: str = "") -> str:
    """The status line of the answer to a request as it is written here."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(backend.url.rpartition(":")[2]))
    writer.write(f"POST /callback/wechat/{OFFICIAL}?{query} HTTP/1.1\r\nHost: kaimen.test\r\n{head}\r\n\r\n".encode())
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        line = await asyncio.wait_for(reader.readline(), 15)
    finally:
        writer.close()
    return line.decode().strip()


def chunked(body: bytes, size: int = 8192) -> list[bytes]:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return [f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces] + [b"0\r\n\r\n"]


async def test_a_body_that_is_too_large_is_413_whether_or_not_it_says_so(backend: Backend) -> None:
    body = b"<xml><Encrypt>" + b"A" * LIMIT + b"</Encrypt></xml>"
    announced = await send_raw(backend, f"Content-Length: {len(body)}", [body])
    assert announced.startswith("HTTP/1.1 413 ")  # its words differ with the version of Python
    assert await send_raw(backend, "Transfer-Encoding: chunked", chunked(body)) == announced


async def test_a_genuine_push_in_chunks_is_taken(backend: Backend, store: Store) -> None:
    encrypted = push.encrypt(app_of(backend), push.to_xml(event(backend, "CLICK", EventKey="k")))
    query = signed_query(backend, encrypted)
    status = await send_raw(backend, "Transfer-Encoding: chunked", chunked(push.envelope(encrypted).encode(), 7), query)
    assert status == "HTTP/1.1 200 OK"
    assert await fetch(store, "SELECT kind FROM inbox") == [("CLICK",)]


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"Encrypt": "\ud800"}),
        json.dumps({"Encrypt": None}),
        json.dumps({"Encrypt": ["a"]}),
        json.dumps({"Encrypt": "é"}),
        json.dumps({"Encrypt": ""}),
        '{"Encrypt": NaN}',
        '{"a":' * 12_000,
        "<xml><Encrypt>é</Encrypt></xml>",
        "<xml><Encrypt><a/></Encrypt></xml>",
        "\xff\xfe",
        "",
    ],
)
async def test_no_body_is_a_bug_of_ours(backend: Backend, store: Store, body: str) -> None:
    for query in ("", signed_query(backend, "é"), "timestamp=%ff&nonce=%00&encrypt_type=aes&msg_signature=%ED%A0%80"):
        reply = await backend.call("POST", f"/callback/wechat/{OFFICIAL}?{query}", body, Content_Type="text/xml")
        assert reply.status in (400, 401), reply.text
    assert await fetch(store, "SELECT COUNT(*) FROM inbox") == [(0,)]


async def test_a_bomb_inside_a_genuine_envelope_is_refused_too(backend: Backend, store: Store) -> None:
    inner = '<!DOCTYPE xml [<!ENTITY a "b">]><xml><Event>&a;</Event></xml>'
    encrypted = push.encrypt(app_of(backend), inner)
    path = f"/callback/wechat/{OFFICIAL}?{signed_query(backend, encrypted)}"
    reply = await backend.call("POST", path, push.envelope(encrypted), Content_Type="text/xml")
    assert (reply.status, reply.text) == (400, "invalid_request")
    assert await fetch(store, "SELECT COUNT(*) FROM inbox") == [(0,)]


async def test_a_push_encrypted_for_another_app_is_refused_though_it_is_signed(backend: Backend) -> None:

    foreign = replace(app_of(backend), appid="wx00000000000000ff")
    encrypted = push.encrypt(foreign, push.to_xml(event(backend, "CLICK")))
    path = f"/callback/wechat/{OFFICIAL}?{signed_query(backend, encrypted)}"
    reply = await backend.call("POST", path, push.envelope(encrypted), Content_Type="text/xml")
    assert (reply.status, reply.text) == (401, "unauthenticated")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_405(backend: Backend, method: str) -> None:
    body = None if method == "DELETE" else "x"
    reply = await backend.call(method, f"/callback/wechat/{OFFICIAL}", body, Content_Type="text/xml")
    assert (reply.status, reply.headers["Allow"]) == (405, "GET, POST")
