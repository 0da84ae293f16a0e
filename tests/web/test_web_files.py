"""What is served below /web/ and at /."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from backend import Backend, StartBackend, Store
from handlers.web_files import TYPES, WEB, find_files

FILES = sorted(find_files())
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
async def embedded(start_backend: StartBackend, embedded_store: Store) -> Backend:
    return await start_backend(embedded_store)


@pytest.fixture
async def production(start_backend: StartBackend, embedded_store: Store) -> Backend:
    app = {"appid": "wx1234567890abcdef", "kind": "miniprogram", "secret": SECRET}
    return await start_backend(
        embedded_store,
        env="production",
        public_url="https://login.example.com",
        wechat_api_url="https://api.weixin.qq.com",
        apps=[app],
    )


@pytest.mark.parametrize("path", FILES)
async def test_a_file_has_its_type_and_may_be_kept_for_a_while(embedded: Backend, path: str) -> None:
    reply = await embedded.get(f"/web/{path}")
    assert (reply.status, reply.text) == (200, (WEB / path).read_text("utf-8"))
    assert reply.headers["Content-Type"] == TYPES[Path(path).suffix]
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Cache-Control"] == "public, max-age=300"


async def test_a_file_that_the_browser_has_is_not_sent_again(embedded: Backend) -> None:
    first = await embedded.get("/web/kaimen-login.js")
    again = await embedded.get("/web/kaimen-login.js", If_None_Match=first.headers["ETag"])
    assert (again.status, again.text) == (304, "")
    other = await embedded.get("/web/kaimen-login.js", If_None_Match='"another"')
    assert other.status == 200


TRAVERSALS = [
    "/web/../setup.cfg",
    "/web/..%2fsetup.cfg",
    "/web/%2e%2e/setup.cfg",
    "/web/%2e%2e%2fsetup.cfg",
    "/web/..%5csetup.cfg",
    "/web/....//setup.cfg",
    "/web/lib/../../setup.cfg",
    "/web//etc/passwd",
    "/web/%2fetc%2fpasswd",
    "/web/kaimen-login.js%00.css",
    "/web/./kaimen-login.js",
    "/web/lib//api.js",
    "/web/",
    "/web",
    "/web/lib",
    "/web/lib/",
    "/web/package.json",
    "/web/kaimen-login.d.ts",
    "/web/demo/index.html",
]


@pytest.mark.parametrize("path", TRAVERSALS)
async def test_nothing_but_the_files_is_found(embedded: Backend, path: str) -> None:
    status, body = await get_as_it_is(embedded, path)
    assert (status, json.loads(body)["error"]) == (404, "not_found")


async def get_as_it_is(backend: Backend, path: str) -> tuple[int, bytes]:
    """Any HTTP client would tidy the path up."""
    host, port = backend.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


async def test_a_file_is_found_that_way_too(embedded: Backend) -> None:
    assert await get_as_it_is(embedded, "/web/kaimen.css") == (200, (WEB / "kaimen.css").read_bytes())


async def test_the_demo_is_served_in_development_under_a_full_policy(embedded: Backend) -> None:
    reply = await embedded.get("/")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = dict(part.strip().split(" ", 1) for part in reply.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in reply.headers["Content-Security-Policy"]
    assert re.findall(r"<script>|<style|style=|\son\w+=|https?://(?!127\.0\.0\.1)", reply.text) == []


async def test_in_production_there_is_no_demo(production: Backend) -> None:
    reply = await production.get("/")
    assert (reply.status, reply.error) == (404, "not_found")
    assert (await production.get("/web/kaimen-login.js")).status == 200


async def test_files_hang_below_the_prefix(start_backend: StartBackend, embedded_store: Store) -> None:
    backend = await start_backend(embedded_store, path_prefix="/login")
    assert (await backend.get("/login/web/kaimen.css")).status == 200
    page = await backend.get("/login/")
    assert 'src="/login/web/demo/demo.js"' in page.text
    assert (await backend.get("/web/kaimen.css")).status == 404


def test_the_package_names_files_that_exist() -> None:
    package = json.loads((WEB / "package.json").read_text("utf-8"))
    named = [
        path
        for entry in package["exports"].values()
        for path in (entry.values() if isinstance(entry, dict) else [entry])
    ]
    assert [path for path in named if not (WEB / path).is_file()] == []
    assert "dependencies" not in package


def test_no_script_needs_what_a_strict_policy_forbids_or_asks_another_host() -> None:
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\(\"style\""
        r"|https?://(?!www\.w3\.org/)"
    )
    found = {str(path.relative_to(WEB)): forbidden.findall(path.read_text("utf-8")) for path in WEB.rglob("*.js")}
    allowed = {"kaimen.js": ["https://"]}  # in a comment
    assert {path: hits for path, hits in found.items() if hits and hits != allowed.get(path)} == {}


# --- what docs/web.md says ---

GUIDE = (WEB.parent / "docs" / "web.md").read_text("utf-8")


def named_in(script: str, pattern: str) -> set[str]:
    found = re.search(pattern, (WEB / script).read_text("utf-8"), re.DOTALL)
    assert found
    return set(re.findall(r'"([\w-]+)"', found[1]))


def rows(section: str) -> set[str]:
    part = GUIDE.split(f"## {section}")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", part, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([\w-]+)`", cell)}


def test_the_guide_names_every_attribute_and_event_and_no_other() -> None:
    attributes = named_in("kaimen-login.js", r"observedAttributes = \[(.*?)\]") | {"return-to", "manual"}
    events = named_in("kaimen-login.js", r"const EVENTS = \{(.*?)\}") | {"state"}
    assert rows("`<kaimen-login>`") == attributes | {f"kaimen-{name}" for name in events}


def test_the_guide_names_every_colour() -> None:
    script = (WEB / "lib" / "styles.js").read_text("utf-8").split("const DARK")[0]
    colours = set(re.findall(r'"?([\w-]+)"?: "#', script))
    listed = re.search(r"\| properties \| (.*?) \|", GUIDE)
    assert listed
    assert {name.removeprefix("--kaimen").lstrip("-") for name in re.findall(r"`([\w-]+)`", listed[1])} == colours


def test_the_elements_and_the_pages_share_their_colours() -> None:
    css, script = (WEB / "kaimen.css").read_text("utf-8"), (WEB / "lib" / "styles.js").read_text("utf-8")
    light, dark = script.split("const DARK")
    for colours, sheet in ((light, css.split("@media")[0]), (dark, css.split("@media")[1])):
        ours = dict(re.findall(r'"?([\w-]+)"?: "(#\w+)"', colours))
        pages = dict(re.findall(r"--([\w-]+): (#\w+);", sheet))
        assert {name: ours[name] for name in ours.keys() & pages.keys()} == {
            name: pages[name] for name in ours.keys() & pages.keys()
        }
        assert len(ours.keys() & pages.keys()) == 10
