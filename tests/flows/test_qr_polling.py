"""How a page asks: at once, or until something happens; how often, and with what."""

import asyncio
import time
from typing import Any

import pytest

from backend import Backend, StartBackend, Store
from scan_client import ORIGIN, Page, act, confirmed, create, open_page


async def test_a_long_poll_is_answered_when_the_version_passes_the_one_it_knows(backend: Backend) -> None:
    phone = await backend.login()
    page = await open_page(backend)
    asked = asyncio.create_task(page.poll(backend, query="?wait=20&version=1"))
    await asyncio.sleep(0.3)
    assert not asked.done()
    await act(backend, page, "scan", phone["accessToken"])
    reply = await asyncio.wait_for(asked, 3)
    assert (reply.data["state"], reply.data["version"]) == ("scanned", 2)
    behind = await asyncio.wait_for(page.poll(backend, query="?wait=20&version=1"), 3)
    assert behind.data["version"] == 2


async def test_a_long_poll_on_another_instance_is_answered_too(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    phone = await one.login()
    page = await open_page(one)
    asked = asyncio.create_task(page.poll(two, query="?wait=20&version=1"))
    await asyncio.sleep(0.3)
    await act(one, page, "scan", phone["accessToken"])
    assert (await asyncio.wait_for(asked, 3)).data["state"] == "scanned"


async def test_a_long_poll_ends_with_its_time_and_with_the_scan(backend: Backend) -> None:
    page = await open_page(backend)
    started = time.monotonic()
    reply = await page.poll(backend, query="?wait=1&version=1")
    assert (reply.data["state"], reply.data["version"]) == ("pending", 1)
    assert 0.9 < time.monotonic() - started < 3
    asked = asyncio.create_task(page.poll(backend, query="?wait=20&version=1"))
    await asyncio.sleep(0.2)
    backend.clock.advance(121)
    assert (await asyncio.wait_for(asked, 3)).data["state"] == "expired"
    over = await asyncio.wait_for(page.poll(backend, query="?wait=20&version=99"), 3)
    assert over.data["state"] == "expired"


async def test_a_process_that_stops_answers_its_long_polls(start_backend: StartBackend, embedded_store: Store) -> None:
    backend = await start_backend(embedded_store)
    page = await open_page(backend)
    asked = asyncio.create_task(page.poll(backend, query="?wait=20&version=1"))
    await asyncio.sleep(0.2)
    backend.kaimen.scan_hub.close()
    assert (await asyncio.wait_for(asked, 2)).data["state"] == "pending"


async def test_long_polls_whose_clients_are_gone_are_forgotten(
    start_backend: StartBackend, embedded_store: Store
) -> None:
    backend = await start_backend(embedded_store, rate_limits="off")
    page = await open_page(backend)
    request = f"GET /api/scan/{page.id}?wait=20&version=1 HTTP/1.1\r\nHost: x\r\nX-Poll-Secret: {page.secret}\r\n\r\n"
    writers = []
    for _ in range(30):
        _, writer = await asyncio.open_connection("127.0.0.1", int(backend.url.rpartition(":")[2]))
        writer.write(request.encode())
        writers.append(writer)
    hub: Any = backend.kaimen.scan_hub
    async with asyncio.timeout(5):
        while len(hub._all) < 30:
            await asyncio.sleep(0.01)
    for writer in writers:
        writer.close()
    async with asyncio.timeout(1):
        while hub._all or hub._of_network:
            await asyncio.sleep(0.01)


async def test_polling_faster_than_told_is_4293_and_as_told_is_not(
    start_backend: StartBackend, embedded_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = await start_backend(embedded_store)
    page = await open_page(backend)
    assert page.data["pollInterval"] == 1.5
    assert (await page.poll(backend)).status == 200
    refused = await page.poll(backend)
    assert (refused.status, refused.body["code"]) == (429, 4293)
    assert int(refused.headers["Retry-After"]) >= 1
    other = await open_page(backend)
    assert (await other.poll(backend)).status == 200
    await asyncio.sleep(1.5)
    assert (await page.poll(backend)).status == 200


async def test_a_poll_without_wait_tells_each_state_and_every_read_gives_the_same_ticket(
    start_backend: StartBackend, store: Store
) -> None:
    backend = await start_backend(store, rate_limits="off")
    phone = await backend.login()
    page = await open_page(backend)
    assert (await page.poll(backend)).data["state"] == "pending"
    ticket = await confirmed(backend, page, phone["accessToken"])
    async with asyncio.timeout(3):
        while (await page.poll(backend)).data["state"] != "confirmed":
            await asyncio.sleep(0.01)
    assert {(await page.poll(backend)).data["ticket"] for _ in range(3)} == {ticket}


@pytest.mark.parametrize(
    "query", ["?wait=x", "?wait=-1", "?version=1.5", "?version=1&version=2", "?wait=9999999", "?wait="]
)
async def test_a_query_of_another_form_is_refused(
    start_backend: StartBackend, embedded_store: Store, query: str
) -> None:
    backend = await start_backend(embedded_store)
    page = await open_page(backend)
    reply = await page.poll(backend, query=query)
    assert (reply.status, reply.body["code"]) == (400, 4000)


async def test_the_thirty_first_code_within_a_minute_is_refused_and_another_address_is_not(
    start_backend: StartBackend, store: Store
) -> None:
    backend = await start_backend(store, trusted_proxies="127.0.0.1")
    made = [await create(backend) for _ in range(30)]
    assert {reply.status for reply in made} == {201}
    refused = await create(backend)
    assert (refused.status, refused.body["code"]) == (429, 4290)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    body, headers = {"channel": "page"}, {"Origin": ORIGIN, "X_Forwarded_For": "203.0.113.9"}
    assert (await backend.call("POST", "/api/scan", body, **headers)).status == 201


async def test_an_address_has_twenty_long_polls_and_a_scan_five(
    start_backend: StartBackend, embedded_store: Store
) -> None:
    backend = await start_backend(embedded_store)
    pages, hub = [await open_page(backend) for _ in range(5)], backend.kaimen.scan_hub

    def ask(page: Page) -> "asyncio.Task[object]":
        return asyncio.create_task(page.poll(backend, query="?wait=20&version=1"))

    asked = [ask(page) for page in pages[:4] for _ in range(5)]
    async with asyncio.timeout(5):
        while len(hub._all) < 20:
            await asyncio.sleep(0.01)
    refused = await pages[4].poll(backend, query="?wait=20&version=1")
    assert (refused.status, refused.body["code"]) == (429, 4290)
    backend.kaimen.scan_hub.close()
    await asyncio.gather(*asked)
