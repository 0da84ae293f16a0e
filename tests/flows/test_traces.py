"""Traces as a real collector process gets them: one for a login, parents believed or not, batches linked, no secret."""

import asyncio
import itertools
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from test_central_access_token import bind_phone, lent_by
from test_request_logs import Log
from test_secrets import identities, live_through_everything, never_anywhere
from test_session_socket import sign_in
from test_session_socket import socket as socket_of

from backend import Backend, StartBackend, Store
from core.observe import metrics
from core.observe.logs import set_up_logs
from core.observe.traces import ATTRIBUTES
from otlp_receiver import Collector, Span
from servers import free_port
from service_client import add_service
from webhooks import NETWORKS, add_webhook, received, until

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    with Collector() as running:
        yield running


StartTraced = Callable[..., Awaitable[Backend]]


@pytest.fixture
def start_traced(start_backend: StartBackend, collector: Collector) -> StartTraced:
    async def start(store: Store, **settings: Any) -> Backend:
        return await start_backend(store, otlp_url=collector.url, trusted_proxies="127.0.0.1", **settings)

    return start


async def requests(collector: Collector, count: int, route: str = "/api/auth") -> list[Span]:
    """The spans of so many requests: they end last, so their parts have come before them or with them."""
    await until(lambda: len(collector.named(f"POST {route}")) >= count)
    return sorted(collector.named(f"POST {route}"), key=lambda one: one.started_at)


def below(collector: Collector, whole: Span) -> list[Span]:
    parts = collector.parts_of(whole)
    return parts + list(itertools.chain.from_iterable(below(collector, part) for part in parts))


async def test_a_login_is_one_trace_from_the_caller_down_to_the_statements(
    start_traced: StartTraced, collector: Collector, store: Store
) -> None:
    backend = await start_traced(store)
    body = {"action": "login", "code": backend.wx_login()}
    reply = await backend.call("POST", "/api/auth", body, traceparent=TRACEPARENT)
    (request,) = await requests(collector, 1)
    assert (request.trace_id, request.parent, request.kind) == (TRACE, CALLER, "server")
    assert request.attributes["user.id"] == reply.data["user"]["id"]
    assert request.attributes["session.id"] == reply.data["sessionId"]
    assert request.attributes["kaimen.request_id"] == reply.body["requestId"]
    assert request.attributes["http.response.status_code"] == 200
    assert request.resource["service.name"] == "kaimen"

    parts = below(collector, request)
    (wechat,) = [one for one in parts if one.name == "GET /sns/jscode2session"]
    assert (wechat.kind, wechat.attributes["kaimen.wechat.outcome"]) == ("client", "ok")
    (commit,) = [one for one in parts if one.name == "batch sign_in"]
    statements = collector.parts_of(commit)
    assert statements[0].name == "BEGIN"
    assert statements[-1].name == "COMMIT"
    assert any(one.attributes["db.query.text"].startswith("INSERT INTO sessions") for one in statements)
    assert any(one.attributes.get("db.system.name") == "redis" for one in parts)
    assert all(request.started_at <= one.started_at <= one.ended_at <= request.ended_at for one in parts)
    assert {one.trace_id for one in parts} == {TRACE}


async def test_two_logins_of_one_commit_share_a_span_that_is_linked_to_both(
    start_traced: StartTraced, collector: Collector, server_store: Store
) -> None:
    backend = await start_traced(server_store)
    backend.simulator.faults.add({"api": "jscode2session", "delayS": 0.1})
    names = [f"user{number}" for number in range(8)]
    for name in names:
        backend.simulator.wechat.users.save({"name": name})
    replies = await asyncio.gather(*(backend.auth("login", code=backend.wx_login(name)) for name in names))
    assert {reply.status for reply in replies} == {200}
    logins = {(one.trace_id, one.id) for one in await requests(collector, len(names))}
    shared = [one for one in collector.named("batch sign_in") if len(one.links) > 1]
    assert shared
    for work in shared:
        assert len(work.links) == work.attributes["kaimen.batch.items"]
        assert set(work.links) <= logins
        assert (work.trace_id, work.parent) == work.links[0]
        others = [one for one in collector.named("batch sign_in") if one.links == [(work.trace_id, work.id)]]
        assert {(one.trace_id, one.parent) for one in others} == set(work.links[1:])


async def test_who_is_no_trusted_proxy_decides_neither_the_trace_nor_whether_it_is_recorded(
    start_backend: StartBackend, collector: Collector, embedded_store: Store
) -> None:
    backend = await start_backend(embedded_store, otlp_url=collector.url)
    body = {"action": "login", "code": backend.wx_login()}
    await backend.call("POST", "/api/auth", body, traceparent=TRACEPARENT[:-1] + "0")
    (request,) = await requests(collector, 1)
    assert request.trace_id != TRACE
    assert (request.parent, request.links) == ("", [(TRACE, CALLER)])


async def test_a_caller_whose_trace_is_not_recorded_has_none_recorded_here(
    start_traced: StartTraced, collector: Collector, embedded_store: Store
) -> None:
    backend = await start_traced(embedded_store)
    body = {"action": "login", "code": backend.wx_login()}
    await backend.call("POST", "/api/auth", body, traceparent=TRACEPARENT[:-1] + "0")
    await backend.login()
    (request,) = await requests(collector, 1)
    assert request.parent == ""
    assert TRACE not in {one.trace_id for one in collector.spans}


async def test_lines_of_the_log_and_examples_of_the_metrics_lead_to_the_trace(
    start_traced: StartTraced, collector: Collector, embedded_store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs("info", "json")
    try:
        backend, log = await start_traced(embedded_store), Log(capsys)
        await backend.login()
        (request,) = await requests(collector, 1)
        assert log.lines()[-1]["trace_id"] == request.trace_id
    finally:
        set_up_logs("error", "json")
    text, _ = metrics.expose("application/openmetrics-text")
    assert f'# {{trace_id="{request.trace_id}"}}'.encode() in text
    text, _ = metrics.expose("text/plain")
    assert request.trace_id.encode() not in text


async def test_what_fails_is_marked_with_our_name_of_the_error_or_wechats(
    start_traced: StartTraced, collector: Collector, embedded_store: Store
) -> None:
    backend = await start_traced(embedded_store)
    backend.simulator.faults.add({"api": "jscode2session", "errcode": 40029, "times": 1})
    await backend.auth("login", code=backend.wx_login())
    backend.simulator.faults.add({"api": "jscode2session", "status": 500})
    await backend.auth("login", code=backend.wx_login())
    refused, broken = await requests(collector, 2)
    (wechat,) = [one for one in below(collector, refused) if "kaimen.wechat.api" in one.attributes]
    assert (wechat.attributes["kaimen.wechat.errcode"], wechat.failed) == (40029, True)
    assert wechat.attributes["kaimen.wechat.rid"]
    assert (refused.attributes["kaimen.code"], refused.failed) == (4004, False)
    assert (broken.attributes["kaimen.code"], broken.failed) == (5020, True)
    assert broken.attributes["error.type"] == "wx_bad_reply"


async def test_an_event_is_published_in_a_trace_and_told_to_a_webhook_with_its_traceparent(
    start_traced: StartTraced, collector: Collector, embedded_store: Store
) -> None:
    backend = await start_traced(embedded_store, webhook_networks=NETWORKS)
    await add_webhook(backend, "crm", "user.created")
    await until(lambda: backend.kaimen.relay.webhooks)
    await backend.login()
    await until(lambda: received(backend, "crm"))
    await until(lambda: collector.named("webhook crm"))
    (post,) = collector.named("webhook crm")
    told = received(backend, "crm")[0]
    assert told.headers["traceparent"] == f"00-{post.trace_id}-{post.id}-{told.headers['traceparent'][-2:]}"
    assert post.attributes["kaimen.event_id"] == told.event["id"]
    published = collector.named("publish events")[0]
    assert collector.parts_of(published)[0].name == "EVAL"
    assert any(one.name == "UPDATE" for one in below(collector, published))


async def test_the_deployment_that_lends_its_access_token_goes_on_with_the_trace(
    start_traced: StartTraced, collector: Collector, server_store: Store, embedded_store: Store
) -> None:
    lender = await add_service(await start_traced(server_store), "staging", ("access-token",))
    backend = await start_traced(embedded_store, apps=lent_by(lender.backend.url, lender))
    assert await bind_phone(backend) == 200
    route = "/api/wechat/{appid}/access-token"
    (lent,) = await requests(collector, 1, route)
    (request,) = await requests(collector, 1, "/api/user/phone")
    (borrowed,) = [one for one in below(collector, request) if one.name == "borrow access_token"]
    assert (lent.trace_id, lent.parent) == (borrowed.trace_id, borrowed.id)


async def test_a_socket_is_traced_until_it_stands_and_what_is_no_route_is_other(
    start_traced: StartTraced, collector: Collector, embedded_store: Store
) -> None:
    backend = await start_traced(embedded_store)
    login = await backend.login()
    async with socket_of(backend) as connection:
        assert await sign_in(connection, login["accessToken"]) == {"type": "READY"}
        await until(lambda: collector.named("GET /api/session/ws"))
    await backend.get(f"/nowhere/{login['accessToken']}")
    await backend.get("/healthz")
    await until(lambda: collector.named("GET other"))
    (shaken,), (lost,) = collector.named("GET /api/session/ws"), collector.named("GET other")
    assert shaken.attributes["http.response.status_code"] == 101
    assert (lost.attributes["kaimen.code"], lost.attributes["url.path"]) == (4040, "/nowhere/…")
    assert not collector.named("GET /healthz")


async def test_wechat_is_told_nothing_of_traces(
    start_traced: StartTraced, collector: Collector, embedded_store: Store
) -> None:
    heads: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        body = b'{"openid": "oNobody00000000000000000001", "session_key": "MDEyMzQ1Njc4OWFiY2RlZg=="}'
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as wechat:
        port = wechat.sockets[0].getsockname()[1]
        backend = await start_traced(embedded_store, wechat_api_url=f"http://127.0.0.1:{port}")
        assert (await backend.auth("login", code=backend.wx_login())).status == 200
    (request,) = await requests(collector, 1)
    assert any("kaimen.wechat.api" in one.attributes for one in below(collector, request))
    assert "/sns/jscode2session?" in heads[0]
    assert "traceparent" not in heads[0].lower()
    assert request.trace_id not in heads[0]


async def test_no_secret_is_in_any_span_and_no_attribute_but_those_of_the_table(
    start_traced: StartTraced, collector: Collector, store: Store
) -> None:
    backend = await start_traced(store)
    secrets, _ = await live_through_everything(backend)
    last = f"00-{TRACE}-{CALLER}-01"
    await backend.call("POST", "/api/auth", {"action": "login", "code": backend.wx_login()}, traceparent=last)
    await until(lambda: [one for one in collector.named("POST /api/auth") if one.trace_id == TRACE])
    text = collector.text
    for secret in [*secrets, *identities(backend), *never_anywhere(backend), "js_code", "access_token="]:
        assert secret not in text, secret
    assert {name for one in collector.spans for name in one.attributes} <= ATTRIBUTES.keys()


@pytest.fixture(params=["away", "silent"])
def dead_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Where nobody listens, or where connections are taken by the kernel and never read."""
    if request.param == "away":
        yield free_port()
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def test_a_collector_that_is_away_or_silent_fails_and_holds_up_nothing(
    start_backend: StartBackend, embedded_store: Store, monkeypatch: pytest.MonkeyPatch, dead_port: int
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    refused = metrics.SPANS.value("refused")
    backend = await start_backend(embedded_store, otlp_url=f"http://127.0.0.1:{dead_port}")
    for _ in range(5):
        await backend.login()
    await until(lambda: metrics.SPANS.value("refused") > refused)


async def test_spans_that_find_the_queue_full_are_dropped_and_counted(
    start_traced: StartTraced, collector: Collector, embedded_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.observe.otlp.QUEUE_MAX", 4)
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    collector.stop()
    dropped = metrics.SPANS.value("dropped")
    backend = await start_traced(embedded_store)
    for _ in range(3):
        await backend.login()
    assert metrics.SPANS.value("dropped") > dropped
