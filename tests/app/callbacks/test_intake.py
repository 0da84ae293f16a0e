"""The work after a callback was answered: once, in order, again when it failed, by another when its process died."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.callbacks.intake import BACK_OFF_S, CLAIM_MS, Incoming, Intake
from app.crypto.sealing import Sealer
from backend import MovableClock, Store
from core.errors import AppError, Code
from models import inbox
from models.db import Database, open_database
from models.inbox import Delivery

SEALER = Sealer([("k1", bytes(range(32)))])


class Worked:
    """What was worked on; fails as often as told."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.failures: list[Exception] = []

    async def __call__(self, delivery: Delivery, body: str) -> bool:
        if self.failures:
            raise self.failures.pop(0)
        self.bodies.append(body)
        return False


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def database(store: Store, clock: MovableClock) -> AsyncIterator[Database]:
    opened = open_database(store.database_url, clock)
    yield opened
    await opened.close()


@pytest.fixture
def worked() -> Worked:
    return Worked()


@pytest.fixture
async def intake(database: Database, clock: MovableClock, worked: Worked) -> AsyncIterator[Intake]:
    running = Intake(database, clock, SEALER, {"test": worked})
    running.start()
    yield running
    await running.stop()


def incoming(key: str, subject: str = "") -> Incoming:
    return Incoming("test:one", key, "digest", "event", f"body of {key}", subject)


async def states(database: Database) -> list[tuple[object, ...]]:
    return await database.fetch("SELECT state, attempts, body IS NULL FROM inbox ORDER BY id")


async def test_a_delivery_is_sealed_worked_on_and_then_forgotten_but_for_its_key(
    intake: Intake, database: Database, worked: Worked
) -> None:
    assert await intake.accept(incoming("one")) is None
    assert all("body of" not in str(row) for row in await database.fetch("SELECT * FROM inbox"))
    await intake.settle()
    assert worked.bodies == ["body of one"]
    assert await states(database) == [("done", 1, 1)]
    assert await intake.accept(incoming("one")) is not None
    await intake.settle()
    assert worked.bodies == ["body of one"]


async def test_deliveries_about_one_subject_are_worked_on_in_the_order_they_came(
    intake: Intake, worked: Worked
) -> None:
    for number in range(20):
        await intake.accept(incoming(f"{number}", subject="alice"))
    await intake.settle()
    assert worked.bodies == [f"body of {number}" for number in range(20)]


@pytest.mark.parametrize("failure", [AppError(Code.WX_TIMEOUT), TimeoutError()])
async def test_what_failed_is_tried_again_when_it_is_due(
    intake: Intake, database: Database, worked: Worked, clock: MovableClock, failure: Exception
) -> None:
    worked.failures = [failure]
    await intake.accept(incoming("one"))
    await intake.settle()
    assert worked.bodies == []
    clock.advance(BACK_OFF_S[0])
    await intake.sweep()
    await intake.settle()
    assert worked.bodies == ["body of one"]
    assert (await states(database))[0][0] == "done"


async def test_what_fails_too_often_is_kept_for_an_operator(
    intake: Intake, database: Database, worked: Worked, clock: MovableClock
) -> None:
    worked.failures = [AppError(Code.WX_TIMEOUT) for _ in range(len(BACK_OFF_S) + 1)]
    await intake.accept(incoming("one"))
    await intake.settle()
    for pause_s in BACK_OFF_S:
        clock.advance(pause_s)
        await intake.sweep()
        await intake.settle()
    assert worked.bodies == []
    assert worked.failures == []
    assert await states(database) == [("dead", len(BACK_OFF_S) + 1, 0)]


async def test_a_process_that_stops_finishes_what_it_took(
    database: Database, worked: Worked, clock: MovableClock
) -> None:
    stopping = Intake(database, clock, SEALER, {"test": worked})
    stopping.start()
    await asyncio.gather(*(stopping.accept(incoming(f"{number}", f"{number}")) for number in range(100)))
    await stopping.stop()
    assert len(worked.bodies) == 100
    assert {state for state, *_ in await states(database)} == {"done"}


async def test_another_process_does_the_work_of_one_that_died(
    database: Database, worked: Worked, clock: MovableClock
) -> None:
    died = Intake(database, clock, SEALER, {"test": worked})  # accepts, and never gets to work
    await died.accept(incoming("one"))
    other = Intake(database, clock, SEALER, {"test": worked})
    other.start()
    await other.sweep()
    await other.settle()
    assert worked.bodies == []  # it may still be at it
    clock.advance(CLAIM_MS / 1000)
    await other.sweep()
    await other.settle()
    await other.stop()
    assert worked.bodies == ["body of one"]


async def test_two_processes_do_not_both_work_on_a_slow_delivery(
    database: Database, worked: Worked, clock: MovableClock
) -> None:
    slow = Intake(database, clock, SEALER, {"test": worked})
    await slow.accept(incoming("one"))
    clock.advance(CLAIM_MS / 1000)  # it gets to it only now, when its claim has ended
    slow.start()
    await asyncio.wait_for(slow.settle(), 5)
    claimed = await inbox.claim_due(database, clock.now_ms(), clock.now_ms() + CLAIM_MS, 10)
    await slow.stop()
    assert len(worked.bodies) + len(claimed) == 1
