"""WeChat slow, broken or strange: tabled errors within the budget, and nothing half-written."""

import time
from typing import Any

import pytest

from backend import Backend, StartBackend, Store
from core.clock import Clock
from models.db import open_database


async def count_rows(store: Store) -> int:
    database = open_database(store.database_url, Clock())
    tables = ("users", "identities", "unionids", "sessions", "outbox")
    counts = [(await database.fetch(f"SELECT COUNT(*) FROM {table}"))[0][0] for table in tables]
    await database.close()
    return sum(counts)


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        ({"hang": True}, 504, "wx_timeout"),
        ({"delayS": 30}, 504, "wx_timeout"),
        ({"reset": True}, 503, "wx_unavailable"),
        ({"truncate": True}, 502, "wx_bad_reply"),
        ({"html": True}, 502, "wx_bad_reply"),
        ({"huge": True}, 502, "wx_bad_reply"),
        ({"status": 500}, 502, "wx_bad_reply"),
        ({"status": 502}, 502, "wx_bad_reply"),
        ({"errcode": -1}, 503, "wx_unavailable"),
        ({"errcode": 40013}, 502, "wx_bad_reply"),
        ({"errcode": 40125}, 502, "wx_bad_reply"),
        ({"errcode": 40164}, 502, "wx_bad_reply"),
        ({"errcode": 45011}, 429, "wx_rate_limited"),
        ({"errcode": 45009}, 429, "wx_rate_limited"),
        ({"errcode": 40029}, 400, "invalid_wx_code"),
        ({"errcode": 40163}, 400, "wx_code_used"),
        ({"errcode": 40226}, 403, "wx_user_blocked"),
        ({"errcode": 99999}, 502, "wx_bad_reply"),
    ],
    ids=str,
)
async def test_a_fault_of_wechat_is_a_tabled_error_and_writes_nothing(
    start_backend: StartBackend, embedded_store: Store, fault: dict[str, Any], status: int, error: str
) -> None:
    backend = await start_backend(embedded_store, wx_budget_s=0.6)
    backend.simulator.faults.add({"api": "jscode2session", **fault})
    started = time.monotonic()
    reply = await backend.auth("login", code=backend.wx_login())
    assert (reply.status, reply.error) == (status, error)
    assert time.monotonic() - started < 0.6 + 0.3
    assert await count_rows(embedded_store) == 0
    if status in (429, 503, 504):
        assert int(reply.headers["Retry-After"]) > 0


async def test_the_budget_of_three_seconds_holds(start_backend: StartBackend, embedded_store: Store) -> None:
    backend = await start_backend(embedded_store)
    backend.simulator.faults.add({"api": "jscode2session", "hang": True})
    started = time.monotonic()
    reply = await backend.auth("login", code=backend.wx_login())
    assert reply.status == 504
    assert time.monotonic() - started <= 3.2


async def test_the_message_of_wechat_never_reaches_the_client(backend: Backend) -> None:
    backend.simulator.faults.add({"api": "jscode2session", "errcode": 40164})
    reply = await backend.auth("login", code=backend.wx_login())
    assert reply.body["data"] is None
    assert "whitelist" not in reply.text
    assert "rid" not in reply.text.replace("grid", "")


async def test_after_twenty_failures_wechat_is_spared(start_backend: StartBackend, embedded_store: Store) -> None:
    backend = await start_backend(embedded_store)
    backend.simulator.faults.add({"api": "jscode2session", "status": 500})
    for _ in range(20):
        await backend.auth("login", code=backend.wx_login())
    asked, started = backend.count_calls("jscode2session"), time.monotonic()
    reply = await backend.auth("login", code=backend.wx_login())
    assert (reply.status, reply.error) == (503, "wx_unavailable")
    assert backend.count_calls("jscode2session") == asked
    assert time.monotonic() - started < 0.1


async def test_refusals_of_codes_never_open_the_circuit(start_backend: StartBackend, embedded_store: Store) -> None:
    backend = await start_backend(embedded_store)
    for number in range(40):
        await backend.auth("login", code=f"never-issued-{number}")
    assert (await backend.auth("login", code=backend.wx_login())).status == 200


async def test_a_login_goes_through_while_another_hangs(backend: Backend) -> None:
    import asyncio

    backend.simulator.faults.add({"api": "jscode2session", "hang": True, "times": 1})
    stuck = asyncio.ensure_future(backend.auth("login", code=backend.wx_login("bob")))
    await asyncio.sleep(0)
    while not backend.count_calls("jscode2session"):
        await asyncio.sleep(0.01)
    started = time.monotonic()
    assert (await backend.auth("login", code=backend.wx_login())).status == 200
    assert time.monotonic() - started < 1
    assert (await stuck).status == 504
