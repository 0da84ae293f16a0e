"""Whatever is sent, the answer is a tabled error, and nothing is written."""

import asyncio
import json
from typing import Any
from urllib.parse import quote

import pytest

from backend import PASSWORD, Backend, StartBackend, Store
from service_client import add_service

DEEP = '{"action":' + "[" * 30_000 + "]" * 30_000 + "}"


@pytest.fixture
async def backend(start_backend: StartBackend, embedded_store: Store) -> Backend:
    """Parsing is the same over every store."""
    return await start_backend(embedded_store)


async def post(backend: Backend, body: Any, **headers: str) -> Any:
    return await backend.call("POST", "/api/auth", body, **headers)


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        "null",
        '"login"',
        '{"action":"login","code":"a","code":"b"}',
        '{"action":"login","code":NaN}',
        '{"action":"login","code":Infinity}',
        '{"action":"login","code":' + "1" * 5000 + "}",
        DEEP,
        b'{"action":"login","code":"\xff"}',
        b"\xef\xbb\xbf{}",
        '{"action":"login","code":"a"} trailing',
    ],
    ids=["cut", "list", "null", "text", "twice", "nan", "infinity", "digits", "deep", "latin1", "bom", "trailing"],
)
async def test_malformed_json_is_refused(backend: Backend, body: Any) -> None:
    reply = await post(backend, body)
    assert (reply.status, reply.error) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "action"),
        ({"action": "LOGIN"}, "action"),
        ({"action": ["login"]}, "action"),
        ({"action": {}}, "action"),
        ({"action": "login"}, "code"),
        ({"action": "login", "code": 0}, "code"),
        ({"action": "login", "code": True}, "code"),
        ({"action": "login", "code": []}, "code"),
        ({"action": "login", "code": {}}, "code"),
        ({"action": "login", "code": ""}, "code"),
        ({"action": "login", "code": "a" * 129}, "code"),
        ({"action": "login", "code": "a b"}, "code"),
        ({"action": "login", "code": "a\n"}, "code"),
        ({"action": "login", "code": "é"}, "code"),
        ({"action": "login", "code": "a\u0000"}, "code"),
        ({"action": "login", "code": "a", "openid": "oVictim"}, "openid"),
        ({"action": "login", "code": "a", "unionid": "u"}, "unionid"),
        ({"action": "login", "code": "a", "userId": "1"}, "userId"),
        ({"action": "login", "code": "a", "role": "admin"}, "role"),
        ({"action": "login", "code": "a", "phone_code": "x"}, "phone_code"),
        ({"action": "login", "code": "a", "username": "alice", "password": "x"}, "code"),
        ({"action": "login", "username": "alice"}, "password"),
        ({"action": "login", "username": 0, "password": "x"}, "username"),
        ({"action": "login", "username": "a", "password": True}, "password"),
        ({"action": "login", "username": "a", "password": "x", "phoneCode": "x"}, "phoneCode"),
        ({"action": "login", "code": "a", "encryptedData": "AAAA"}, "iv"),
        ({"action": "login", "code": "a", "rawData": "{}"}, "signature"),
        ({"action": "autoLogin"}, "refreshToken"),
        ({"action": "autoLogin", "refreshToken": 1}, "refreshToken"),
        ({"action": "autoLogin", "refreshToken": "a" * 513}, "refreshToken"),
        ({"action": "register"}, "code"),
        ({"action": "login", "appid": 1, "code": "a"}, "appid"),
    ],
    ids=str,
)
async def test_a_wrong_field_is_named_and_wechat_is_not_asked(
    backend: Backend, body: dict[str, Any], field: str
) -> None:
    reply = await post(backend, body)
    assert (reply.status, reply.error, reply.body["data"]) == (400, "invalid_request", {"field": field})
    assert backend.count_calls("jscode2session") == 0


@pytest.mark.parametrize("field", ["code", "username", "password", "appid", "encryptedData", "rawData"])
async def test_a_lone_surrogate_is_refused_in_every_field(backend: Backend, field: str) -> None:
    body = {"action": "register", "username": "alice", "password": PASSWORD, field: "\ud800"}
    reply = await post(backend, json.dumps(body))
    assert (reply.status, reply.error) == (400, "invalid_request")


async def test_a_body_of_64_kib_and_one_byte_is_too_large(backend: Backend) -> None:
    reply = await post(backend, "x" * (64 * 1024 + 1))
    assert (reply.status, reply.error) == (413, "body_too_large")


async def test_a_body_of_50_mb_is_refused_without_being_read(backend: Backend) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(backend.url.rsplit(":", 1)[1]))
    writer.write(b"POST /api/auth HTTP/1.1\r\nHost: x\r\nContent-Length: 52428800\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)
    writer.close()
    assert head.startswith(b"HTTP/1.1 413")


async def test_a_chunked_body_that_grows_too_large_is_refused(backend: Backend) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(backend.url.rsplit(":", 1)[1]))
    writer.write(
        b"POST /api/auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for _ in range(5):
        writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
    writer.write(b"0\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)
    writer.close()
    assert head.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_anything_but_json_is_an_unsupported_media_type(backend: Backend, media_type: str) -> None:
    reply = await post(backend, '{"action":"login","code":"a"}', Content_Type=media_type)
    assert (reply.status, reply.error) == (415, "unsupported_media_type")


async def test_json_may_name_its_charset(backend: Backend) -> None:
    reply = await post(backend, '{"action":"nope"}', Content_Type="Application/JSON; charset=utf-8")
    assert reply.body["data"] == {"field": "action"}


async def test_an_unknown_path_is_not_found_for_any_method(backend: Backend) -> None:
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        reply = await backend.call(method, "/api/nothing")
        assert (reply.status, reply.error) == (404, "not_found")


async def test_a_wrong_method_names_the_right_ones(backend: Backend) -> None:
    reply = await backend.call("POST", "/api/user/info", {})
    assert (reply.status, reply.error, reply.headers["Allow"]) == (405, "method_not_allowed", "GET, PUT, PATCH")


@pytest.mark.parametrize("given", ["abc", "A.b_c-9", "x" * 64])
async def test_a_well_formed_request_id_comes_back(backend: Backend, given: str) -> None:
    reply = await backend.call("GET", "/api/user/info", X_Request_Id=given)
    assert reply.headers["X-Request-Id"] == reply.body["requestId"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "é", '"><script>'])
async def test_a_malformed_request_id_is_replaced(backend: Backend, given: str) -> None:
    reply = await backend.call("GET", "/api/user/info", X_Request_Id=given)
    assert reply.body["requestId"] != given
    assert len(reply.body["requestId"]) == 32


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "nickname"),
        ({"nickname": ""}, "nickname"),
        ({"nickname": "   "}, "nickname"),
        ({"nickname": "x" * 65}, "nickname"),
        ({"nickname": "x" * 10_000}, "nickname"),
        ({"nickname": "a\u0000b"}, "nickname"),
        ({"nickname": "a\u202eb"}, "nickname"),
        ({"nickname": "a\u200bb"}, "nickname"),
        ({"nickname": 5}, "nickname"),
        ({"avatarUrl": "http://example.com/a.png"}, "avatarUrl"),
        ({"avatarUrl": "javascript:alert(1)"}, "avatarUrl"),
        ({"avatarUrl": "https://user@example.com/a"}, "avatarUrl"),
        ({"avatarUrl": "https://exa mple.com/a"}, "avatarUrl"),
        ({"avatarUrl": "https://" + "a" * 1100}, "avatarUrl"),
        ({"email": "nobody"}, "email"),
        ({"email": "a@b.c\r\nBcc: d@e.f"}, "email"),
        ({"phone": "13800138000"}, "phone"),
        ({"roles": ["admin"]}, "roles"),
    ],
    ids=str,
)
async def test_a_profile_change_that_breaks_a_rule_changes_nothing(
    backend: Backend, body: dict[str, Any], field: str
) -> None:
    login = await backend.login()
    before = await backend.get("/api/user/info", login["accessToken"])
    reply = await backend.call("PATCH", "/api/user/info", body, login["accessToken"])
    after = await backend.get("/api/user/info", login["accessToken"])
    assert (reply.status, reply.body["data"]) == (400, {"field": field})
    assert before.data == after.data


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /api/auth HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"POST /api/auth HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /api/auth HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nCookie: " + b"a" * 60_000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
    ],
    ids=["two-lengths", "cl-and-te", "odd-te", "two-hosts", "nul", "nonsense", "cookie", "headers"],
)
async def test_a_malformed_request_never_succeeds(backend: Backend, raw: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(backend.url.rsplit(":", 1)[1]))
    writer.write(raw)
    answer = await asyncio.wait_for(reader.read(20), 5)
    writer.close()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


async def test_a_body_that_does_not_come_ends_the_connection(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handlers.base.ApiHandler.body_s", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(backend.url.rsplit(":", 1)[1]))
    writer.write(b'POST /api/auth HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{"action"')
    assert await asyncio.wait_for(reader.read(1), 3) == b""
    writer.close()
    assert await backend.kaimen.health.wait_idle(1)


@pytest.mark.parametrize("path", ["/nowhere", "/api/auth"])
async def test_a_connection_that_will_be_closed_is_said_to_be(backend: Backend, path: str) -> None:
    """Else a proxy sends its next request into the closing connection, and has nothing to answer but 502."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(backend.url.rsplit(":", 1)[1]))
    request = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
    writer.write(request.encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    await asyncio.wait_for(reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r")[0])), 5)
    announced = b"connection: close" in head.lower()
    if not announced:
        writer.write(request.encode())
    is_closed = await asyncio.wait_for(reader.read(1), 5) == b""
    writer.close()
    assert announced == is_closed


@pytest.mark.parametrize("text", ["ürün", "老鲍", "🎣"])
async def test_an_id_of_other_characters_than_ours_is_nobodys(
    start_backend: StartBackend, server_store: Store, text: str
) -> None:
    """MySQL refuses to compare them with an ASCII column: an error, which would be told as 5001."""
    backend = await start_backend(server_store)
    token = (await backend.login())["accessToken"]
    assert (await backend.get(f"/api/user/info?userId={quote(text)}", token)).error == "forbidden"
    service = await add_service(backend)
    assert await service.lookup(ids=[text]) == []
    changed = await service.call("PATCH", f"/api/service/users/{quote(text)}", {"disabled": True})
    assert changed.error == "not_found"
    ended = await backend.call("DELETE", f"/api/sessions/{quote(text)}", None, token)
    assert ended.error == "not_found"
