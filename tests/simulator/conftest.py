from collections.abc import AsyncIterator

import pytest
from simulator_client import Client, HandClock

from simulator import Simulator


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def wx(clock: HandClock) -> AsyncIterator[Client]:
    sim = Simulator(clock=clock, seed=1)
    await sim.start()
    client = Client(sim)
    yield client
    client.http.close()
    await sim.stop()
