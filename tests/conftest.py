"""Fixtures that all tests share: the servers, and pytest-tornado's interface.

pytest-tornado itself no longer loads (it needs pkg_resources). Its fixtures `app`, `http_port`, `http_server`,
`base_url` and `http_client` are made here on pytest-asyncio; its mark `gen_test` is declared in setup.cfg and
does nothing, because every coroutine test runs by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from tornado.curl_httpclient import CurlAsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application

from backend import Backend, StartBackend, Store, running_backend
from core.observe.logs import set_up_logs
from rows import TABLES, migrate
from servers import MariaDB, Redis
from simulator import Simulator

# --- what scripts/faults asks for ---


def pytest_addoption(parser: pytest.Parser) -> None:
    """Two options of our own."""
    parser.addoption("--full-size", action="store_true", help="faults as large as docs/reliability.md says")
    parser.addoption("--fault-report", type=Path, help="a table of faults and what was seen, written at the end")


@pytest.fixture(scope="session")
def full_size(pytestconfig: pytest.Config) -> bool:
    """Whether a fault may take its time; smaller, it shows the same."""
    return bool(pytestconfig.getoption("--full-size"))


@pytest.fixture
def seen(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """``seen("2.1 s until well")``: a figure for the report."""
    return lambda text: record_property("seen", text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What each test recorded as ``seen`` (``record_property``), and how it ended."""
    path = config.getoption("--fault-report")
    if path:
        ended = [one for state in ("passed", "failed", "error") for one in terminalreporter.getreports(state)]
        rows = [_report_row(one) for one in ended if one.when == "call" or one.failed]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(["| fault | seen | verdict |", "|---|---|---|", *rows, ""]))


def _report_row(report: pytest.TestReport) -> str:
    name = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
    seen = "; ".join(str(value) for key, value in report.user_properties if key == "seen")
    return f"| {name} | {seen} | {report.outcome} |"


# --- servers: started when a test first asks, one of each per pytest-xdist worker ---

# A first example pays for imports and first connections: how long one takes says nothing.
hypothesis.settings.register_profile("kaimen", deadline=None)
hypothesis.settings.load_profile("kaimen")


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A MariaDB of this worker; make a database of your own in it with `create_database`."""
    with MariaDB() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """A Redis of this worker; use keys of your own, or `flush()`."""
    with Redis() as server:
        yield server


# --- pytest-tornado's interface ---


@pytest.fixture
def app() -> Application:
    """The application under test: override this fixture."""
    raise NotImplementedError("a test that uses http_server defines a fixture named app")


@pytest.fixture
async def http_server(app: Application) -> AsyncIterator[HTTPServer]:
    """The application, listening on a free port of 127.0.0.1."""
    server, (listener, port) = HTTPServer(app), bind_unused_port()
    server.add_socket(listener)
    server.port = port  # type: ignore[attr-defined]
    yield server
    server.stop()
    await server.close_all_connections()


@pytest.fixture
def http_port(http_server: HTTPServer) -> int:
    """The port of http_server."""
    return http_server.port  # type: ignore[attr-defined,no-any-return]


@pytest.fixture
def base_url(http_port: int) -> str:
    """The URL of http_server, without a slash at the end."""
    return f"http://127.0.0.1:{http_port}"


@pytest.fixture
async def http_client(http_server: HTTPServer) -> AsyncIterator[CurlAsyncHTTPClient]:
    """Tornado's curl client: `await http_client.fetch(base_url + "/path")`."""
    client = CurlAsyncHTTPClient(force_instance=True)
    yield client
    client.close()


@pytest.fixture
async def own_servers() -> AsyncIterator[tuple[MariaDB, Redis]]:
    """Servers of this test's own, with all tables, to be broken."""
    with MariaDB() as mariadb, Redis() as redis:
        await migrate(mariadb.url)
        yield mariadb, redis


# --- Kaimen over each pair of stores ---


@pytest.fixture(autouse=True, scope="session")
def quiet_logs() -> None:
    """Only what is worth a look is printed; tests of the logs set them up themselves."""
    set_up_logs("error", "json")


@pytest.fixture(scope="session")
def migrated_mariadb(mariadb: MariaDB) -> str:
    """The URL of a database with all tables."""
    asyncio.run(migrate(mariadb.create_database("stores")))
    return mariadb.url_of("stores")


@pytest.fixture
def server_store(mariadb: MariaDB, migrated_mariadb: str, redis_server: Redis) -> Store:
    """MariaDB and Redis, both emptied."""
    for table in TABLES:
        mariadb.execute(f"DELETE FROM stores.{table}")
    redis_server.flush()
    return Store(migrated_mariadb, redis_server.patient_url)


@pytest.fixture
def embedded_store(tmp_path: Path) -> Store:
    """SQLite and the in-process Redis."""
    url = f"sqlite:////{tmp_path}/kaimen.db"
    asyncio.run(migrate(url))
    return Store(url, "memory://")


@pytest.fixture(params=["embedded", "servers"])
def store(request: pytest.FixtureRequest) -> Store:
    """Each pair of stores in turn: what holds over one must hold over the other."""
    name = "embedded_store" if request.param == "embedded" else "server_store"
    found: Store = request.getfixturevalue(name)
    return found


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """WeChat on loopback."""
    running = Simulator()
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def start_backend(simulator: Simulator) -> AsyncIterator[StartBackend]:
    """Instances are stopped after the test, the last one first."""
    async with AsyncExitStack() as stack:

        async def start(store: Store, **settings: Any) -> Backend:
            return await stack.enter_async_context(running_backend(store, simulator, **settings))

        yield start


@pytest.fixture
async def backend(start_backend: StartBackend, store: Store) -> Backend:
    """One instance over each pair of stores."""
    return await start_backend(store)
