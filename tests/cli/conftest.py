"""Commands that run until the test ends."""

from collections.abc import Iterator

import pytest

from commands import Running


@pytest.fixture
def running() -> Iterator[list[Running]]:
    """Put what was started in here: it is killed if it still runs."""
    started: list[Running] = []
    yield started
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
