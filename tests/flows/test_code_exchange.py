"""A code is exchanged once, however often it is sent and to whichever instance."""

import asyncio

from tornado.curl_httpclient import CurlAsyncHTTPClient

from backend import Backend, StartBackend, Store
from core.clock import Clock
from models import codes
from models.codes import Claim
from models.kv import open_kv

ELSEWHERE = "203.0.113.7"
PROXY = ("127.0.0.1",)


async def test_a_retried_code_joins_the_first_login(backend: Backend) -> None:
    code = backend.wx_login()
    first, again = await backend.auth("login", code=code), await backend.auth("login", code=code)
    assert again.status == 200
    assert first.data["sessionId"] == again.data["sessionId"]
    assert first.data["refreshToken"] == again.data["refreshToken"]
    assert first.data["isNewUser"] is again.data["isNewUser"] is True
    assert backend.count_calls("jscode2session") == 1


async def test_twenty_parallel_retries_are_one_call_to_wechat_and_one_session(backend: Backend) -> None:
    code = backend.wx_login()
    replies = await asyncio.gather(*(backend.auth("login", code=code) for _ in range(20)))
    assert {reply.status for reply in replies} == {200}
    assert len({reply.data["sessionId"] for reply in replies}) == 1
    assert backend.count_calls("jscode2session") == 1


async def test_parallel_retries_over_two_instances_are_one_session(
    start_backend: StartBackend, server_store: Store
) -> None:
    one, two = await start_backend(server_store), await start_backend(server_store)
    code = one.wx_login()
    replies = await asyncio.gather(*((one, two)[n % 2].auth("login", code=code) for n in range(20)))
    assert {reply.status for reply in replies} == {200}
    assert len({reply.data["sessionId"] for reply in replies}) == 1
    assert one.count_calls("jscode2session") == 1


async def test_a_retry_gets_the_current_tokens_of_a_session_refreshed_meanwhile(backend: Backend) -> None:
    code = backend.wx_login()
    first = await backend.auth("login", code=code)
    refreshed = await backend.auth("autoLogin", refreshToken=first.data["refreshToken"])
    again = await backend.auth("login", code=code)
    assert again.data["refreshToken"] == refreshed.data["refreshToken"]


async def test_a_code_is_used_up_after_the_retry_window(backend: Backend) -> None:
    code = backend.wx_login()
    await backend.auth("login", code=code)
    backend.clock.advance(31)
    reply = await backend.auth("login", code=code)
    assert (reply.status, reply.error) == (400, "wx_code_used")
    assert backend.count_calls("jscode2session") == 1


async def test_a_code_brought_from_another_address_is_used_up(start_backend: StartBackend, store: Store) -> None:
    backend = await start_backend(store, trusted_proxies=PROXY)
    code = backend.wx_login()
    await backend.auth("login", code=code)
    reply = await backend.call("POST", "/api/auth", {"action": "login", "code": code}, X_Forwarded_For=ELSEWHERE)
    assert (reply.status, reply.error) == (400, "wx_code_used")


async def test_a_forwarded_address_is_not_believed_from_an_untrusted_peer(backend: Backend) -> None:
    code = backend.wx_login()
    await backend.auth("login", code=code)
    reply = await backend.call("POST", "/api/auth", {"action": "login", "code": code}, X_Forwarded_For=ELSEWHERE)
    assert reply.status == 200


async def test_the_same_slash_64_is_the_same_client(start_backend: StartBackend, store: Store) -> None:
    backend = await start_backend(store, trusted_proxies=PROXY)
    code, body = backend.wx_login(), {"action": "login"}
    first = await backend.call("POST", "/api/auth", {**body, "code": code}, X_Forwarded_For="2001:db8::1")
    near = await backend.call("POST", "/api/auth", {**body, "code": code}, X_Forwarded_For="2001:db8::2")
    far = await backend.call("POST", "/api/auth", {**body, "code": code}, X_Forwarded_For="2001:db8:0:1::1")
    assert (first.status, near.status, far.error) == (200, 200, "wx_code_used")


async def test_a_code_cannot_be_used_for_another_action(backend: Backend) -> None:
    code = backend.wx_login()
    await backend.auth("login", code=code)
    assert (await backend.auth("register", code=code)).error == "wx_code_used"


async def test_a_code_whose_session_was_ended_is_used_up(backend: Backend) -> None:
    code = backend.wx_login()
    login = await backend.auth("login", code=code)
    await backend.call("POST", "/api/auth/logout", {}, login.data["accessToken"])
    assert (await backend.auth("login", code=code)).error == "wx_code_used"


async def test_a_bad_code_is_asked_once_and_refused_alike(backend: Backend) -> None:
    replies = await asyncio.gather(*(backend.auth("login", code="never-issued") for _ in range(5)))
    assert {reply.error for reply in replies} == {"invalid_wx_code"}
    assert backend.count_calls("jscode2session") == 1


async def test_a_code_may_be_brought_again_when_wechat_was_not_reached(backend: Backend) -> None:
    code = backend.wx_login()
    backend.simulator.faults.add({"api": "jscode2session", "errcode": -1, "times": 2})
    failed = await backend.auth("login", code=code)
    again = await backend.auth("login", code=code)
    assert (failed.status, failed.error) == (503, "wx_unavailable")
    assert again.status == 200


async def test_a_code_whose_exchanging_instance_died_is_used_up(
    start_backend: StartBackend, server_store: Store
) -> None:
    backend = await start_backend(server_store)
    code, kv = backend.wx_login(), open_kv(server_store.redis_url, Clock())
    dead = Claim("pending", "login", "127.0.0.1", backend.clock.now_ms() - 60_000)
    await codes.claim(kv, codes.code_key("wx0000000000000001", code), dead)
    reply = await backend.auth("login", code=code)
    await kv.close()
    assert (reply.status, reply.error) == (400, "wx_code_used")


async def test_codes_are_not_found_in_redis(start_backend: StartBackend, server_store: Store) -> None:
    backend = await start_backend(server_store)
    code = backend.wx_login()
    await backend.auth("login", code=code)
    kv = open_kv(server_store.redis_url, Clock())
    keys = await kv.run("KEYS", "*")
    values = [await kv.run("GET", key) for key in keys if key.startswith("kaimen:code:")]
    await kv.close()
    assert keys
    assert values
    assert not any(code in text for text in [*keys, *values])


async def test_a_client_that_hangs_up_does_not_end_the_exchange_for_others(backend: Backend) -> None:
    code = backend.wx_login()
    backend.simulator.faults.add({"api": "jscode2session", "delayS": 0.3, "times": 1})
    gone = CurlAsyncHTTPClient(force_instance=True)
    body = f'{{"action": "login", "code": "{code}"}}'
    lost = asyncio.ensure_future(
        gone.fetch(
            backend.url + "/api/auth",
            method="POST",
            body=body,
            headers={"Content-Type": "application/json"},
            request_timeout=0.1,
            raise_error=False,
        )
    )
    await asyncio.gather(lost, return_exceptions=True)
    gone.close()
    assert (await backend.auth("login", code=code)).status == 200
