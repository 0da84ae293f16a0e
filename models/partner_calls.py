"""Partners' calls: each is done once, in one transaction with the row of the inbox that keeps its answer."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from models.db import Database, Tx
from models.inbox import DONE, Delivery, find_deliveries, insert_deliveries

KEEP_ANSWER = "UPDATE inbox SET answer = %s WHERE source = %s AND dedup_key = %s AND answer = ''"


async def find_call(database: Database, delivery: Delivery) -> Delivery | None:
    """The earlier call with the same nonce."""
    return (await find_deliveries(database, [delivery.key])).get(delivery.key)


async def answer_once(database: Database, delivery: Delivery, act: Callable[[Tx], Awaitable[str]]) -> Delivery:
    """The call with its answer: ``act``'s, or that of the call it repeats, and then nothing is done."""

    async def work(tx: Tx) -> Delivery:
        known = (await find_deliveries(tx, [delivery.key])).get(delivery.key)
        if known:
            return known
        done = replace(delivery, answer=await act(tx), state=DONE, body=None)
        await insert_deliveries(tx, [done])
        return done

    return await database.run(work)


async def keep_answer(database: Database, delivery: Delivery, answer: str) -> str:
    """Keeps the answer of a call that was noted before it was done; returns the first that was kept."""

    async def work(tx: Tx) -> str:
        await tx.execute(KEEP_ANSWER, [answer, *delivery.key])
        known = (await find_deliveries(tx, [delivery.key])).get(delivery.key)
        return known.answer if known else answer

    return await database.run(work)
