"""What the QR shows suffices for nothing but to scan it; what a foreign page sends is refused."""

import json
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError

from backend import Backend, Reply, StartBackend, Store
from scan_client import ORIGIN, Page, act, confirmed, hear, open_page, socket

UNKNOWN = "A" * 22


def same_but_for_the_id(reply: Reply) -> tuple[int, dict[str, Any], list[str]]:
    headers = sorted(f"{name}: {value}" for name, value in reply.headers.get_all() if name not in VARYING)
    return reply.status, {**reply.body, "requestId": ""}, headers


VARYING = {"X-Request-Id", "Date"}


@pytest.mark.parametrize("query", ["", "?wait=1&version=0"], ids=["poll", "long-poll"])
async def test_without_the_secret_of_its_browser_a_scan_looks_as_if_it_were_not_there(
    backend: Backend, query: str
) -> None:
    phone = await backend.login()
    page, other = await open_page(backend), await open_page(backend)
    unknown = same_but_for_the_id(await Page({**page.data, "scanId": UNKNOWN}).poll(backend, query=query))
    assert unknown[0] == 404
    secrets = ("", other.secret, page.id, page.secret[:-1], page.secret + "A", "ü")
    for secret in secrets:
        assert same_but_for_the_id(await page.poll(backend, secret, query)) == unknown
    await confirmed(backend, page, phone["accessToken"])
    for secret in secrets:
        assert same_but_for_the_id(await page.poll(backend, secret, query)) == unknown


async def test_the_secret_of_another_browser_redeems_nothing(backend: Backend) -> None:
    phone = await backend.login()
    page, other = await open_page(backend), await open_page(backend)
    ticket = await confirmed(backend, page, phone["accessToken"])
    path = f"/api/scan/{page.id}/redeem"
    for secret in (other.secret, page.id, "x"):
        reply = await backend.call("POST", path, {"pollSecret": secret, "ticket": ticket}, Origin=ORIGIN)
        assert (reply.status, reply.body["code"]) == (404, 4040)
    assert (await page.redeem(backend, ticket[:-1] + "_")).body["code"] == 4040
    assert (await page.redeem(backend, ticket)).status == 200


@pytest.mark.parametrize("scan_id", [UNKNOWN, "x", "A" * 23, "%00", "{}", "A" * 64])
async def test_an_id_that_is_not_known_is_4040_everywhere(
    start_backend: StartBackend, embedded_store: Store, scan_id: str
) -> None:
    backend = await start_backend(embedded_store)
    phone = await backend.login()
    token, path = phone["accessToken"], f"/api/scan/{scan_id}"
    replies = [
        await backend.get(path, X_Poll_Secret="x"),
        await backend.get(f"{path}/qr.svg"),
        await backend.get(f"{path}/qr.png"),
        await backend.call("POST", f"{path}/redeem", {"pollSecret": "x", "ticket": "y"}),
        await backend.call("POST", f"{path}/scan", {}, token),
        await backend.call("POST", f"{path}/confirm", {}, token),
        await backend.call("POST", f"{path}/cancel", {}, token),
    ]
    assert {(reply.status, reply.body["code"]) for reply in replies} == {(404, 4040)}


@pytest.mark.parametrize("secret", ["", "x", "A" * 43])
async def test_a_socket_without_the_secret_is_closed_with_4404_as_for_an_unknown_scan(
    backend: Backend, secret: str
) -> None:
    page = await open_page(backend)
    for scan_id in (page.id, UNKNOWN, "x"):
        async with socket(backend, f"/api/scan/{scan_id}/ws") as connection:
            await connection.write_message(json.dumps({"type": "AUTH", "pollSecret": secret}))
            assert await hear(connection) is None
            assert (connection.close_code, connection.close_reason) == (4404, "not_found")


@pytest.mark.parametrize("name", ["pollSecret", "secret", "ticket", "token", "poll_secret", "user"])
async def test_a_secret_in_a_url_is_refused(start_backend: StartBackend, embedded_store: Store, name: str) -> None:
    backend = await start_backend(embedded_store)
    page = await open_page(backend)
    reply = await backend.get(f"/api/scan/{page.id}?{name}={page.secret}", X_Poll_Secret=page.secret)
    assert (reply.status, reply.body["code"]) == (400, 4000)
    with pytest.raises(HTTPClientError) as refused:
        async with socket(backend, f"/api/scan/{page.id}/ws?{name}={page.secret}"):
            pass
    assert refused.value.code == 400


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://kaimen.test.evil.example"])
async def test_a_foreign_page_gets_no_code(backend: Backend, origin: str) -> None:
    headers = {"Origin": origin} if origin else {}
    reply = await backend.call("POST", "/api/scan", {"channel": "page"}, **headers)
    assert (reply.status, reply.body["code"], reply.body["data"]) == (403, 4032, None)
    assert "Access-Control-Allow-Origin" not in reply.headers


async def test_a_page_of_another_site_that_is_listed_gets_a_code_and_is_named_on_the_phone(
    start_backend: StartBackend, embedded_store: Store
) -> None:
    backend = await start_backend(embedded_store, web_origins="https://shop.example")
    headers = {"Origin": "https://shop.example"}
    reply = await backend.call("POST", "/api/scan", {"channel": "page"}, **headers)
    assert reply.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    phone = await backend.login()
    shown = await act(backend, Page(reply.data), "scan", phone["accessToken"])
    assert shown.data["site"] == "https://shop.example"
