"""Who a service is: Basic or signed, with scopes, without replay, and gone when removed."""

import asyncio
import base64
import secrets
import time
from typing import Any

import pytest

from backend import Backend, StartBackend, Store
from servers import Redis
from service_client import ServiceClient, add_service, remove_service, rows

LOOKUP = "/api/service/users/lookup"
NOBODY = {"ids": ["0" * 32]}


async def test_basic_and_signed_requests_both_open_a_service_route(backend: Backend) -> None:
    shop = await add_service(backend)
    assert (await shop.call("POST", LOOKUP, NOBODY)).data == {"users": []}
    assert (await shop.call_signed("POST", LOOKUP, NOBODY)).data == {"users": []}


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "header",
    ["", "Bearer x", "Basic", "Basic !", "Basic AAAA", basic("shop"), basic("shop:"), basic("shop:wrong"),
     basic("nobody:wrong"), basic("nobody:no such service"), basic("x\x00:y"), "Kaimen-HMAC-SHA256",
     "Kaimen-HMAC-SHA256 service=shop", "Basic " + "A" * 9000],
    ids=lambda header: header[:40],
)  # fmt: skip
async def test_wrong_credentials_are_all_answered_alike(backend: Backend, header: str) -> None:
    await add_service(backend)
    reply = await backend.call("POST", LOOKUP, NOBODY, Authorization=header)
    assert (reply.status, reply.error, reply.body["data"]) == (401, "unauthenticated", None)
    assert reply.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert "Kaimen-HMAC-SHA256" in reply.headers["WWW-Authenticate"]


async def test_a_user_s_token_opens_no_service_route(backend: Backend) -> None:
    login = await backend.login()
    assert (await backend.call("POST", LOOKUP, NOBODY, login["accessToken"])).status == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "scope"),
    [
        ("POST", "/api/token/introspect", "token=x", "introspect"),
        ("POST", LOOKUP, NOBODY, "users:read"),
        ("PATCH", "/api/service/users/x", {"disabled": True}, "users:write"),
        ("POST", "/api/wechat/wx0000000000000001/access-token", {}, "access-token"),
    ],
)
async def test_a_route_needs_its_own_scope_and_no_other(
    start_backend: StartBackend, embedded_store: Store, method: str, path: str, body: Any, scope: str
) -> None:
    backend = await start_backend(embedded_store)
    others = ("introspect", "users:read", "users:write", "access-token")
    lacking = await add_service(backend, "lacking", tuple(one for one in others if one != scope))
    having = await add_service(backend, "having", (scope,))
    refused = await lacking.call(method, path, body)
    assert (refused.status, refused.error, refused.data) == (403, "forbidden", {"scope": scope})
    assert (await having.call(method, path, body)).status not in (401, 403)


async def test_a_service_that_was_removed_is_refused_by_every_instance_within_a_second(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    shop = await add_service(one)
    clients = [shop, shop.at(two)]
    assert [(await client.call("POST", LOOKUP, NOBODY)).status for client in clients] == [200, 200]
    await remove_service(one, "shop")
    removed_at = time.monotonic()
    statuses = {200}
    while statuses != {401}:
        assert time.monotonic() - removed_at < 1
        statuses = {(await client.call("POST", LOOKUP, NOBODY)).status for client in clients}
    assert (await shop.call_signed("POST", LOOKUP, NOBODY)).status == 401


async def test_a_name_taken_again_has_another_secret(backend: Backend) -> None:
    old = await add_service(backend)
    await remove_service(backend, "shop")
    new = await add_service(backend)
    assert old.secret != new.secret
    assert (await old.call("POST", LOOKUP, NOBODY)).status == 401


async def test_the_secret_is_stored_sealed_and_adding_and_removing_are_in_the_audit(backend: Backend) -> None:
    shop = await add_service(backend, "shop", ("introspect",))
    stored = await rows(backend, "SELECT sealed, scopes FROM services")
    assert shop.secret not in str(stored)
    await remove_service(backend, "shop")
    audit = await rows(backend, "SELECT action, actor, detail FROM audit ORDER BY id")
    assert [row[:2] for row in audit] == [("service.added", "cli:test"), ("service.removed", "cli:test")]
    assert shop.secret not in str(audit)


# --- signed requests ---


@pytest.fixture
async def shop(start_backend: StartBackend, embedded_store: Store) -> ServiceClient:
    return await add_service(await start_backend(embedded_store))


@pytest.mark.parametrize(
    "change",
    ["method", "path", "query", "body", "timestamp", "nonce", "signature", "service"],
)
async def test_a_signature_holds_for_exactly_what_was_signed(shop: ServiceClient, change: str) -> None:
    await add_service(shop.backend, "other")
    body = '{"ids": ["x"]}'
    header = shop.sign("PATCH" if change == "method" else "POST", LOOKUP, body)
    sent = {
        "timestamp": header.replace("timestamp=1", "timestamp=2"),
        "nonce": header.replace("nonce=", "nonce=A"),
        "signature": header[:-1] + ("0" if header[-1] != "0" else "1"),
        "service": header.replace("service=shop", "service=other"),
        "path": shop.sign("POST", "/api/service/users/lookups", body),
    }.get(change, header)
    path = LOOKUP + ("?a=1" if change == "query" else "")
    reply = await shop.backend.call("POST", path, body + (" " if change == "body" else ""), Authorization=sent)
    assert (reply.status, reply.error) == (401, "unauthenticated")


@pytest.mark.parametrize(("away_s", "status"), [(-290, 200), (290, 200), (-310, 401), (310, 401)])
async def test_a_timestamp_counts_within_five_minutes_of_ours(shop: ServiceClient, away_s: int, status: int) -> None:
    reply = await shop.call_signed("POST", LOOKUP, NOBODY, timestamp=int(time.time()) + away_s)
    assert reply.status == status


@pytest.mark.parametrize("nonce", ["short", "n" * 65, "not allowed chars!!", ""])
async def test_a_malformed_nonce_is_refused(shop: ServiceClient, nonce: str) -> None:
    assert (await shop.call_signed("POST", LOOKUP, NOBODY, nonce=nonce)).status == 401


async def test_the_query_is_part_of_what_is_signed(shop: ServiceClient) -> None:
    assert (await shop.call_signed("POST", LOOKUP + "?trace=1", NOBODY)).status == 200


async def test_twenty_copies_of_a_signed_request_over_two_instances_are_one_success(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    shop = await add_service(one)
    nonce, now = secrets.token_urlsafe(16), int(time.time())
    clients = [shop, shop.at(two)] * 10
    replies = await asyncio.gather(
        *(client.call_signed("POST", LOOKUP, NOBODY, nonce=nonce, timestamp=now) for client in clients)
    )
    assert sorted(reply.status for reply in replies) == [200] + [401] * 19


async def test_a_nonce_is_remembered_as_long_as_its_timestamp_counts(
    start_backend: StartBackend, server_store: Store, redis_server: Redis
) -> None:
    backend = await start_backend(server_store)
    shop = await add_service(backend)
    await shop.call_signed("POST", LOOKUP, NOBODY, nonce="n" * 20)
    with redis_server._client() as client:
        assert client.ttl("kaimen:nonce:shop:" + "n" * 20) > 600


async def test_a_forged_signature_leaves_no_nonce_behind(shop: ServiceClient) -> None:
    nonce, body = "n" * 20, '{"ids": ["x"]}'
    forged = ServiceClient(shop.backend, "shop", "guess").sign("POST", LOOKUP, body, nonce=nonce)
    assert (await shop.backend.call("POST", LOOKUP, body, Authorization=forged)).status == 401
    assert (await shop.call_signed("POST", LOOKUP, NOBODY, nonce=nonce)).status == 200


async def test_without_redis_a_signed_request_is_refused_and_basic_goes_on(
    start_backend: StartBackend, server_store: Store, redis_server: Redis
) -> None:
    backend = await start_backend(server_store)
    shop = await add_service(backend)
    redis_server.kill()
    try:
        signed = await shop.call_signed("POST", LOOKUP, NOBODY)
        by_password = await shop.call("POST", LOOKUP, NOBODY)
    finally:
        redis_server.start()
    assert (signed.status, signed.error) == (503, "cache_unavailable")
    assert "Retry-After" in signed.headers
    assert by_password.status == 200
