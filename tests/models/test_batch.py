"""Batching: everyone gets the own result, whatever arrives together."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import AppError, Code
from models.batch import Batcher


@given(st.lists(st.integers(0, 50), max_size=200), st.integers(1, 7), st.integers(1, 3))
def test_everyone_gets_the_result_of_the_own_item(items: list[int], max_items: int, lanes: int) -> None:
    async def square(batch: list[int]) -> list[int | Exception]:
        assert len(batch) <= max_items
        await asyncio.sleep(0)
        return [ValueError(item) if item % 7 == 3 else item * item for item in batch]

    async def work() -> None:
        batcher: Batcher[int, int] = Batcher(square, max_items=max_items, lanes=lanes)
        results = await asyncio.gather(*(batcher.submit(item) for item in items), return_exceptions=True)
        for item, result in zip(items, results, strict=True):
            assert isinstance(result, ValueError) if item % 7 == 3 else result == item * item
        await batcher.close()

    asyncio.run(work())


async def test_what_arrives_during_a_batch_is_the_next_batch() -> None:
    sizes, gate = [], asyncio.Event()

    async def run(batch: list[int]) -> list[int]:
        sizes.append(len(batch))
        await gate.wait()
        return batch

    batcher: Batcher[int, int] = Batcher(run)
    first = batcher.submit(0)
    await asyncio.sleep(0)
    rest = [batcher.submit(number) for number in range(1, 10)]
    gate.set()
    assert await asyncio.gather(first, *rest) == list(range(10))
    assert sizes == [1, 9]


async def test_a_batch_that_fails_fails_its_items_and_the_next_one_goes_on() -> None:
    async def run(batch: list[int]) -> list[int]:
        if 0 in batch:
            raise RuntimeError("zero")
        return batch

    batcher: Batcher[int, int] = Batcher(run, max_items=1)
    results = await asyncio.gather(batcher.submit(0), batcher.submit(1), return_exceptions=True)
    assert isinstance(results[0], RuntimeError)
    assert results[1] == 1


async def test_a_caller_who_gives_up_does_not_end_the_batch() -> None:
    gate = asyncio.Event()

    async def run(batch: list[int]) -> list[int]:
        await gate.wait()
        return batch

    batcher: Batcher[int, int] = Batcher(run)
    one, two = batcher.submit(1), batcher.submit(2)
    await asyncio.sleep(0)
    one.cancel()
    gate.set()
    assert await two == 2
    with pytest.raises(asyncio.CancelledError):
        await one


async def test_an_item_that_comes_as_the_last_batch_ends_is_not_forgotten() -> None:
    async def run(batch: list[int]) -> list[int]:
        return batch

    for lanes in (1, 2, 4):
        batcher: Batcher[int, int] = Batcher(run, lanes=lanes)
        for _ in range(200):
            async with asyncio.timeout(1):
                await batcher.submit(1)  # its caller goes on in the very turn in which the lane ends
                await asyncio.gather(batcher.submit(2), batcher.submit(3))


async def test_who_waits_behind_a_store_that_is_away_does_not_wait_for_its_own_timeout() -> None:
    calls = []

    async def run(batch: list[int]) -> list[int]:
        calls.append(batch)
        await asyncio.sleep(0.01)
        raise AppError(Code.DATABASE_UNAVAILABLE)

    batcher: Batcher[int, int] = Batcher(run, max_items=1)
    results = await asyncio.gather(*(batcher.submit(number) for number in range(50)), return_exceptions=True)
    assert {type(result) for result in results} == {AppError}
    assert len(calls) == 1
