"""What tests of processes share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import Processes

from backend import Store
from simulator import Simulator


@pytest.fixture
def processes(tmp_path: Path, server_store: Store, simulator: Simulator) -> Iterator[Processes]:
    made = Processes(tmp_path, server_store, simulator)
    yield made
    made.close()
