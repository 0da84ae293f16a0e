import asyncio
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wechat_stub import (
    CODE,
    LOGIN,
    SECRET,
    SESSION_KEY,
    ExampleApp,
    Stub,
    answer,
    hang,
    huge,
    reset,
)

from app.wechat.client import WeChatClient
from app.wechat.wire import Code2Session
from certificates import make_certificate
from core.clock import Clock, Deadline
from core.errors import AppError, Code

APP = ExampleApp()
BUSY = answer({"errcode": -1, "errmsg": "system error"})
OK = answer({"errcode": 0, "errmsg": "ok"})
MakeClient = Callable[..., WeChatClient]


def soon(seconds: float = 3.0) -> Deadline:
    return Deadline.after(Clock(), seconds)


async def login(client: WeChatClient, deadline: Deadline | None = None) -> Code2Session:
    return await client.code2session(APP, CODE, deadline or soon())


async def login_fails(client: WeChatClient, code: Code, deadline: Deadline | None = None) -> AppError:
    with pytest.raises(AppError) as raised:
        await login(client, deadline)
    assert raised.value.code is code
    return raised.value


# --- TLS ---


async def test_unknown_certificate_is_refused_once_and_a_private_ca_accepted(
    make_client: MakeClient, tmp_path: Path
) -> None:
    context, ca_file = make_certificate(tmp_path)
    stub = Stub()
    await stub.start(ssl=context)
    outcomes: list[str] = []
    url = f"https://localhost:{stub.port}"
    strict = make_client(url, observer=lambda *seen: outcomes.append(seen[2]))
    await login_fails(strict, Code.WX_UNAVAILABLE)
    assert (outcomes, stub.seen) == (["certificate"], [])
    assert (await login(make_client(url, ca_file=ca_file))).openid == LOGIN["openid"]
    await stub.stop()


async def test_failed_tls_handshake_is_tried_again(stub: Stub, make_client: MakeClient) -> None:
    outcomes: list[str] = []

    class SpeaksNoTls(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.write(b"no TLS here\r\n")  # type: ignore[attr-defined]

    server = await asyncio.get_running_loop().create_server(SpeaksNoTls, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await login_fails(make_client(url, observer=lambda *seen: outcomes.append(seen[2])), Code.WX_UNAVAILABLE)
    server.close()
    assert outcomes == ["tls"] * 3


# --- what may be seen from outside ---


@pytest.mark.parametrize(
    "behaviour",
    [
        reset,
        hang,
        huge,
        answer(LOGIN, length=4000),
        answer(b"<html>"),
        answer(b'{"openid": 5, "session_key": "' + SESSION_KEY.encode() + b'"}'),
        answer(b'{"session_key": "' + SESSION_KEY.encode()),
        answer(LOGIN, status=500),
        answer({"errcode": 40125, "errmsg": "invalid appsecret"}),
        BUSY,
    ],
)
async def test_no_secret_is_in_what_is_raised_logged_or_observed(
    stub: Stub, make_client: MakeClient, behaviour: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    caplog.set_level("DEBUG", "tornado.curl_httpclient")
    observed: list[Any] = []
    stub.default = behaviour
    client = make_client(stub.url, observer=lambda *seen: observed.append(seen))
    error = await login_fails_with_anything(client)
    chain: list[BaseException] = [error]
    while following := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(following)
    shown = "".join(traceback.format_exception(error)) + repr([(e, e.args, vars(e)) for e in chain])
    shown += repr(observed) + caplog.text
    assert not [secret for secret in (SECRET, CODE, SESSION_KEY, "secret=") if secret in shown]


async def login_fails_with_anything(client: WeChatClient) -> AppError:
    with pytest.raises(AppError) as raised:
        await login(client, soon(0.3))
    return raised.value


async def test_observer_hears_of_each_attempt(stub: Stub, make_client: MakeClient) -> None:
    observed: list[Any] = []
    client = make_client(stub.url, observer=lambda *seen: observed.append(seen[:5]))
    stub.plan.append(answer({"errcode": 40029, "errmsg": "invalid code, rid: 6129ee10-272863a4-64d75414"}))
    await login_fails(client, Code.INVALID_WX_CODE)
    await login(client)
    assert observed == [
        ("jscode2session", APP.appid, "refused", 40029, "6129ee10-272863a4-64d75414"),
        ("jscode2session", APP.appid, "ok", None, None),
    ]
