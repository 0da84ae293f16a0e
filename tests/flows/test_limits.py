"""Doors that hold against guessing, and stay open for honest guests."""

import asyncio
import math
import random
import time
from collections.abc import Sequence
from typing import Any

import pytest

from backend import PASSWORD, Backend, Reply, StartBackend, Store
from servers import Redis

WRONG = "Wrong-Sesame-2"


async def at(backend: Backend, address: str, action: str, **body: Any) -> Reply:
    """A call from that address, through a proxy that is trusted."""
    return await backend.call("POST", "/api/auth", {"action": action, **body}, X_Forwarded_For=address)


@pytest.fixture
async def backend(start_backend: StartBackend, store: Store) -> Backend:
    return await start_backend(store, trusted_proxies="127.0.0.1")


async def test_after_five_wrong_passwords_the_right_one_is_refused_too_until_the_window_has_passed(
    backend: Backend,
) -> None:
    await at(backend, "192.0.2.1", "register", username="alice", password=PASSWORD)
    wrong = [await at(backend, "192.0.2.1", "login", username="ALICE", password=WRONG) for _ in range(5)]
    assert [reply.error for reply in wrong] == ["wrong_credentials"] * 5
    sixth = await at(backend, "192.0.2.1", "login", username="alice", password=PASSWORD)
    assert (sixth.status, sixth.error) == (429, "too_many_attempts")
    assert 890 <= int(sixth.headers["Retry-After"]) <= 900
    backend.clock.advance(int(sixth.headers["Retry-After"]))
    assert (await at(backend, "192.0.2.1", "login", username="alice", password=PASSWORD)).status == 200


async def test_the_owner_on_another_network_is_not_locked_out_and_wechat_logins_go_on(backend: Backend) -> None:
    await at(backend, "192.0.2.1", "register", username="alice", password=PASSWORD)
    for _ in range(8):
        await at(backend, "192.0.2.1", "login", username="alice", password=WRONG)
    assert (await at(backend, "192.0.2.1", "login", username="alice", password=PASSWORD)).status == 429
    assert (await at(backend, "192.0.2.2", "login", username="alice", password=PASSWORD)).status == 200
    assert (await at(backend, "192.0.2.1", "login", code=backend.wx_login())).status == 200


async def test_refused_attempts_do_not_make_the_wait_longer(backend: Backend) -> None:
    for _ in range(5):
        await at(backend, "192.0.2.1", "login", username="alice", password=WRONG)
    backend.clock.advance(600)
    again = [await at(backend, "192.0.2.1", "login", username="alice", password=WRONG) for _ in range(3)]
    assert all(int(reply.headers["Retry-After"]) <= 300 for reply in again)


async def test_right_passwords_are_never_counted(backend: Backend) -> None:
    await at(backend, "192.0.2.1", "register", username="alice", password=PASSWORD)
    for _ in range(4):
        await at(backend, "192.0.2.1", "login", username="alice", password=WRONG)
    right = [await at(backend, "192.0.2.1", "login", username="alice", password=PASSWORD) for _ in range(8)]
    assert {reply.status for reply in right} == {200}


async def test_a_hundred_guesses_at_once_get_five_answers(backend: Backend) -> None:
    guesses = (at(backend, "192.0.2.1", "login", username="alice", password=f"{WRONG}{n}") for n in range(100))
    errors = [reply.error for reply in await asyncio.gather(*guesses)]
    assert (errors.count("wrong_credentials"), errors.count("too_many_attempts")) == (5, 95)


async def test_one_network_may_guess_at_a_hundred_accounts_and_no_more_over_two_instances(
    start_backend: StartBackend, server_store: Store
) -> None:
    limits = {"password_network": "20/900"}
    instances = [
        await start_backend(server_store, trusted_proxies="127.0.0.1", limits=limits, max_sessions=20) for _ in range(2)
    ]
    for n in range(20):
        address = f"2001:db8:0:1::{n}"  # one network: an IPv6 /64 belongs to one client
        reply = await at(instances[n % 2], address, "login", username=f"user{n}", password=WRONG)
        assert reply.error == "wrong_credentials"
    assert (await at(instances[0], "2001:db8:0:1::ff", "login", username="other", password=WRONG)).status == 429
    assert (await at(instances[0], "2001:db8:0:2::1", "login", username="other", password=WRONG)).status == 401


async def test_the_defaults_are_five_for_an_account_and_a_hundred_for_a_network(backend: Backend) -> None:
    errors = []
    for n in range(101):
        errors.append((await at(backend, "192.0.2.7", "login", username=f"u{n:03}", password=WRONG)).error)
    assert errors == ["wrong_credentials"] * 100 + ["too_many_attempts"]


async def test_the_eleventh_registration_of_an_hour_from_one_address_waits(backend: Backend) -> None:
    made = [await at(backend, "192.0.2.1", "register", username=f"user{n}", password=PASSWORD) for n in range(11)]
    assert [reply.status for reply in made] == [200] * 10 + [429]
    assert made[10].error == "rate_limited"
    assert 3500 <= int(made[10].headers["Retry-After"]) <= 3600
    assert (await at(backend, "192.0.2.2", "register", username="user11", password=PASSWORD)).status == 200


async def test_a_hundred_guests_behind_one_nat_log_in_with_wechat_undisturbed(backend: Backend) -> None:
    for n in range(100):
        backend.simulator.wechat.users.save({"name": f"guest{n}"})
    codes = [backend.wx_login(f"guest{n}") for n in range(100)]
    replies = await asyncio.gather(*(at(backend, "192.0.2.1", "login", code=code) for code in codes))
    assert {reply.status for reply in replies} == {200}
    assert len({reply.data["user"]["id"] for reply in replies}) == 100
    again = await asyncio.gather(
        *(at(backend, "192.0.2.1", "autoLogin", refreshToken=reply.data["refreshToken"]) for reply in replies)
    )
    assert {reply.status for reply in again} == {200}


async def test_a_network_that_brings_bad_codes_is_refused_before_wechat_is_asked(
    start_backend: StartBackend, store: Store
) -> None:
    backend = await start_backend(store, trusted_proxies="127.0.0.1", limits={"code_network": "10/300"})
    for n in range(10):
        assert (await at(backend, "192.0.2.1", "login", code=f"made-up-{n}")).error == "invalid_wx_code"
    asked = backend.count_calls("jscode2session")
    reply = await at(backend, "192.0.2.1", "login", code=backend.wx_login())
    assert (reply.status, reply.error, backend.count_calls("jscode2session")) == (429, "rate_limited", asked)
    assert (await at(backend, "192.0.2.2", "login", code=backend.wx_login())).status == 200


async def test_an_appid_is_spared_beyond_its_quota(start_backend: StartBackend, store: Store) -> None:
    backend = await start_backend(store, limits={"code_appid": "3/60"})
    replies = [await backend.auth("login", code=backend.wx_login()) for _ in range(4)]
    assert [reply.status for reply in replies] == [200, 200, 200, 429]
    other = await backend.auth("login", code=backend.wx_login(appid="wx0000000000000002"), appid="wx0000000000000002")
    assert other.status == 200


async def test_forged_refresh_tokens_are_slowed_down_and_good_ones_are_not(
    start_backend: StartBackend, store: Store
) -> None:
    backend = await start_backend(store, limits={"refresh_network": "4/300"})
    login = await backend.login()
    errors = [(await backend.auth("autoLogin", refreshToken=f"forged{n}")).error for n in range(6)]
    assert errors == ["refresh_invalid"] * 4 + ["rate_limited"] * 2
    assert (await backend.auth("autoLogin", refreshToken=login["refreshToken"])).status == 200


async def test_a_thousand_malformed_codes_never_reach_wechat(backend: Backend) -> None:
    codes = ["", "a" * 129, "code with blanks", "code;drop", "коды"] * 200
    replies = await asyncio.gather(*(backend.auth("login", code=code) for code in codes))
    assert {reply.status for reply in replies} == {400}
    assert backend.count_calls("jscode2session") == 0


async def test_with_redis_away_each_process_allows_half_as_much(
    start_backend: StartBackend, server_store: Store
) -> None:
    with Redis() as redis:
        backend = await start_backend(Store(server_store.database_url, redis.url))
        await backend.auth("register", username="alice", password=PASSWORD)
        redis.kill()
        errors = [(await backend.auth("login", username="alice", password=WRONG)).error for _ in range(3)]
        assert errors == ["wrong_credentials"] * 2 + ["too_many_attempts"]
        assert (await backend.auth("login", username="alice", password=PASSWORD)).error == "too_many_attempts"
        assert (await backend.auth("login", code=backend.wx_login())).status == 200


async def test_nobody_is_limited_when_the_limits_are_off(start_backend: StartBackend, embedded_store: Store) -> None:
    backend = await start_backend(embedded_store, rate_limits="off")
    errors = {(await backend.auth("login", username="alice", password=WRONG)).error for _ in range(8)}
    assert errors == {"wrong_credentials"}


@pytest.mark.parametrize("trusted", ["", "10.0.0.0/8"], ids=["none", "another"])
async def test_who_forges_headers_is_still_one_client(
    start_backend: StartBackend, embedded_store: Store, trusted: str
) -> None:
    backend = await start_backend(embedded_store, trusted_proxies=trusted, limits={"password_network": "50/900"})
    errors = []
    for n in range(100):
        forged = {
            "X_Forwarded_For": f"{random.randint(1, 220)}.0.{n}.1",
            "X_Real_Ip": f"198.51.{n}.1",
            "X_Scheme": "https",
            "X_Forwarded_Proto": "https",
            "Forwarded": f"for=198.51.100.{n}",
        }
        body = {"action": "login", "username": f"u{n:03}", "password": WRONG}
        errors.append((await backend.call("POST", "/api/auth", body, **forged)).error)
    assert errors == ["wrong_credentials"] * 50 + ["too_many_attempts"] * 50


async def test_behind_a_trusted_proxy_x_real_ip_and_x_scheme_are_not_believed_either(
    start_backend: StartBackend, embedded_store: Store
) -> None:
    backend = await start_backend(
        embedded_store, trusted_proxies="127.0.0.1", public_url="https://kaimen.test", web_origins="https://kaimen.test"
    )
    body = {"action": "login", "code": backend.wx_login(), "cookie": True}
    reply = await backend.call(
        "POST",
        "/api/auth",
        body,
        X_Forwarded_For="198.51.100.9",
        X_Real_Ip="6.6.6.6",
        X_Scheme="http",
        X_Forwarded_Proto="http",
        Origin="https://kaimen.test",
    )
    assert all("; Secure" in line for line in reply.headers.get_list("Set-Cookie"))
    cookie = reply.headers.get_list("Set-Cookie")[0].split(";")[0]
    listed = await backend.get("/api/sessions", Cookie=cookie)
    assert [one["address"] for one in listed.data["sessions"]] == ["198.51.100.9"]


@pytest.mark.parametrize(
    "password", ["Password1!", "P@ssw0rd123!", "!Dragon2024", "Qwerty123!", "#Iloveyou1#", "Monkey12!"]
)
async def test_a_common_password_in_the_usual_disguise_is_refused(backend: Backend, password: str) -> None:
    reply = await backend.auth("register", username="weak", password=password)
    assert (reply.status, reply.error) == (400, "weak_password")


async def test_unknown_user_and_wrong_password_take_the_same_time(
    start_backend: StartBackend, embedded_store: Store
) -> None:
    backend = await start_backend(embedded_store, rate_limits="off")
    await backend.auth("register", username="alice", password=PASSWORD)
    names = {"alice": [], "nobody": []}
    texts = set()
    for pair in range(300):
        for name in sorted(names, reverse=bool(pair % 2)):
            started = time.perf_counter()
            reply = await backend.auth("login", username=name, password=WRONG)
            names[name].append(time.perf_counter() - started)
            texts.add(reply.text.replace(reply.body["requestId"], ""))
    assert len(texts) == 1
    assert mann_whitney_p(names["alice"], names["nobody"]) > 0.01


def mann_whitney_p(one: Sequence[float], two: Sequence[float]) -> float:
    """Two-sided p of the U test, by its normal approximation; no two times are equal."""
    ranked = sorted([(value, 0) for value in one] + [(value, 1) for value in two])
    rank_sum = sum(rank for rank, (_, group) in enumerate(ranked, start=1) if group == 0)
    u = rank_sum - len(one) * (len(one) + 1) / 2
    mean = len(one) * len(two) / 2
    deviation = math.sqrt(len(one) * len(two) * (len(one) + len(two) + 1) / 12)
    return math.erfc(abs(u - mean) / deviation / math.sqrt(2))


def test_the_u_test_sees_a_shift_of_half_a_deviation_and_none_where_there_is_none() -> None:
    source = random.Random(1)
    base = [source.gauss(0, 1) for _ in range(300)]
    same = [source.gauss(0, 1) for _ in range(300)]
    shifted = [source.gauss(0.5, 1) for _ in range(300)]
    assert mann_whitney_p(base, same) > 0.01 > mann_whitney_p(base, shifted)
