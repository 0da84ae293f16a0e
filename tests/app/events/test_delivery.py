"""One POST over real sockets: where it goes, where it never goes, and what each answer is called."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pycurl
import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from app.events.addresses import Allowed
from app.events.delivery import Courier
from certificates import make_certificate

LOOPBACK = ["127.0.0.1/32"]


class Target(RequestHandler):
    """Answers as the query says, and counts."""

    asked: ClassVar[list[str]] = []

    def post(self) -> None:
        self.asked.append(self.request.path)
        self.set_status(int(self.get_query_argument("status", "200")))
        if 300 <= self.get_status() < 400:
            self.set_header("Location", "/elsewhere")
        size = int(self.get_query_argument("size", "0"))
        self.finish(b"x" * size if size else None)

    get = post


@pytest.fixture
async def url() -> AsyncIterator[str]:
    Target.asked.clear()
    server, (listener, port) = HTTPServer(Application([("/.*", Target)])), bind_unused_port()
    server.add_socket(listener)
    yield f"http://127.0.0.1:{port}"
    server.stop()
    await server.close_all_connections()


async def post(url: str, networks: list[str], **options: Any) -> str:
    courier = Courier(Allowed(networks), **options)
    try:
        return (await courier.post(url, {"webhook-id": "1"}, b"{}")).word
    finally:
        courier.close()


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/", "ok"),
        ("/?status=204", "ok"),
        ("/?status=400", "http_400"),
        ("/?status=410", "http_410"),
        ("/?status=500", "http_500"),
        ("/?status=302", "http_302"),
        ("/?status=307", "http_307"),
        ("/?size=100000", "too_large"),
    ],
)
async def test_each_answer_has_its_word_and_no_redirect_is_followed(url: str, path: str, word: str) -> None:
    assert await post(url + path, LOOPBACK) == word
    assert Target.asked == ["/"]


async def test_no_connection_is_made_to_an_address_inside(url: str) -> None:
    port = url.rsplit(":", 1)[1]
    for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0.0.0.0", "[::ffff:127.0.0.1]"):
        assert await post(f"http://{host}:{port}/", []) == "refused_address", host
    assert Target.asked == []


async def test_a_name_that_leads_inside_at_the_moment_of_connecting_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the name was public when the webhook was added, and is 127.0.0.1 now."""
    port, set_up = url.rsplit(":", 1)[1], Courier._set_up

    def rebound(courier: Courier, curl: Any, method: str) -> None:
        set_up(courier, curl, method)
        curl.setopt(pycurl.RESOLVE, [f"hooks.example.com:{port}:127.0.0.1"])

    monkeypatch.setattr(Courier, "_set_up", rebound)
    assert await post(f"http://hooks.example.com:{port}/", []) == "refused_address"
    assert Target.asked == []
    assert await post(f"http://hooks.example.com:{port}/", LOOPBACK) == "ok"


async def test_a_proxy_of_the_environment_is_not_used(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert await post(url, LOOPBACK) == "ok"


async def test_nobody_there_no_such_name_and_no_answer_have_their_words(url: str) -> None:
    assert await post("http://127.0.0.1:1/", LOOPBACK) == "connect"
    assert await post("http://nowhere.invalid/", LOOPBACK) == "resolve"
    listener, port = bind_unused_port()
    listener.listen(1)
    assert await post(f"http://127.0.0.1:{port}/", LOOPBACK, timeout_s=0.3) == "timeout"
    listener.close()


async def test_a_certificate_must_be_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, ca_file = make_certificate(tmp_path)
    server, (listener, port) = HTTPServer(Application([("/.*", Target)]), ssl_options=context), bind_unused_port()
    server.add_socket(listener)
    assert await post(f"https://localhost:{port}/", LOOPBACK) == "certificate"
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)
    assert ssl.get_default_verify_paths().cafile == ca_file
    assert await post(f"https://localhost:{port}/", LOOPBACK) == "ok"
    server.stop()
    await server.close_all_connections()
