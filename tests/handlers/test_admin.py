"""The admin port: what happened on the public one, by route and code."""

from collections.abc import AsyncIterator

import pytest
from tornado.testing import bind_unused_port

from backend import Backend, Reply, StartBackend, Store
from core.observe import metrics
from handlers.admin import make_admin_server


@pytest.fixture
async def backend(start_backend: StartBackend, embedded_store: Store) -> Backend:
    return await start_backend(embedded_store)


@pytest.fixture
async def admin_url(backend: Backend) -> AsyncIterator[str]:
    server, (listener, port) = make_admin_server(backend.kaimen), bind_unused_port()
    server.add_socket(listener)
    yield f"http://127.0.0.1:{port}"
    server.stop()
    await server.close_all_connections()


async def ask(backend: Backend, url: str, path: str) -> Reply:
    public, backend.url = backend.url, url
    try:
        return await backend.get(path)
    finally:
        backend.url = public


async def test_a_request_is_counted_by_its_route_and_code(backend: Backend, admin_url: str) -> None:
    before = metrics.REQUESTS.value("/api/sessions/{id}", "DELETE", "4010")
    await backend.call("DELETE", "/api/sessions/01a1fa98d632700fbb2d78a62e27feed")
    assert metrics.REQUESTS.value("/api/sessions/{id}", "DELETE", "4010") == before + 1
    text = (await ask(backend, admin_url, "/metrics")).text
    assert 'kaimen_http_requests_total{code="4010",method="DELETE",route="/api/sessions/{id}"}' in text
    assert 'kaimen_http_request_seconds_bucket{le="+Inf",route="/api/sessions/{id}"}' in text
    assert "kaimen_build_info{" in text
    assert "process_resident_memory_bytes" in text


async def test_nothing_that_a_client_sends_becomes_a_label(backend: Backend, admin_url: str) -> None:
    await backend.get("/canary-path")
    await backend.call("CANARY", "/api/auth", {})
    text = (await ask(backend, admin_url, "/metrics")).text
    assert "canary" not in text.lower()
    assert metrics.REQUESTS.value("other", "GET", "4040") >= 1
    assert metrics.REQUESTS.value("/api/auth", "other", "4050") >= 1


async def test_the_public_port_has_no_metrics(backend: Backend) -> None:
    assert (await backend.get("/metrics")).status == 404


async def test_the_admin_port_has_health_and_nothing_of_the_api(backend: Backend, admin_url: str) -> None:
    assert (await ask(backend, admin_url, "/healthz")).text == "ok"
    assert (await ask(backend, admin_url, "/readyz")).body["status"] == "ok"
    assert (await ask(backend, admin_url, "/api/user/info")).status == 404


async def test_what_the_admin_port_is_asked_is_not_counted(backend: Backend, admin_url: str) -> None:
    before = metrics.REQUESTS.value("/healthz", "GET", "200")
    await ask(backend, admin_url, "/healthz")
    assert metrics.REQUESTS.value("/healthz", "GET", "200") == before
