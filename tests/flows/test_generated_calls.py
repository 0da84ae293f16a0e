"""Calls made up by schemathesis from ``/openapi.json``, answered by a real backend over MariaDB and Redis.

Whatever comes: no 5xx, and only the statuses, media types, headers and shapes that are declared; what breaks the
declaration is refused, and so is every other method. What schemathesis cannot guess (a token, a scan, an id) is put in
where it sends what is valid.
"""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import schemathesis
from schemathesis import Case
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks

from backend import APPID, OFFICIAL, Store, running_backend
from contract import document
from core.clock import Clock
from models import migrations
from models.db import open_database
from servers import MariaDB, Redis
from service_client import add_service
from simulator import Simulator

EXAMPLES = 8
OF_ACCOUNTS = ("/oauth/", "/callback/wechat/", "/api/wechat/{appid}/jssdk")  # official ones
ENDING = {"/api/auth/logout", "/api/user", "/api/sessions/{id}"}  # a session
HELD = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
    checks.allow_header_conformance,
    checks.negative_data_rejection,
]


def load() -> Any:
    """The document, with few examples of each kind: the same ones every time."""
    generation = {"max-examples": EXAMPLES, "deterministic": True, "database": "none"}
    phases = {"coverage": {"enabled": True}, "stateful": {"enabled": False}}
    refusals = {"negative_data_rejection": {"expected-statuses": [400, 401, 403, 404, 413, 415]}}
    config = SchemathesisConfig.from_dict({"generation": generation, "phases": phases, "checks": refusals})
    return schemathesis.openapi.from_dict(document(), config=config)


schema = load()


@dataclass
class Served:
    """A backend in a thread of its own, and a client of it."""

    url: str
    service: str
    other: str  # the id of a user who may be disabled
    http: requests.Session = field(default_factory=requests.Session)
    codes: int = 0
    me: dict[str, Any] | None = None

    def login(self) -> dict[str, Any]:
        """As alice, by a code that the simulator takes for hers; the same session until ``forget``."""
        if self.me is None:
            self.codes += 1
            self.me = self.post("/api/auth", {"action": "login", "code": f"made-up-{self.codes}", "appid": APPID})
        return self.me

    def forget(self) -> None:
        """The session may have ended."""
        self.me = None

    def begin_scan(self) -> dict[str, Any]:
        """A page's QR."""
        return self.post("/api/scan", {"channel": "page"})

    def step(self, scan: dict[str, Any], what: str) -> None:
        """What alice's phone does with it."""
        self.post(f"/api/scan/{scan['scanId']}/{what}", {}, token=self.login()["accessToken"])

    def poll(self, scan: dict[str, Any]) -> dict[str, Any]:
        """How it stands."""
        headers = {"X-Poll-Secret": scan["pollSecret"]}
        reply = self.http.get(f"{self.url}/api/scan/{scan['scanId']}?wait=0", headers=headers, timeout=10)
        data: dict[str, Any] = reply.json()["data"]
        return data

    def post(self, path: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
        """The data of a call that must succeed."""
        headers = {"Origin": self.url, **({"Authorization": f"Bearer {token}"} if token else {})}
        reply = self.http.post(self.url + path, json=body, headers=headers, timeout=10)
        assert reply.status_code in (200, 201), reply.text
        data: dict[str, Any] = reply.json()["data"]
        return data


async def serve(store: Store, started: "Future[Served]", stop: threading.Event) -> None:
    simulator = Simulator(any_code=True)
    await simulator.start()
    try:
        settings = {"public_url": "http://127.0.0.1:{port}", "rate_limits": "off"}
        async with running_backend(store, simulator, **settings) as backend:
            other = (await backend.login("bob"))["user"]["id"]
            started.set_result(Served(backend.url, (await add_service(backend)).basic, other))
            await asyncio.to_thread(stop.wait)
    finally:
        await simulator.stop()


@pytest.fixture(scope="module")
def served(mariadb: MariaDB, redis_server: Redis) -> Iterator[Served]:
    """In a database of its own: those of the other tests are emptied between them."""
    redis_server.flush()
    store = Store(mariadb.create_database("generated"), redis_server.url)
    started, stop = Future[Served](), threading.Event()
    thread = threading.Thread(target=run, args=(store, started, stop))
    thread.start()
    try:
        found = started.result(timeout=30)
        yield found
        found.http.close()
    finally:
        stop.set()
        thread.join(30)


def run(store: Store, started: "Future[Served]", stop: threading.Event) -> None:
    try:
        asyncio.run(migrate(store.database_url))
        asyncio.run(serve(store, started, stop))
    except Exception as error:  # the test that waits is told, if it still does
        if not started.done():
            started.set_exception(error)


async def migrate(url: str) -> None:
    database = open_database(url, Clock())
    await migrations.migrate(database, Clock())
    await database.close()


@pytest.mark.filterwarnings("ignore:Do not use the .random. module inside strategies")  # schemathesis does
@schema.parametrize()
def test_a_call_is_answered_as_declared(case: Case, served: Served) -> None:
    headers = prepare(case, served)
    reply = case.call(base_url=served.url, session=served.http, headers=headers, timeout=10, allow_redirects=False)
    if reply.status_code == 401 or case.path in ENDING:
        served.forget()
    case.validate_response(reply, checks=HELD, headers=headers)


def prepare(case: Case, served: Served) -> dict[str, str]:
    """Its credentials; where it is meant to be valid, ids that there are."""
    headers = {"Origin": served.url}
    operation = document()["paths"][case.path].get(case.method.lower(), {})
    schemes = {name for one in operation.get("security", []) for name in one}
    me = served.login() if "token" in schemes else None
    if me:
        headers["Authorization"] = f"Bearer {me['accessToken']}"
    if "basic" in schemes:
        headers["Authorization"] = served.service
    if case.meta and case.meta.generation.mode.is_positive:
        headers |= put_in(case, served, me)
    return headers


def put_in(case: Case, served: Served, me: dict[str, Any] | None) -> dict[str, str]:
    """What is in the path, and what belongs to a scan; a poll that waits does not wait here."""
    known = {
        "appid": OFFICIAL if case.path.startswith(OF_ACCOUNTS) else APPID,
        "id": me["sessionId"] if me else served.other,
        "path": "kaimen.css",
    }
    for name in known.keys() & case.path_parameters.keys():
        case.path_parameters[name] = known[name]
    return put_in_scan(case, served) if "scanId" in case.path_parameters else {}


def put_in_scan(case: Case, served: Served) -> dict[str, str]:
    """A scan that has come as far as the call needs it."""
    scan = served.begin_scan()
    case.path_parameters["scanId"] = scan["scanId"]
    case.query.pop("wait", None)
    if case.path.endswith(("/confirm", "/redeem")):
        served.step(scan, "scan")
    if case.path.endswith("/redeem") and isinstance(case.body, dict):
        served.step(scan, "confirm")
        case.body = {**case.body, "pollSecret": scan["pollSecret"], "ticket": served.poll(scan)["ticket"]}
    return {"X-Poll-Secret": scan["pollSecret"]}
