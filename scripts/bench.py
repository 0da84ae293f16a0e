"""What requests cost on this machine; scripts/bench runs it, and its head describes the options.

Each server is one process on one core and all the rest is on another, so the figures say what a request costs,
not how many cores were lent. Compare figures of one run only.
"""

import asyncio
import json
import secrets
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import bench_events
import bench_scans
import click
import uvloop
from parts import (
    APP,
    Cores,
    Own,
    begin,
    cpu_us,
    machine,
    memory_mib,
    migrate,
    own,
    pin,
    program,
    run,
    say,
    settings_of,
    words,
)
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.web import Application, RequestHandler

from servers import MariaDB, Redis, ServerError, find_binary
from simulator import push
from simulator.apps import App

BARE, STORM, PUSH = "bare-tornado", "password-storm", "message-push"
LOADS = ("login", "autoLogin", "user-info", "token-verify", "scan-status")
SOCKETS = ("scan-login", "scan-confirm", "scan-push", "scan-idle")
CONNECTIONS = 64
WARM_UP_S = 1
SCANS = 500  # polled in turn
USERS = 1000  # fewer than log in while warming up: the logins measured are of known users
REFRESH_TOKENS = 256  # more than connections, so that none is sent twice
EVENTS = ("idle", "event-relay", "event-backlog")
CASES = (BARE, *LOADS, PUSH, STORM, *SOCKETS, *EVENTS)
STORM_LOGINS = 200
PUSHES_S = 500  # a pushed event is to be answered within 50 ms at p99 at this rate
QUIET = 0.9  # bare Tornado waits for nobody: what it lacks of a core, others took
NOT_QUIET = "something else runs on this machine, so compare the µs and not the requests/s."
OFFICIAL = {"appid": "wx00000000000000a1", "kind": "official", "secret": "0123456789abcdef0123456789abcdef"}
PUSH_KEYS = {"token": "benchToken1", "encodingAesKey": "b" * 43}
ACCOUNT = {"username": "stormy", "password": "Open-Sesame-1"}


# --- what is started ---


def kaimen(database: MariaDB, redis: Redis, wechat_url: str, otlp_url: str, cores: Cores) -> Own:
    """The server under test, with its tables made."""
    apps = [APP, {**OFFICIAL, **PUSH_KEYS}]
    settings = settings_of(database, redis, wechat_url, APPS=apps, RATE_LIMITS="off", OTLP_URL=otlp_url)
    migrate(settings, database.folder)
    return Own("env", *words(settings), *cores.prefix, program(), "serve")


class Hello(RequestHandler):
    """What Tornado costs by itself."""

    def get(self) -> None:
        """A small JSON object."""
        self.write({"status": "ok"})

    def post(self) -> None:
        """Takes spans, and forgets them."""


async def serve_hello(port: int) -> None:
    """Until killed."""
    Application([("/", Hello), ("/v1/traces", Hello)], log_function=lambda _: None).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


def forget_peak(server: Own) -> None:
    """Let VmHWM begin anew (proc(5), clear_refs)."""
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")


# --- load ---

DONE = """
done = function(all, latency)
  local e = all.errors
  io.write(string.format('\\n{"requests":%.0f,"us":%.0f,"failed":%.0f,"p50_us":%.0f,"p99_us":%.0f}\\n', all.requests,
    all.duration, e.status + e.connect + e.read + e.write + e.timeout, latency:percentile(50), latency:percentile(99)))
end
"""

LOGIN = """
local n = 0
wrk.headers["Content-Type"] = "application/json"
request = function()
  n = n + 1
  local body = string.format('{"action":"login","code":"c-%d-%d-SEED"}', n % USERS, n)
  return wrk.format("POST", "/api/auth", wrk.headers, body)
end
"""

# A queue: each request spends the refresh token at its head, each reply puts a new one at its end.
AUTO_LOGIN = """
local queue, head, tail = {TOKENS}, 1, COUNT
wrk.headers["Content-Type"] = "application/json"
request = function()
  local token = queue[head]
  if not token then return wrk.format("GET", "/no-token-left") end
  queue[head] = nil
  head = head + 1
  return wrk.format("POST", "/api/auth", wrk.headers, '{"action":"autoLogin","refreshToken":"' .. token .. '"}')
end
response = function(_, _, body)
  local token = body:match('"refreshToken": ?"([^"]+)"')
  if token then tail = tail + 1; queue[tail] = token end
end
"""

GET = """
wrk.path = "PATH"
wrk.headers["Authorization"] = "Bearer TOKEN"
"""


POLL = """
local scans, n = {SCANS}, 0
request = function()
  n = n % #scans + 1
  return scans[n]
end
init = function()
  for i, scan in ipairs(scans) do
    scans[i] = wrk.format("GET", "/api/scan/" .. scan[1], {["X-Poll-Secret"] = scan[2], Host = "127.0.0.1"})
  end
end
"""


async def post(client: AsyncHTTPClient, url: str, body: dict[str, Any]) -> HTTPResponse:
    """POST /api/auth."""
    request = HTTPRequest(
        f"{url}/api/auth",
        method="POST",
        headers={"Content-Type": "application/json"},
        body=json.dumps(body),
        connect_timeout=60,
        request_timeout=60,
    )
    return await client.fetch(request, raise_error=False)


async def log_in(url: str, count: int) -> list[dict[str, Any]]:
    """The data of logins by code, of as many users."""
    client = AsyncHTTPClient(force_instance=True, max_clients=CONNECTIONS)
    codes = [f"c-{number}-{secrets.token_hex(8)}" for number in range(count)]
    replies = await asyncio.gather(*(post(client, url, {"action": "login", "code": code}) for code in codes))
    if bad := [reply for reply in replies if reply.code != 200]:
        raise ServerError(f"a login fails: {bad[0].body.decode()}")
    return [json.loads(reply.body)["data"] for reply in replies]


def login_script(_: Own) -> str:
    """A login by a new code each time."""
    return LOGIN.replace("SEED", secrets.token_hex(4)).replace("USERS", str(USERS))


def auto_login_script(server: Own) -> str:
    """Refreshes, of sessions made for it."""
    tokens = [data["refreshToken"] for data in asyncio.run(log_in(server.url, REFRESH_TOKENS))]
    quoted = ",".join(f'"{token}"' for token in tokens)
    return AUTO_LOGIN.replace("TOKENS", quoted).replace("COUNT", str(len(tokens)))


def get_script(path: str) -> Callable[[Own], str]:
    """The same request with a good access token."""

    def script(server: Own) -> str:
        token = asyncio.run(log_in(server.url, 1))[0]["accessToken"]
        return GET.replace("PATH", path).replace("TOKEN", token)

    return script


async def open_scans(url: str, count: int) -> list[dict[str, Any]]:
    """As many new QR logins."""
    client = AsyncHTTPClient(force_instance=True, max_clients=CONNECTIONS)
    headers = {"Content-Type": "application/json", "Origin": url}
    request = HTTPRequest(f"{url}/api/scan", method="POST", headers=headers, body='{"channel":"page"}')
    replies = await asyncio.gather(*(client.fetch(request) for _ in range(count)))
    return [json.loads(reply.body)["data"] for reply in replies]


def scan_status_script(server: Own) -> str:
    """Polls of scans that nobody has scanned yet."""
    scans = asyncio.run(open_scans(server.url, SCANS))
    listed = ",".join(f'{{"{scan["scanId"]}","{scan["pollSecret"]}"}}' for scan in scans)
    return POLL.replace("SCANS", listed)


SCRIPTS: dict[str, Callable[[Own], str]] = {
    BARE: lambda _: "",
    "login": login_script,
    "autoLogin": auto_login_script,
    "user-info": get_script("/api/user/info"),
    "token-verify": get_script("/api/token/verify"),
    "scan-status": scan_status_script,
}


def wrk(server: Own, script: str, seconds: int) -> dict[str, float]:
    """Load the server; the figures of wrk as `DONE` prints them."""
    path = server.folder / "load.lua"
    path.write_text(script + DONE)
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(path)]
    out = run("wrk", [find_binary("wrk", "wrk"), *options, server.url], server.folder)
    figures: dict[str, float] = json.loads(out.splitlines()[-1])
    return figures


# --- figures ---


@dataclass
class Row:
    """One case; CPU in microseconds a request, latency in milliseconds."""

    case: str
    requests_s: float
    server_us: float
    mariadb_us: float
    redis_us: float
    p50_ms: float
    p99_ms: float
    failed: int
    to_bare: float | None = None

    @property
    def all_us(self) -> float:
        """CPU of the server and both stores."""
        return self.server_us + self.mariadb_us + self.redis_us

    @property
    def busy(self) -> float:
        """The part of the time in which the server had a core."""
        return self.requests_s * self.server_us / 1e6

    def cells(self) -> list[str]:
        """As text, in the order of `HEAD`."""
        cpu = [f"{value:.0f}" for value in (self.server_us, self.mariadb_us, self.redis_us, self.all_us)]
        times = [f"{self.p50_ms:.1f}", f"{self.p99_ms:.1f}", str(self.failed)]
        return [self.case, f"{self.requests_s:.0f}", *cpu, *times, f"{self.to_bare:.2f}" if self.to_bare else "–"]


def row_of(case: str, out: dict[str, float], used_us: list[float]) -> Row:
    """From the figures of wrk and the CPU that server, MariaDB and Redis have used."""
    server, mariadb, redis = (used / max(out["requests"], 1) for used in used_us)
    rate = out["requests"] / out["us"] * 1e6
    return Row(case, rate, server, mariadb, redis, out["p50_us"] / 1000, out["p99_us"] / 1000, int(out["failed"]))


HEAD = ["case", "requests/s", "server µs", "MariaDB µs", "Redis µs", "all µs", "p50 ms", "p99 ms", "non-2xx", "× bare"]


@dataclass
class Pushes:
    """Answers to the message push at a steady rate; ``worked_s`` is how much longer the work took."""

    sent: int
    rate_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    failed: int
    worked_s: float
    server_us: float
    mariadb_us: float

    def __str__(self) -> str:
        return (
            f"Message push: {self.sent} events at {self.rate_s:.0f}/s in safe mode, answered after "
            f"p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms, at most {self.max_ms:.0f} ms ({self.failed} failed); "
            f"all worked off {self.worked_s:.1f} s after the last. Each cost {self.server_us:.0f} µs of the server "
            f"and {self.mariadb_us:.0f} µs of MariaDB."
        )


@dataclass
class Memory:
    """MiB resident, and what the storm did; None where that was not run."""

    start_mib: float
    end_mib: float
    storm: dict[str, float] | None = None

    def __str__(self) -> str:
        text = f"Memory of the server: {self.start_mib:.0f} MiB at the start, {self.end_mib:.0f} MiB after the load"
        if not self.storm:
            return f"{text}."
        return (
            "{text}, {peak_mib:.0f} MiB at most during {logins} password logins at once. They took {seconds:.1f} s "
            "({failed} failed); /healthz meanwhile: p50 {healthz_p50_ms:.1f} ms, p99 {healthz_p99_ms:.1f} ms."
        ).format(text=text, **self.storm)


class Bench:
    """One run: the stores are up, servers come and go."""

    def __init__(self, stack: ExitStack, seconds: int, cases: tuple[str, ...], traces: bool) -> None:
        self._seconds = seconds
        self._traces = traces
        self._cases = cases
        self.cores = pin()
        self._database = stack.enter_context(MariaDB())
        self._database.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")  # as in production
        self._redis = stack.enter_context(Redis())
        self.rows: list[Row] = []
        self.sockets: dict[str, dict[str, float]] = {}
        self.memory: Memory | None = None
        self.pushes: Pushes | None = None

    def run(self) -> None:
        """Bare Tornado first, for the others are compared with it."""
        if BARE in self._cases:
            with own("bench.py", "--hello", prefix=tuple(self.cores.prefix)) as server:
                self._measure(BARE, server)
        if self._cases != (BARE,):
            collector = own("bench.py", "--hello") if self._traces else None
            with collector or nullcontext(), own("stand_in.py") as wechat:
                url = collector.url if collector else ""
                with kaimen(self._database, self._redis, wechat.url, url, self.cores) as server:
                    self._measure_kaimen(server)

    def _measure_kaimen(self, server: Own) -> None:
        start = memory_mib(server, "VmRSS")
        for case in LOADS:
            if case in self._cases:
                self._measure(case, server)
        if PUSH in self._cases:
            self.pushes = uvloop.run(push_events(server, self._database, self._seconds))
        self.memory = Memory(start, memory_mib(server, "VmRSS"))
        if STORM in self._cases:
            self.memory.storm = asyncio.run(storm(server))
        for case in SOCKETS:
            if case in self._cases:
                say(f"{case} …")
                self.sockets[case] = uvloop.run(self._measure_sockets(case, server))
        for case in EVENTS:
            if case in self._cases:
                say(f"{case} …")
                self.sockets[case] = uvloop.run(self._measure_events(case, server))

    async def _measure_events(self, case: str, server: Own) -> dict[str, float]:
        used = partial(cpu_us, server)
        if case == "idle":
            return await bench_events.measure_idle(used)
        if case == "event-backlog":
            return await bench_events.measure_backlog(self._database, used)
        return await bench_events.measure_relay(self._database, self._redis.url, self._seconds, used)

    async def _measure_sockets(self, case: str, server: Own) -> dict[str, float]:
        http, used = bench_scans.Http("127.0.0.1", server.port), partial(cpu_us, server)
        try:
            if case == "scan-idle":
                return await bench_scans.measure_idle(http, lambda: memory_mib(server, "VmRSS") * 1024, used)
            if case == "scan-push":
                return await bench_scans.measure_push(http, self._redis.url, self._seconds, used)
            logins = await asyncio.to_thread(asyncio.run, log_in(server.url, bench_scans.PHONES))
            phones = [data["accessToken"] for data in logins]
            if case == "scan-login":
                watched = (server, self._database, self._redis)
                return await bench_scans.measure_login(http, phones, lambda: [cpu_us(each) for each in watched])
            return await bench_scans.measure_confirm(http, phones[0], used)
        finally:
            http.close()

    def _measure(self, case: str, server: Own) -> None:
        say(f"{case} …")
        wrk(server, SCRIPTS[case](server), WARM_UP_S)
        script, watched = SCRIPTS[case](server), (server, self._database, self._redis)
        before = [cpu_us(each) for each in watched]
        out = wrk(server, script, self._seconds)
        used = [cpu_us(each) - then for each, then in zip(watched, before, strict=True)]
        self.rows.append(row_of(case, out, used))
        if self.rows[0].case == BARE:
            self.rows[-1].to_bare = self.rows[-1].requests_s / self.rows[0].requests_s


async def storm(server: Own) -> dict[str, float]:
    """Many password logins at once, and how long /healthz takes meanwhile."""
    say(f"{STORM} …")
    client = AsyncHTTPClient(force_instance=True, max_clients=STORM_LOGINS + 1)
    await post(client, server.url, {"action": "register", **ACCOUNT})
    forget_peak(server)
    started = time.monotonic()
    login = {"action": "login", **ACCOUNT}
    async with asyncio.TaskGroup() as group:
        logins = [group.create_task(post(client, server.url, login)) for _ in range(STORM_LOGINS)]
        pulse = await feel_pulse(client, server.url, logins)
    return {
        "logins": STORM_LOGINS,
        "seconds": time.monotonic() - started,
        "failed": sum(task.result().code != 200 for task in logins),
        "peak_mib": memory_mib(server, "VmHWM"),
        "healthz_p50_ms": statistics.median(pulse),
        "healthz_p99_ms": sorted(pulse)[int(len(pulse) * 0.99)],
    }


def push_request(port: int, number: int) -> bytes:
    """One event in safe mode, as WeChat sends it; each of another user."""
    app = App(OFFICIAL["appid"], "official", "", token=PUSH_KEYS["token"], aes_key=PUSH_KEYS["encodingAesKey"])
    event = {"ToUserName": "gh_bench", "FromUserName": f"oBench{number:022}", "CreateTime": int(time.time())}
    xml = push.to_xml({**event, "MsgType": "event", "Event": "CLICK", "EventKey": "menu_1"})
    encrypted, timestamp, nonce = push.encrypt(app, xml), str(int(time.time())), secrets.token_hex(5)
    signature = push.sign(app.token, timestamp, nonce, encrypted)
    query = f"timestamp={timestamp}&nonce={nonce}&encrypt_type=aes&msg_signature={signature}"
    body = push.envelope(encrypted).encode()
    head = f"POST /callback/wechat/{app.appid}?{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: text/xml"
    return f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Wires:
    """Kept-alive connections, used in turn: a whole HTTP client would cost as much as what it measures."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self, request: bytes) -> bool:
        """Whether it was answered with 200."""
        reader, writer = self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]))
        self._free.append((reader, writer))
        return head.startswith(b"HTTP/1.1 200")

    def close(self) -> None:
        """Ends them."""
        for _, writer in self._free:
            writer.close()


async def push_events(server: Own, database: MariaDB, seconds: int) -> Pushes:
    """Sends at a steady rate, whether or not the answers come; then waits until all is worked off."""
    say(f"{PUSH} …")
    wires = Wires(server.port)
    await asyncio.gather(*(wires.send(push_request(server.port, number)) for number in range(CONNECTIONS)))
    requests = [push_request(server.port, CONNECTIONS + number) for number in range(PUSHES_S * seconds)]
    before = cpu_us(server), cpu_us(database)
    started = time.monotonic()

    async def send(number: int, request: bytes) -> float:
        await asyncio.sleep(max(0.0, started + number / PUSHES_S - time.monotonic()))
        at = time.monotonic()
        is_ok = await wires.send(request)
        return time.monotonic() - at if is_ok else -1.0

    taken = await asyncio.gather(*(send(number, request) for number, request in enumerate(requests)))
    ended = time.monotonic()
    wires.close()
    while database.execute("SELECT COUNT(*) FROM kaimen.inbox WHERE state = 'waiting'") != [(0,)]:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    worked_s = time.monotonic() - ended
    server_us, mariadb_us = (
        (now - then) / len(requests) for now, then in zip((cpu_us(server), cpu_us(database)), before, strict=True)
    )
    good = sorted(1000 * one for one in taken if one >= 0)
    return Pushes(
        sent=len(requests),
        rate_s=len(requests) / (ended - started),
        p50_ms=statistics.median(good),
        p99_ms=good[int(len(good) * 0.99)],
        max_ms=good[-1],
        failed=len(taken) - len(good),
        worked_s=worked_s,
        server_us=server_us,
        mariadb_us=mariadb_us,
    )


async def feel_pulse(client: AsyncHTTPClient, url: str, until: list[asyncio.Task[Any]]) -> list[float]:
    """The milliseconds /healthz took, asked every 10 ms until these are done."""
    taken: list[float] = []
    while not all(task.done() for task in until):
        started = time.monotonic()
        await client.fetch(f"{url}/healthz", request_timeout=60)
        taken.append((time.monotonic() - started) * 1000)
        await asyncio.sleep(0.01)
    return taken


# --- the command ---


def as_table(rows: list[Row]) -> str:
    """A Markdown table, aligned."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    first, *rest = [
        [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        for line in lines
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in (first, rule, *rest))


def as_json(bench: Bench, seconds: int) -> str:
    """All figures, unrounded."""
    rows = [{**vars(row), "all_us": row.all_us} for row in bench.rows]
    memory = bench.memory and vars(bench.memory)
    pushes = bench.pushes and vars(bench.pushes)
    report = {
        "machine": machine(),
        "seconds": seconds,
        "cores": vars(bench.cores),
        "cases": rows,
        "memory": memory,
        "sockets": bench.sockets,
        "pushes": pushes,
    }
    return json.dumps(report, ensure_ascii=False)


def as_text(bench: Bench, seconds: int) -> str:
    """The table with what belongs to it."""
    parts = [f"{machine()}; {bench.cores}; {seconds} s each, {CONNECTIONS} connections"]
    if bench.rows:
        parts.append(as_table(bench.rows))
    if bench.rows and bench.rows[0].case == BARE and bench.rows[0].busy < QUIET:
        parts.append(f"Bare Tornado had its core for {bench.rows[0].busy:.0%} of the time only: " + NOT_QUIET)
    if bench.pushes:
        parts.append(str(bench.pushes))
    if bench.memory:
        parts.append(str(bench.memory))
    for case, figures in bench.sockets.items():
        parts.append(f"{case}: " + ", ".join(f"{name} {value:.1f}" for name, value in figures.items()))
    return "\n\n".join(parts)


def run_bench(seconds: int, cases: tuple[str, ...], traces: bool, show: Callable[[Bench, int], str]) -> None:
    """Measure and print; what is missing or fails ends it with one line and status 1."""
    begin()
    try:
        find_binary("wrk", "wrk")
        with ExitStack() as stack:
            bench = Bench(stack, seconds, cases, traces)
            bench.run()
    except ServerError as error:
        say(f"bench: {error}")
        sys.exit(1)
    click.echo(show(bench, seconds))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seconds", type=click.IntRange(1, 600), default=3, show_default=True, help="How long each case takes.")
@click.option("--only", "cases", type=click.Choice(CASES), multiple=True, help="Only this case.")
@click.option("--traces", is_flag=True, help="Traces of all requests are sent to a collector that forgets them.")
@click.option("--json", "json_", is_flag=True, help="JSON instead of a table.")
@click.option("--hello", type=int, hidden=True)
def main(seconds: int, cases: tuple[str, ...], traces: bool, json_: bool, hello: int | None) -> None:
    """Measure what requests cost; see docs/performance.md."""
    if hello:
        uvloop.run(serve_hello(hello))
    run_bench(seconds, cases or CASES, traces, as_json if json_ else as_text)


if __name__ == "__main__":
    main(prog_name="scripts/bench")
