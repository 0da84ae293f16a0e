"""The admin port of real processes: one for each, on loopback, and their counts add up."""

import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from backend import Store
from commands import APPS, KEY, Running
from servers import free_port


def admin_port(process: Running) -> int:
    found = re.search(r'"port":(\d+),.*"event":"admin port"', process.output.read_text())
    assert found, process.output.read_text()
    return int(found[1])


def answered(port: int) -> int:
    """Good answers of /healthz, as the process counted them."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    found = re.search(
        r'^kaimen_http_requests_total{code="200",method="GET",route="/healthz"} (\d+)', text, re.MULTILINE
    )
    return int(found[1]) if found else 0


def test_each_of_two_processes_counts_for_itself_and_together_they_count_all(
    tmp_path: Path, running: list[Running], server_store: Store
) -> None:
    port, first = str(free_port()), str(free_port())
    settings = {
        "KAIMEN_ENV": "development",
        "KAIMEN_PORT": port,
        "KAIMEN_ADMIN_PORT": first,
        "KAIMEN_DATABASE_URL": server_store.database_url,
        "KAIMEN_REDIS_URL": server_store.redis_url,
        "KAIMEN_MASTER_KEYS": KEY,
        "KAIMEN_APPS": APPS,
    }
    for _ in range(2):
        running.append(Running(tmp_path, "serve", **settings))
        running[-1].wait_until_serving()
    ports = [admin_port(one) for one in running]
    assert ports[0] == int(first)
    assert ports[1] > ports[0]
    for _ in range(40):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz").close()
    assert sum(answered(one) for one in ports) == 40


def test_there_is_no_admin_port_where_none_is_wanted(tmp_path: Path, running: list[Running]) -> None:
    port = free_port()
    running.append(Running(tmp_path, "dev", "--port", str(port), "--simulator-port", "0", KAIMEN_ADMIN_PORT="0"))
    running[0].wait_for(f"http://127.0.0.1:{port}/healthz")
    assert "admin port" not in running[0].output.read_text()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics")
    refused.value.close()
    assert refused.value.code == 404
