"""What a page with a code on it does when the server, Redis or the network goes away."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Route, WebSocketRoute, expect

from backend import MASTER_KEYS, Backend, StartBackend, Store
from browsing import OpenContext, Phone, Site, Window
from servers import Redis, free_port
from simulator import DEFAULT_APPS, Simulator

KAIMEN = Path(sys.executable).with_name("kaimen")


class Instance:
    """The instance that the browser talks to, a process of its own that can go and come back on the same port."""

    def __init__(self, folder: Path, store: Store, simulator: Simulator) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._folder = folder
        self._settings = {
            "KAIMEN_ENV": "development",
            "KAIMEN_PORT": self.url.rsplit(":", 1)[1],
            "KAIMEN_DATABASE_URL": store.database_url,
            "KAIMEN_REDIS_URL": store.redis_url,
            "KAIMEN_MASTER_KEYS": MASTER_KEYS,
            "KAIMEN_WECHAT_API_URL": simulator.url,
            "KAIMEN_APPS": json.dumps(DEFAULT_APPS),
        }

    async def start(self) -> None:
        environment = {**os.environ, **self._settings}
        output = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            KAIMEN, "serve", cwd=self._folder, env=environment, stdout=output
        )
        assert self._process.stdout
        while b'"serving"' not in await self._process.stdout.readline():
            assert self._process.returncode is None

    async def stop(self, number: int) -> None:
        self._process.send_signal(number)
        await self._process.communicate()

    async def close(self) -> None:
        if self._process.returncode is None:
            await self.stop(signal.SIGKILL)


@pytest.fixture
async def instance(tmp_path: Path, server_store: Store, simulator: Simulator) -> AsyncIterator[Instance]:
    running = Instance(tmp_path, server_store, simulator)
    await running.start()
    yield running
    await running.close()


@pytest.fixture
async def phone(start_backend: StartBackend, server_store: Store) -> Phone:
    """Alice's, which talks to another instance over the same MariaDB and Redis."""
    backend: Backend = await start_backend(server_store)
    phone = Phone(backend, (await backend.login("alice"))["accessToken"])
    await phone.call_oneself("阿丽")
    return phone


@pytest.fixture
async def demo(instance: Instance, open_context: OpenContext) -> Window:
    context = await open_context()
    return await Window(await context.new_page(), instance.url, {}).open("/")


async def shown(window: Window) -> str:
    return str((await window.heard("shown"))["scanId"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_restart_in_mid_flow_is_not_noticed(
    instance: Instance, demo: Window, phone: Phone, number: signal.Signals
) -> None:
    scan_id = await shown(demo)
    await phone.do("scan", scan_id)
    assert (await demo.heard("scanned"))["via"] == "socket"
    await instance.stop(number)
    await instance.start()
    await phone.do("confirm", scan_id)
    done = await demo.heard("success")
    assert done["user"]["nickname"] == "阿丽"
    user = await demo.user()
    assert user is not None
    assert user["id"] == done["user"]["id"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_what_happened_while_the_instance_was_away_is_heard_after_it(
    instance: Instance, demo: Window, phone: Phone, number: signal.Signals
) -> None:
    scan_id = await shown(demo)
    await instance.stop(number)
    await expect(demo.page.locator("kaimen-login .status")).to_contain_text("正在重连")
    await phone.do("scan", scan_id)
    await phone.do("confirm", scan_id)
    await instance.start()
    await demo.heard("success")
    assert await demo.user() is not None


async def test_when_redis_comes_back_empty_the_code_is_over_and_nobody_signed_in(
    demo: Window, phone: Phone, redis_server: Redis
) -> None:
    scan_id = await shown(demo)
    await phone.do("scan", scan_id)
    await demo.heard("scanned")
    redis_server.flush()
    redis_server.kill()
    refused = await phone.backend.call("POST", f"/api/scan/{scan_id}/confirm", {}, phone.token)
    redis_server.restart()
    assert refused.error == "cache_unavailable"
    await demo.heard("expired")
    assert await demo.user() is None
    await demo.forget()
    await demo.page.get_by_role("button", name="换一个二维码").click()
    renewed = await shown(demo)
    await phone.do("scan", renewed)
    await phone.do("confirm", renewed)
    await demo.heard("success")


async def test_when_redis_comes_back_as_it_was_the_same_code_goes_on(
    demo: Window, phone: Phone, redis_server: Redis
) -> None:
    scan_id = await shown(demo)
    await phone.do("scan", scan_id)
    await demo.heard("scanned")
    redis_server.kill()
    redis_server.restart()
    await phone.do("confirm", scan_id)
    await demo.heard("success")


async def test_while_redis_is_away_a_page_that_polls_offers_a_new_code(
    instance: Instance, open_context: OpenContext, phone: Phone, redis_server: Redis
) -> None:
    page = await (await open_context()).new_page()
    await page.route_web_socket(re.compile("/ws$"), lambda socket: socket.close())
    await page.route(re.compile("wait="), lambda route: route.abort())  # a long poll hears of it in 25 s at most
    window = await Window(page, instance.url, {}).open("/")
    scan_id = await shown(window)
    await phone.do("scan", scan_id)
    await window.heard("scanned")
    redis_server.kill()
    try:
        assert (await window.heard("error"))["code"] == 5002
        await expect(page.locator("kaimen-login .status")).to_contain_text("请换一个二维码")
        assert await window.user() is None
        await window.forget()
        await page.get_by_role("button", name="再试一次").click()
        assert (await window.heard("error"))["code"] == 5002
    finally:
        redis_server.restart()
    await window.forget()
    await page.get_by_role("button", name="再试一次").click()
    assert await shown(window) != scan_id


async def test_without_a_network_it_says_so_and_finds_back(site: Site) -> None:
    window = await (await site.window()).show("<kaimen-login></kaimen-login>")
    scan_id, phone = await shown(window), await site.phone()
    await window.page.context.set_offline(True)
    await window.page.evaluate("document.querySelector('kaimen-login').wake()")
    await expect(window.page.get_by_role("status")).to_contain_text("正在重连")
    await phone.do("scan", scan_id)
    await window.page.context.set_offline(False)
    await window.heard("scanned")
    await expect(window.page.get_by_role("status")).to_contain_text("已扫码")


async def test_a_lost_reply_to_the_redeeming_is_asked_for_again(site: Site) -> None:
    window = await site.window()
    lost = 0

    async def lose_one(route: Route) -> None:
        nonlocal lost
        lost += 1
        await (route.abort() if lost == 1 else route.continue_())

    await window.page.route("**/redeem", lose_one)
    await window.show("<kaimen-login></kaimen-login>")
    scan_id, phone = await shown(window), await site.phone()
    await phone.do("scan", scan_id)
    await phone.do("confirm", scan_id)
    await window.heard("success")
    assert lost == 2


async def test_told_to_poll_less_often_it_does(site: Site) -> None:
    window = await site.window()
    refused = 0

    async def slow_down(route: Route) -> None:
        nonlocal refused
        refused += 1
        if refused > 1:
            return await route.continue_()
        body = '{"code":4293,"error":"slow_down","message":"","data":null}'
        return await route.fulfill(status=429, headers={"Retry-After": "1"}, body=body, content_type="application/json")

    await window.page.route_web_socket(re.compile("/ws$"), lambda socket: socket.close())
    await window.page.route(re.compile(r"wait="), lambda route: route.abort())
    await window.page.route(re.compile(r"/api/scan/[\w-]{22}$"), slow_down)
    await window.show("<kaimen-login></kaimen-login>")
    scan_id, phone = await shown(window), await site.phone()
    await phone.do("scan", scan_id)
    assert (await window.heard("scanned"))["via"] == "poll"
    assert refused >= 2
    assert "error" not in [event["name"] for event in await window.page.evaluate("heard")]


async def test_too_many_codes_from_one_address_are_refused_in_words(site: Site) -> None:
    window = await site.window()
    limited = '{"code":4290,"error":"rate_limited","message":"","data":null}'

    async def refuse(route: Route) -> None:
        await route.fulfill(status=429, body=limited, content_type="application/json")

    await window.page.route("**/api/scan", refuse)
    await window.show("<kaimen-login></kaimen-login>")
    assert (await window.heard("error"))["code"] == 4290
    await expect(window.page.get_by_role("status")).to_contain_text("太频繁")
    await window.page.unroute("**/api/scan")
    await window.page.get_by_role("button", name="再试一次").click()
    await shown(window)


@pytest.mark.parametrize(("fails", "heard"), [(2, "success"), (9, "error")])
async def test_a_picture_that_does_not_come_is_asked_for_again_but_not_for_ever(
    site: Site, fails: int, heard: str
) -> None:
    window = await site.window()
    asked = 0

    async def refuse(route: Route) -> None:
        nonlocal asked
        asked += 1
        await (route.fulfill(status=503) if asked <= fails else route.continue_())

    await window.page.route("**/qr.svg", refuse)
    await window.show("<kaimen-login></kaimen-login>")
    scan_id = await shown(window)
    if heard == "success":
        await window.page.locator("kaimen-login .qr.ready").wait_for()
        phone = await site.phone()
        await phone.do("scan", scan_id)
        await phone.do("confirm", scan_id)
    await window.heard(heard)
    assert asked == {"success": 3, "error": 4}[heard]


@pytest.mark.parametrize(
    ("code", "via"), [(1001, "socket"), (4401, "long-poll"), (4429, "long-poll"), (1013, "long-poll")]
)
async def test_a_closed_socket_is_opened_again_or_given_up_as_its_code_says(site: Site, code: int, via: str) -> None:
    window = await site.window()
    closed = 0

    def close_after_a_word(route: WebSocketRoute) -> None:
        nonlocal closed
        server = route.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            nonlocal closed
            route.send(message)
            if closed == 0:
                closed += 1
                closing.append(asyncio.ensure_future(route.close(code=code)))

        server.on_message(pass_on)

    closing: list[asyncio.Future[None]] = []
    await window.page.route_web_socket(re.compile("/ws$"), close_after_a_word)
    await window.show("<kaimen-login></kaimen-login>")
    scan_id, phone = await shown(window), await site.phone()
    await expect(window.page.locator("kaimen-login")).to_have_js_property("via", "socket")
    await asyncio.gather(*closing)
    await phone.do("scan", scan_id)
    assert (await window.heard("scanned"))["via"] == via
    await phone.do("confirm", scan_id)
    await window.heard("success")
    assert closed == 1


async def test_a_scan_that_the_socket_does_not_know_is_over(site: Site) -> None:
    window = await site.window()
    await window.page.route_web_socket(re.compile("/ws$"), lambda socket: socket.close(code=4404))
    await window.show("<kaimen-login></kaimen-login>")
    await window.heard("expired")
    assert not [request.url for request in window.requests if "wait=" in request.url]
    await expect(window.page.get_by_role("button", name="换一个二维码")).to_be_visible()
