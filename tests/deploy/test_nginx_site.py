"""The nginx site of deploy/, as it is but for ports and paths: what reaches Kaimen through it, and what does not."""

import asyncio
import http.client
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from backend import PASSWORD, Backend, StartBackend, Store
from certificates import Authority
from core.clock import Clock
from core.observe.logs import set_up_logs
from models.db import open_database
from nginx_server import FRAME, Nginx
from servers import ServerError, find_binary, free_port

SITE = Path(__file__).parents[2] / "deploy/nginx/kaimen.conf"
DOMAIN = "login.example.com"
FOREIGN = "203.0.113.9"


class Site:
    """The site in front of a backend; ``port`` speaks TLS, ``plain`` http."""

    def __init__(self, folder: Path, backend: Backend) -> None:
        self.authority = Authority(folder)
        self.plain = free_port()
        certificate, key = self.authority.issue(DOMAIN, days=30)
        (folder / "www").mkdir()
        (folder / "www/MP_verify_abcdefgh12345678.txt").write_text("abcdefgh12345678")
        (folder / "www/a1B2c3D4e5.txt").write_text("of a mini-program")
        (folder / "certbot/.well-known/acme-challenge").mkdir(parents=True)
        (folder / "certbot/.well-known/acme-challenge/token").write_text("challenge")
        changes = {
            "127.0.0.1:8000": backend.url.removeprefix("http://"),
            "listen 80;": f"listen 127.0.0.1:{self.plain};",
            "listen 443 ssl": "listen 127.0.0.1:{port} ssl",
            "    listen [::]:80;\n": "",
            "    listen [::]:443 ssl http2;\n": "",
            f"/etc/letsencrypt/live/{DOMAIN}/fullchain.pem": str(certificate),
            f"/etc/letsencrypt/live/{DOMAIN}/privkey.pem": str(key),
            "/var/www/kaimen": str(folder / "www"),
            "/var/www/certbot": str(folder / "certbot"),
        }
        text = SITE.read_text()
        for old, new in changes.items():
            assert old in text, old
            text = text.replace(old, new)
        self.nginx = Nginx(text)
        self.port = self.nginx.port
        self.tls = ssl.create_default_context(cafile=str(self.authority.ca))

    def connect(self) -> ssl.SSLSocket:
        return self.tls.wrap_socket(
            socket.create_connection(("127.0.0.1", self.port), timeout=5), server_hostname=DOMAIN
        )

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection(DOMAIN)
        connection.sock = self.connect()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        connection.request(method, path, json.dumps(body) if isinstance(body, dict) else body, sent)
        reply = connection.getresponse()
        text = reply.read().decode()
        connection.close()
        return reply.status, json.loads(text) if text.startswith("{") else text, reply.headers

    def raw(self, request: bytes) -> bytes:
        """The status line of the answer to these bytes."""
        with self.connect() as connection:
            connection.sendall(request)
            return connection.recv(4096).partition(b"\r\n")[0]


@pytest.fixture
async def backend(start_backend: StartBackend, embedded_store: Store) -> Backend:
    return await start_backend(embedded_store, trusted_proxies="127.0.0.1", public_url=f"https://{DOMAIN}")


@pytest.fixture
def site(tmp_path: Path, backend: Backend) -> Iterator[Site]:
    made = Site(tmp_path, backend)
    yield made
    made.nginx.close()


async def ask(site: Site, *request: Any, **headers: str) -> tuple[int, Any, http.client.HTTPMessage]:
    """Beside the event loop, which serves the other end."""
    return await asyncio.to_thread(lambda: site.ask(*request, **headers))


async def test_a_login_and_what_follows_go_through(site: Site, backend: Backend) -> None:
    status, login, headers = await ask(site, "POST", "/api/auth", {"action": "login", "code": backend.wx_login()})
    assert status == 200
    assert headers["Strict-Transport-Security"]
    assert headers["Server"] == "nginx"
    token = login["data"]["accessToken"]
    status, info, _ = await ask(site, "GET", "/api/user/info", Authorization=f"Bearer {token}")
    assert (status, info["data"]["id"]) == (200, login["data"]["user"]["id"])


async def test_a_browser_gets_its_secure_cookie_and_the_error_its_status(site: Site, backend: Backend) -> None:
    body = {"action": "login", "code": backend.wx_login(), "cookie": True}
    status, _, headers = await ask(site, "POST", "/api/auth", body, Origin=f"https://{DOMAIN}")
    assert (status, "__Host-kaimen=" in str(headers)) == (200, True)
    status, reply, _ = await ask(site, "POST", "/api/auth", {**body, "code": "x"}, Origin="https://evil.example")
    assert (status, reply["error"]) == (403, "bad_origin")


async def test_what_a_client_claims_about_its_address_is_worth_nothing(
    site: Site, backend: Backend, embedded_store: Store
) -> None:
    for number in range(6):
        claims = {"X_Forwarded_For": f"203.0.113.{number}", "X_Real_IP": FOREIGN, "X_Scheme": "http"}
        body = {"action": "login", "username": "nobody", "password": PASSWORD}
        status, _, _ = await ask(site, "POST", "/api/auth", body, **claims)
    assert status == 429
    await ask(site, "POST", "/api/auth", {"action": "login", "code": backend.wx_login()}, X_Forwarded_For=FOREIGN)
    database = open_database(embedded_store.database_url, Clock())
    assert await database.fetch("SELECT address FROM sessions") == [("127.0.0.1",)]
    await database.close()


async def test_a_client_decides_neither_what_is_logged_nor_whose_trace_it_is_part_of(
    site: Site, backend: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs("info", "json")
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    body = {"action": "login", "code": backend.wx_login()}
    await ask(site, "POST", "/api/auth", body, X_Kaimen_Debug="1", traceparent=f"00-{trace_id}-b7ad6b7169203331-01")
    set_up_logs("error", "json")
    logged = capsys.readouterr().out
    assert '"event":"request"' in logged
    assert '"event":"database"' not in logged
    assert trace_id not in logged


async def test_a_websocket_goes_through_and_a_foreign_page_s_does_not(site: Site, backend: Backend) -> None:
    token = (await backend.login())["accessToken"]
    url = f"wss://localhost:{site.port}/api/session/ws"

    def request(origin: str) -> HTTPRequest:
        return HTTPRequest(url, headers={"Origin": origin, "Host": DOMAIN}, ssl_options=unverified())

    connection = await websocket_connect(request(f"https://{DOMAIN}"))
    await connection.write_message(json.dumps({"type": "AUTH", "token": token}))
    assert json.loads(str(await connection.read_message()))["type"] == "READY"
    connection.close()
    with pytest.raises(Exception, match="403"):
        await websocket_connect(request("https://evil.example"))


def unverified() -> ssl.SSLContext:
    """The name of the certificate is checked by the other tests; a socket cannot be told another one."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/MP_verify_abcdefgh12345678.txt", 200),
        ("/a1B2c3D4e5.txt", 200),
        ("/MP_verify_xxxxxxxx12345678.txt", 404),
        ("/../kaimen.conf", 400),
        ("/metrics", 404),
        ("/admin", 404),
        ("/debug", 404),
        ("/.git/config", 404),
        ("/healthz", 200),
    ],
)
async def test_what_is_public_and_what_is_not(site: Site, path: str, status: int) -> None:
    assert (await ask(site, "GET", path))[0] == status


async def test_plain_http_leads_to_https_and_serves_certbot(site: Site) -> None:
    def get(path: str) -> tuple[int, str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", site.plain, timeout=5)
        connection.request("GET", path, headers={"Host": "evil.example"})
        reply = connection.getresponse()
        found = reply.status, reply.headers.get("Location", ""), reply.read().decode()
        connection.close()
        return found

    assert get("/api/auth?x=1")[:2] == (301, f"https://{DOMAIN}/api/auth?x=1")
    assert get("/.well-known/acme-challenge/token")[2] == "challenge"


async def test_a_body_that_is_too_large_is_refused_by_kaimen_and_beyond_that_by_nginx(site: Site) -> None:
    status, reply, _ = await ask(site, "POST", "/api/auth", "x" * 70_000, Content_Type="application/json")
    assert (status, reply["error"]) == (413, "body_too_large")
    assert (await ask(site, "POST", "/api/auth", "x" * 700_000, Content_Type="application/json"))[0] == 413


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /api/auth HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /api/auth HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST /api/auth HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nCookie: " + b"a" * 20_000 + b"\r\n\r\n",
    ],
    ids=["length and chunked", "two lengths", "odd encoding", "two hosts", "no host", "large header"],
)
async def test_requests_that_could_smuggle_another_are_refused(site: Site, request_: bytes) -> None:
    status = int((await asyncio.to_thread(site.raw, request_)).split()[1])
    assert status in {400, 413, 431, 501}


async def test_old_tls_is_refused(site: Site) -> None:
    context = unverified()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", site.port)) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain)


@pytest.mark.parametrize(
    ("right", "wrong"), [("proxy_http_version 1.1;", "proxy_http_version 1.1"), ("upstream kaimen", "upstream kaimn")]
)
def test_a_mistake_in_the_file_is_caught(tmp_path: Path, right: str, wrong: str) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue(DOMAIN, days=1)
    text = SITE.read_text().replace(f"/etc/letsencrypt/live/{DOMAIN}/fullchain.pem", str(certificate))
    text = text.replace(f"/etc/letsencrypt/live/{DOMAIN}/privkey.pem", str(key))
    assert check(tmp_path, text) == 0
    assert check(tmp_path, text.replace(right, wrong)) != 0


def check(folder: Path, http_text: str) -> int:
    """What ``nginx -t`` says."""
    config = folder / "check.conf"
    config.write_text(FRAME.format(folder=folder, http=http_text))
    command = [find_binary("nginx", "nginx-light"), "-t", "-q", "-e", "stderr", "-p", str(folder), "-c", str(config)]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_a_site_that_is_wrong_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ServerError):
        Nginx("upstream kaimen { server 127.0.0.1; } server { listen 127.0.0.1:{port}; proxy_pas x; }")
