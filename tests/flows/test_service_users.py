"""Users as services see and change them."""

import asyncio
import json
from typing import Any

import pytest

from backend import APPID, OTHER_APPID, PASSWORD, Backend, StartBackend, Store
from service_client import ServiceClient, add_service, rows


@pytest.fixture
async def shop(backend: Backend) -> ServiceClient:
    return await add_service(backend)


def openid_of(backend: Backend, user: str, appid: str = APPID) -> str:
    users = backend.simulator.wechat.users
    return users.openid(appid, users.get(user))


async def change(shop: ServiceClient, user_id: str, **what: Any) -> Any:
    return await shop.call("PATCH", f"/api/service/users/{user_id}", what)


async def test_a_user_is_found_by_id_phone_openid_and_external_id_with_everything_about_it(
    backend: Backend, shop: ServiceClient
) -> None:
    login = await backend.login("alice", phoneCode=backend.simulator.wechat.phone_code(APPID, "alice"))
    user_id, openid = login["user"]["id"], openid_of(backend, "alice")
    assert (await change(shop, user_id, externalId="crm-17")).status == 200
    ways = [{"ids": [user_id]}, {"phones": ["13800138001"]}, {"phones": ["+8613800138001"]}, {"openids": [openid]},
            {"externalIds": ["crm-17"]}]  # fmt: skip
    found = [await shop.lookup(**way) for way in ways]
    assert all(one == found[0] for one in found)
    [user] = found[0]
    assert user["phone"] == "13800138001"
    assert login["user"]["phone"] == "138****8001"
    assert (user["externalId"], user["disabled"]) == ("crm-17", False)
    assert [(one["appid"], one["openid"]) for one in user["identities"]] == [(APPID, openid)]
    assert {"id", "nickname", "roles", "createdAt"} <= set(user)


async def test_an_identity_comes_with_the_unionid_of_its_user(backend: Backend, shop: ServiceClient) -> None:
    login = await backend.login("alice")
    [user] = await shop.lookup(ids=[login["user"]["id"]])
    stored = await rows(backend, "SELECT unionid FROM unionids")
    known = [value.decode() if isinstance(value, bytes) else value for (value,) in stored]
    assert user["unionids"] == known
    assert user["identities"][0]["unionid"] == (known[0] if known else None)


async def test_a_hundred_are_found_at_once_and_strangers_are_left_out(backend: Backend, shop: ServiceClient) -> None:
    names = [f"lookup{number}" for number in range(9)]
    replies = await asyncio.gather(*(backend.auth("register", username=name, password=PASSWORD) for name in names))
    ids = [reply.data["user"]["id"] for reply in replies]
    found = await shop.lookup(ids=[*ids, *(f"{number:032x}" for number in range(91))])
    assert [user["id"] for user in found] == sorted(ids)


@pytest.mark.parametrize(
    "body",
    [{}, {"ids": []}, {"ids": ["x"] * 101}, {"ids": ["x"], "phones": ["1"]}, {"ids": "x"}, {"ids": [1]}, {"ids": [""]},
     {"ids": ["x" * 129]}, {"names": ["x"]}, {"ids": None}],
    ids=str,
)  # fmt: skip
async def test_a_lookup_is_exactly_one_list_of_one_to_a_hundred(
    start_backend: StartBackend, embedded_store: Store, body: Any
) -> None:
    shop = await add_service(await start_backend(embedded_store))
    reply = await shop.call("POST", "/api/service/users/lookup", body)
    assert (reply.status, reply.error) == (400, "invalid_request")


async def test_roles_are_in_the_next_token_and_not_in_those_before(backend: Backend, shop: ServiceClient) -> None:
    login = await backend.login()
    reply = await change(shop, login["user"]["id"], roles=["shop:admin", "beta", "beta"])
    assert reply.data["roles"] == ["beta", "shop:admin"]
    before = await backend.get("/api/token/verify", login["accessToken"])
    assert before.headers["X-User-Roles"] == ""
    refreshed = (await backend.auth("autoLogin", refreshToken=login["refreshToken"])).data
    after = await backend.get("/api/token/verify", refreshed["accessToken"])
    assert after.headers["X-User-Roles"] == "beta,shop:admin"
    assert (await shop.introspect(refreshed["accessToken"]))["scope"] == "beta shop:admin"


async def test_disabling_ends_every_session_on_every_instance_and_refuses_logins(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    shop = await add_service(one)
    logins = [await one.login(), await two.login()]
    user_id = logins[0]["user"]["id"]
    assert (await change(shop, user_id, disabled=True)).data["disabled"] is True
    async with asyncio.timeout(1):
        for login in logins:
            while (await two.get("/api/user/info", login["accessToken"])).error != "session_revoked":
                pass
    for login in logins:
        assert (await two.auth("autoLogin", refreshToken=login["refreshToken"])).status in (401, 403)
    assert (await two.auth("login", code=two.wx_login())).error == "account_disabled"
    assert (await change(shop, user_id, disabled=False)).data["disabled"] is False
    assert (await two.auth("login", code=two.wx_login())).status == 200
    assert (await two.get("/api/user/info", logins[0]["accessToken"])).error == "session_revoked"


async def test_a_change_is_told_and_audited_once_and_a_repeat_changes_nothing(
    backend: Backend, shop: ServiceClient
) -> None:
    user_id = (await backend.login())["user"]["id"]
    for _ in range(2):
        assert (await change(shop, user_id, roles=["a"], externalId="crm-1", disabled=True)).status == 200
    events = await rows(backend, "SELECT seq, type, data FROM outbox ORDER BY seq")
    assert [(seq, kind) for seq, kind, _ in events] == [
        (1, "user.created"), (2, "session.created"), (3, "user.updated"), (4, "session.revoked"),
    ]  # fmt: skip
    assert json.loads(events[2][2]) == {"fields": ["disabled", "externalId", "roles"], "disabled": True}
    assert json.loads(events[3][2])["reason"] == "disabled"
    assert await rows(backend, "SELECT seq FROM users") == [(4,)]
    audit = await rows(backend, "SELECT action, actor, user_id, detail FROM audit WHERE user_id IS NOT NULL")
    assert sorted(row[0] for row in audit) == ["user.disabled", "user.external_id", "user.roles"]
    assert {row[1:3] for row in audit} == {("service:shop", user_id)}
    assert "crm-1" not in str(audit)


async def test_an_external_id_is_one_user_s_and_can_be_taken_back(backend: Backend, shop: ServiceClient) -> None:
    alice, bob = (await backend.login("alice"))["user"]["id"], (await backend.login("bob"))["user"]["id"]
    assert (await change(shop, alice, externalId="crm-1")).status == 200
    taken = await change(shop, bob, externalId="crm-1")
    assert (taken.status, taken.error, taken.data) == (409, "identity_conflict", {"field": "externalId"})
    assert (await change(shop, bob, externalId="CRM-1")).status == 200
    assert (await change(shop, alice, externalId=None)).data["externalId"] is None
    assert await shop.lookup(externalIds=["crm-1"]) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "roles"),
        ({"roles": "admin"}, "roles"),
        ({"roles": ["Admin"]}, "roles.0"),
        ({"roles": ["a b"]}, "roles.0"),
        ({"roles": ["a\n"]}, "roles.0"),
        ({"roles": ["x" * 33]}, "roles.0"),
        ({"roles": [f"r{number}" for number in range(21)]}, "roles"),
        ({"externalId": ""}, "externalId"),
        ({"externalId": "a b"}, "externalId"),
        ({"externalId": "é"}, "externalId"),
        ({"externalId": 7}, "externalId"),
        ({"disabled": 1}, "disabled"),
        ({"disabled": None}, "disabled"),
        ({"username": "x"}, "username"),
    ],
    ids=str,
)
async def test_a_malformed_change_is_named(
    start_backend: StartBackend, embedded_store: Store, body: dict[str, Any], field: str
) -> None:
    backend = await start_backend(embedded_store)
    shop = await add_service(backend)
    reply = await change(shop, (await backend.login())["user"]["id"], **body)
    assert (reply.status, reply.error, reply.data) == (400, "invalid_request", {"field": field})


async def test_an_unknown_user_is_not_found(backend: Backend, shop: ServiceClient) -> None:
    assert (await change(shop, "0" * 32, disabled=True)).status == 404
    assert (await change(shop, "%27%20OR%201=1%20--%20", disabled=True)).status == 404


async def test_fifty_changes_at_once_leave_events_without_a_gap(backend: Backend, shop: ServiceClient) -> None:
    user_id = (await backend.login(appid=OTHER_APPID))["user"]["id"]
    replies = await asyncio.gather(*(change(shop, user_id, roles=[f"r{number}"]) for number in range(50)))
    assert {reply.status for reply in replies} == {200}
    assert [seq for (seq,) in await rows(backend, "SELECT seq FROM outbox ORDER BY seq")] == list(range(1, 53))
