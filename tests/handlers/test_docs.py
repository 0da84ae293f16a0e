"""``/docs``, ``/openapi.json`` and ``/postman.json`` as they are served."""

import subprocess
import sys

import pytest

from backend import Backend, StartBackend, Store

PATHS = ["/docs", "/openapi.json", "/postman.json"]


@pytest.fixture
async def backend(start_backend: StartBackend, embedded_store: Store) -> Backend:
    return await start_backend(embedded_store)


async def test_the_document_names_the_url_and_the_cookie_of_this_installation(
    start_backend: StartBackend, embedded_store: Store
) -> None:
    backend = await start_backend(embedded_store, public_url="https://login.example.com", path_prefix="/auth")
    reply = await backend.get("/auth/openapi.json")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    assert reply.body["servers"] == [{"url": "https://login.example.com/auth"}]
    assert reply.body["components"]["securitySchemes"]["cookie"]["name"] == "__Host-kaimen"
    postman = await backend.get("/auth/postman.json")
    assert postman.body["variable"][0] == {"key": "baseUrl", "value": "https://login.example.com/auth"}


async def test_what_was_read_before_is_not_sent_again(backend: Backend) -> None:
    first = await backend.get("/openapi.json")
    again = await backend.get("/openapi.json", If_None_Match=first.headers["ETag"])
    assert (again.status, again.text) == (304, "")


@pytest.mark.parametrize("path", PATHS)
async def test_it_may_be_hidden(start_backend: StartBackend, embedded_store: Store, path: str) -> None:
    backend = await start_backend(embedded_store, api_docs="off")
    assert (await backend.get(path)).error == "not_found"
    assert (await backend.get("/healthz")).status == 200


@pytest.mark.parametrize("path", PATHS)
async def test_its_headers_alone_can_be_asked_for(backend: Backend, path: str) -> None:
    reply = await backend.call("HEAD", path)
    assert (reply.status, reply.text) == (200, "")


async def test_the_page_tries_calls_in_development_only(start_backend: StartBackend, embedded_store: Store) -> None:
    developing = await start_backend(embedded_store)
    assert '"kaimen-tries" content="yes"' in (await developing.get("/docs")).text


async def test_the_policy_of_the_page_allows_nothing_from_outside_and_nothing_inline(backend: Backend) -> None:
    policy = (await backend.get("/docs")).headers["Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert {directives[f"{kind}-src"] for kind in ("script", "style", "img", "connect")} == {"'self'"}


def test_a_process_that_nobody_asks_for_it_does_not_load_it() -> None:
    loaded = "import sys, handlers.routes; print([name for name in sys.modules if name == 'app.replies'])"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
