"""A real browser: Debian's Chromium, driven by Playwright, on pages of a real backend."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import BrowserContext, Page, Request, TimeoutError
from tornado.web import RequestHandler

from backend import Backend

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WECHAT = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Mobile/15E148 MicroMessenger/8.0.50(0x18003233) NetType/WIFI Language/zh_CN"
)
URL = "http://127.0.0.1:{port}"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
# What the page hears and what its policy refused, kept where a test can read it.
EARS = """
window.heard = [];
window.refused = [];
for (const name of ["shown", "scanned", "success", "cancelled", "expired", "error", "state"])
  document.addEventListener(`kaimen-${name}`, ({ detail, target }) => heard.push({ name, via: target.via, ...detail }));
document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
  refused.push(`${violatedDirective} ${blockedURI}`));
"""


@dataclass
class Window:
    """A page, with everything it asked for and every error it met."""

    page: Page
    url: str
    pages: dict[str, tuple[str, str]]
    requests: list[Request] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    sockets: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.requests.append(request))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("websocket", lambda socket: self.sockets.append(socket.url))

    async def open(self, path: str = "/") -> "Window":
        await self.page.goto(self.url + path)
        return self

    async def show(
        self, body: str, *, scripts: tuple[str, ...] = ("kaimen-login.js",), policy: str = POLICY
    ) -> "Window":
        """A page of the site's own, under a strict policy, with these elements on it."""
        tags = "".join(f'<script type="module" src="/web/{script}"></script>' for script in scripts)
        html = f'<!doctype html><html lang="zh-CN"><title>own</title>{tags}<body>{body}</body></html>'
        self.pages["own-page"] = (html, policy)
        return await self.open("/own-page")

    async def heard(self, name: str) -> dict[str, Any]:
        """The detail of the newest event of that name, once there is one."""
        try:
            await self.page.wait_for_function("name => heard.some(event => event.name === name)", arg=name)
        except TimeoutError as error:
            raise AssertionError(f"no {name}; heard: {await self.page.evaluate('heard')}") from error
        found = await self.page.evaluate("name => heard.filter(event => event.name === name).at(-1)", name)
        return dict(found)

    async def states(self) -> list[str]:
        """The states the element went through."""
        return list(await self.page.evaluate("heard.filter(event => event.name === 'state').map(event => event.state)"))

    async def forget(self) -> None:
        await self.page.evaluate("heard.length = 0")

    async def refused(self) -> list[str]:
        """What the content security policy refused."""
        return list(await self.page.evaluate("refused"))

    async def scan_on_demo(self) -> None:
        """With the phone beside the code."""
        await self.page.locator("#scan").click()
        await self.page.locator("#phone .numbers").wait_for()

    async def confirm_on_demo(self) -> None:
        number = await self.page.locator("kaimen-login .plate strong").text_content()
        await self.page.locator("#phone .numbers").get_by_text(str(number), exact=True).click()
        await self.page.locator("#confirm").click()

    async def user(self) -> dict[str, Any] | None:
        """Who the page's cookie stands for."""
        script = "fetch('/api/user/info').then(async reply => reply.ok ? (await reply.json()).data : null)"
        found: dict[str, Any] | None = await self.page.evaluate(script)
        return found


class OwnPage(RequestHandler):
    """A page that a test puts on the site: a page that the browser is merely told of is in no network of its."""

    def initialize(self, pages: dict[str, tuple[str, str]]) -> None:
        self.pages = pages

    def get(self, name: str) -> None:
        content, policy = self.pages[name]
        if policy:
            self.set_header("Content-Security-Policy", policy)
        if name.endswith(".js"):
            self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.finish(content)


class Phone:
    """A signed-in mini-program user."""

    def __init__(self, backend: Backend, token: str) -> None:
        self.backend = backend
        self.token = token

    async def do(self, what: str, scan_id: str, **body: str) -> dict[str, Any]:
        """``scan``, ``confirm`` or ``cancel``, which must succeed; a 503 is tried again, as an app would."""
        for _ in range(50):
            reply = await self.backend.call("POST", f"/api/scan/{scan_id}/{what}", body, self.token)
            if reply.status != 503:
                break
            await asyncio.sleep(0.1)
        assert reply.status == 200, reply.text
        return dict(reply.data)

    async def call_oneself(self, nickname: str) -> None:
        reply = await self.backend.call("PATCH", "/api/user/info", {"nickname": nickname}, self.token)
        assert reply.status == 200, reply.text


@dataclass
class Site:
    """A backend whose public URL is where it really is, and the browser that visits it."""

    backend: Backend
    context: BrowserContext
    pages: dict[str, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.serve_pages(self.backend)

    def serve_pages(self, backend: Backend) -> None:
        application: Any = backend.server.request_callback
        application.add_handlers(".*", [(r"/(own-page|bundle\.js)", OwnPage, {"pages": self.pages})])

    async def window(self, context: BrowserContext | None = None) -> Window:
        """A new tab; of another browser where a context is given."""
        return Window(await (context or self.context).new_page(), self.backend.url, self.pages)

    async def wechat(self, context: BrowserContext, user: str = "alice") -> Window:
        """WeChat's own browser on the phone, signed in."""
        window = await (await self.window(context)).show("")
        body = {"action": "login", "code": self.backend.wx_login(user), "cookie": True}
        script = """body => fetch("/api/auth", {
          method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" },
        }).then(reply => reply.status)"""
        assert await window.page.evaluate(script, body) == 200
        return window

    async def phone(self, user: str = "alice", nickname: str = "") -> Phone:
        login = await self.backend.login(user)
        phone = Phone(self.backend, login["accessToken"])
        if nickname:
            await phone.call_oneself(nickname)
        return phone


OpenContext = Callable[..., Awaitable[BrowserContext]]
