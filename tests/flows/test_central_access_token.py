"""One access_token for every deployment: lent by the first, taken by the second, renewed only when WeChat says so."""

import asyncio
from typing import Any

import pytest

from backend import APPID, OTHER_APPID, Backend, StartBackend, Store
from core.clock import Deadline
from core.settings import SettingsInvalid
from service_client import ServiceClient, add_service, remove_service
from simulator import DEFAULT_APPS

PATH = f"/api/wechat/{APPID}/access-token"


def refuse_from_now_on(backend: Backend, token: str) -> None:
    """WeChat no longer takes it, and still hands it out: only a forced refresh helps."""
    tokens = backend.simulator.wechat.tokens
    tokens._known[token].usable_until = 0


async def ask(service: ServiceClient, **body: str) -> dict[str, Any]:
    reply = await service.call("POST", PATH, body)
    assert reply.status == 200, reply.text
    return reply.data  # type: ignore[no-any-return]


async def test_the_token_is_one_for_all_instances_and_says_how_long_it_lives(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    shop = await add_service(one)
    answers = await asyncio.gather(*(ask(client) for client in [shop, shop.at(two)] * 5))
    assert len({answer["accessToken"] for answer in answers}) == 1
    assert all(7100 < answer["expiresIn"] <= 7200 for answer in answers)
    assert one.count_calls("stable_token") == 1


async def test_an_app_that_is_not_configured_is_4042(backend: Backend) -> None:
    shop = await add_service(backend)
    reply = await shop.call("POST", "/api/wechat/wx9999999999999999/access-token", {})
    assert (reply.status, reply.error) == (404, "unknown_app")


async def test_a_caller_s_word_alone_ends_no_token(backend: Backend) -> None:
    shop = await add_service(backend)
    token = (await ask(shop))["accessToken"]
    assert (await ask(shop, stale=token))["accessToken"] == token
    assert (await ask(shop, stale="never seen"))["accessToken"] == token
    assert backend.count_calls("stable_token") == 1


async def test_a_token_that_wechat_refuses_is_replaced_for_all(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    shop = await add_service(one)
    token = (await ask(shop))["accessToken"]
    await ask(shop.at(two))
    refuse_from_now_on(one, token)
    answers = await asyncio.gather(*(ask(client, stale=token) for client in [shop, shop.at(two)] * 5))
    [new] = {answer["accessToken"] for answer in answers}
    assert new != token
    assert one.simulator.wechat.tokens.check(new) == APPID


# --- a second deployment ---


def lent_by(url: str, service: ServiceClient) -> list[dict[str, Any]]:
    """The apps of a deployment that takes its tokens from ``url``."""
    scheme, host = url.split("://")
    credentials = f"{service.name}:{service.secret}"
    return [
        {**app, "accessTokenUrl": f"{scheme}://{credentials}@{host}/api/wechat/{app['appid']}/access-token"}
        for app in DEFAULT_APPS
    ]


@pytest.fixture
async def production(start_backend: StartBackend, server_store: Store) -> ServiceClient:
    return await add_service(await start_backend(server_store), "staging", ("access-token",))


@pytest.fixture
async def staging(start_backend: StartBackend, embedded_store: Store, production: ServiceClient) -> Backend:
    return await start_backend(embedded_store, apps=lent_by(production.backend.url, production))


async def stop(backend: Backend) -> None:
    backend.server.stop()
    await backend.server.close_all_connections()


async def bind_phone(backend: Backend) -> int:
    """The status of a call that needs an access_token."""
    login = await backend.login()
    code = backend.simulator.wechat.phone_code(APPID, "alice")
    reply = await backend.call("POST", "/api/user/phone", {"code": code}, login["accessToken"])
    return reply.status


async def test_a_second_deployment_takes_its_token_from_the_first_and_never_from_wechat(
    production: ServiceClient, staging: Backend
) -> None:
    assert await bind_phone(staging) == 200
    assert await bind_phone(production.backend) == 200
    assert staging.count_calls("stable_token") == 1
    shop = await add_service(staging)
    assert (await ask(shop))["accessToken"] == (await ask(production))["accessToken"]


async def test_a_new_token_of_the_first_reaches_the_second_when_the_old_one_is_refused(
    production: ServiceClient, staging: Backend
) -> None:
    assert await bind_phone(staging) == 200
    old = (await ask(production))["accessToken"]
    refuse_from_now_on(staging, old)
    assert await bind_phone(staging) == 200
    new = (await ask(production))["accessToken"]
    assert new != old
    assert (await ask(await add_service(staging)))["accessToken"] == new


async def test_the_second_goes_on_with_its_token_while_the_first_is_away(
    production: ServiceClient, staging: Backend
) -> None:
    assert await bind_phone(staging) == 200
    await stop(production.backend)
    assert await bind_phone(staging) == 200
    staging.clock.advance(7300)
    assert await bind_phone(staging) in (502, 503, 504)
    assert staging.count_calls("stable_token") == 1


async def test_without_a_right_to_the_token_the_second_has_none(production: ServiceClient, staging: Backend) -> None:
    await remove_service(production.backend, "staging")
    async with asyncio.timeout(1):
        while (await production.call("POST", PATH, {})).status != 401:
            pass
    assert await bind_phone(staging) == 502


async def test_the_url_with_its_secret_is_shown_nowhere(production: ServiceClient, staging: Backend) -> None:
    settings = staging.kaimen.settings
    assert production.secret not in repr(settings) + str(settings.model_dump()) + settings.model_dump_json()
    await stop(production.backend)
    app = settings.app(OTHER_APPID)
    assert app is not None
    with pytest.raises(Exception, match="accessTokenUrl of wx0000000000000002") as failure:
        await staging.kaimen.lending.lend(app.appid, None, Deadline.after(staging.clock, 3))
    assert production.secret not in repr(failure.value) + str(failure.value)


@pytest.mark.parametrize(
    "url",
    ["swordfish", "ftp://a:swordfish@h/access-token", "https://h/api/wechat/x/access-token", "https://a:swordfish@h/x",
     "https://a:swordfish@h:x/access-token", "https://:swordfish@h/access-token"],
)  # fmt: skip
async def test_a_malformed_url_ends_the_start_and_is_not_repeated(
    start_backend: StartBackend, embedded_store: Store, url: str
) -> None:
    with pytest.raises(SettingsInvalid, match="accessTokenUrl") as refusal:
        await start_backend(embedded_store, apps=[{**DEFAULT_APPS[0], "accessTokenUrl": url}])
    assert "swordfish" not in str(refusal.value)
