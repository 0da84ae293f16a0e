"""RFC 7662: what a token stands for, told to services and to nobody else, without changing anything."""

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from backend import APPID, Backend, Reply, StartBackend, Store
from service_client import ServiceClient, add_service, rows

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
async def api(backend: Backend) -> ServiceClient:
    return await add_service(backend, "api", ("introspect",))


async def test_an_access_token_is_told_with_its_claims(backend: Backend, api: ServiceClient) -> None:
    login = await backend.login()
    found = await api.introspect(login["accessToken"])
    now = backend.clock.now_ms() // 1000
    assert 890 < found.pop("exp") - now <= 900
    assert abs(found.pop("iat") - now) < 5
    assert abs(found.pop("auth_time") - now) < 5
    assert found == {
        "active": True,
        "token_type": "Bearer",
        "sub": login["user"]["id"],
        "sid": login["sessionId"],
        "iss": "http://kaimen.test",
        "aud": "http://kaimen.test",
        "client_id": APPID,
        "appid": APPID,
        "scope": "",
        "roles": [],
    }


async def test_a_refresh_token_is_told_by_its_type_and_not_used_up(backend: Backend, api: ServiceClient) -> None:
    login = await backend.login()
    for _ in range(3):
        found = await api.introspect(login["refreshToken"])
        assert (found["active"], found["token_type"]) == (True, "refresh_token")
        assert (found["sub"], found["sid"]) == (login["user"]["id"], login["sessionId"])
        assert "scope" not in found
    assert (await backend.auth("autoLogin", refreshToken=login["refreshToken"])).status == 200


async def test_an_old_refresh_token_is_inactive_after_its_grace_and_asking_revokes_nothing(
    backend: Backend, api: ServiceClient
) -> None:
    login = await backend.login()
    successor = (await backend.auth("autoLogin", refreshToken=login["refreshToken"])).data
    assert (await api.introspect(login["refreshToken"]))["active"] is True
    backend.clock.advance(11)
    assert await api.introspect(login["refreshToken"]) == {"active": False}
    assert (await api.introspect(successor["refreshToken"]))["active"] is True
    assert await rows(backend, "SELECT COUNT(*) FROM revocations") == [(0,)]


async def test_whatever_is_not_valid_is_inactive_and_nothing_more(backend: Backend, api: ServiceClient) -> None:
    login, other = await backend.login(), await backend.login("bob")
    logged_out = await backend.login("carol")
    await backend.call("POST", "/api/auth/logout", {}, logged_out["accessToken"])
    access, refresh = login["accessToken"], login["refreshToken"]
    bad = [
        "x", "..", "eyJ..", "%00", quote("中"), access[:-1], access + "A", access + "==", access * 8,
        refresh[:40] + ("A" if refresh[40] != "A" else "B") + refresh[41:], other["sessionId"] + refresh[32:],
        logged_out["accessToken"], logged_out["refreshToken"], "A" * 60_000,
    ]  # fmt: skip
    assert [await api.introspect(token) for token in bad] == [{"active": False}] * len(bad)
    backend.clock.advance(901)
    assert await api.introspect(access) == {"active": False}
    backend.clock.advance(7 * 86400)
    assert await api.introspect(refresh) == {"active": False}


async def test_a_logout_on_one_instance_is_inactive_on_another_within_a_second(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    api, login = await add_service(two), await one.login()
    assert (await api.introspect(login["accessToken"]))["active"] is True
    await one.call("POST", "/api/auth/logout", {}, login["accessToken"])
    async with asyncio.timeout(1):
        while (await api.introspect(login["accessToken"]))["active"]:
            pass
    assert (await api.introspect(login["refreshToken"])) == {"active": False}


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        ('{"token": "x"}', "application/json", 415),
        ("", FORM, 400),
        ("token", FORM, 400),
        ("token=", FORM, 400),
        ("token=a&token=b", FORM, 400),
        ("tok%zz=a", FORM, 400),
        ("hint=a", FORM, 400),
        ("token=%ff%fe", FORM, 400),
        ("&".join(f"f{number}=1" for number in range(101)), FORM, 400),
        ("token=" + "a" * 70_000, FORM, 413),
        ("token=a&token_type_hint=access_token&more=1", FORM, 200),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_form_is_read_strictly(
    start_backend: StartBackend, embedded_store: Store, body: str, media_type: str, status: int
) -> None:
    api = await add_service(await start_backend(embedded_store))
    reply = await post(api, body, media_type)
    assert reply.status == status


async def post(api: ServiceClient, body: str, media_type: str) -> Reply:
    headers: dict[str, Any] = {"Authorization": api.basic, "Content_Type": media_type}
    return await api.backend.call("POST", "/api/token/introspect", body, **headers)


async def test_the_answer_is_never_cached_and_has_no_envelope(backend: Backend, api: ServiceClient) -> None:
    reply = await post(api, "token=x", FORM)
    assert reply.body == {"active": False}
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Content-Type"].startswith("application/json")


async def test_the_metadata_name_the_endpoints_and_may_be_cached(
    start_backend: StartBackend, embedded_store: Store
) -> None:
    backend = await start_backend(embedded_store, path_prefix="/login")
    reply = await backend.get("/login/.well-known/oauth-authorization-server")
    assert reply.headers["Cache-Control"] == "public, max-age=3600"
    assert reply.body["issuer"] == "http://kaimen.test"
    assert reply.body["introspection_endpoint"] == "http://kaimen.test/login/api/token/introspect"
    jwks = reply.body["jwks_uri"].removeprefix("http://kaimen.test")
    assert len((await backend.get(jwks)).body["keys"]) == 1
