"""A day of a mini-program under load; scripts/load runs it, and its head describes the options."""

import asyncio
import json
import os
import resource
import secrets
import signal
import sys
import time
from collections import deque
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import click
import uvloop
from load_day import RUSH, Moment, moment_of
from load_figures import Second, count_answers, count_errors, latencies_of, percentile
from load_page import draw
from load_people import Person, World
from load_report import Options, Report
from parts import Own, begin, cpu_us, machine, memory_mib, migrate, own, program, say, settings_of, words

from servers import MariaDB, Redis, Server, ServerError, free_port

CORES = 2  # for everything together
TICK_S = 0.1
ARRIVE_S = 2.0  # in which all come, if they come together
AT_ONCE = 32  # who register
SAY_S = 10
FILES = 65_536
# A day in minutes: WeChat's quota for an app is meant for a day of 24 hours.
LIMITS = {"code_appid": "600000/60"}
STORES = {"innodb_flush_log_at_trx_commit": 1, "innodb_buffer_pool_size": 512 << 20}  # as deploy/ sets them
SIGNS = {True: "held  ", False: "MISSED", None: "–     "}
PATIENT_S = 3.0  # for what is under way at the end


# --- what is started ---


class Site:
    """The server's processes with all they need."""

    def __init__(self, stack: ExitStack, processes: int) -> None:
        database, redis = stack.enter_context(MariaDB()), stack.enter_context(Redis())
        for name, value in STORES.items():
            database.execute(f"SET GLOBAL {name} = {value}")
        wechat = stack.enter_context(own("stand_in.py"))
        self.port = free_port()
        settings = settings_of(database, redis, wechat.url, TRUSTED_PROXIES="127.0.0.1", LIMITS=LIMITS)
        migrate(settings, database.folder)
        self.processes = [stack.enter_context(self._process(settings)) for _ in range(processes)]
        self.used_by: dict[str, list[Server]] = {
            "server": [*self.processes], "MariaDB": [database], "Redis": [redis], "stand-in": [wechat],
        }  # fmt: skip

    def _process(self, settings: dict[str, str]) -> Own:
        admin = free_port()
        command = ["env", *words({**settings, "ADMIN_PORT": str(admin)}), program(), "serve"]
        return Own(*command, port=self.port, probe=admin)

    def memory_mib(self) -> float:
        """Of all processes together."""
        return sum(memory_mib(process, "VmRSS") for process in self.processes)

    def cpu_s(self) -> dict[str, float]:
        """CPU time so far, by who used it; the load is this process."""
        used = {name: sum(cpu_us(one) for one in servers) / 1e6 for name, servers in self.used_by.items()}
        return {**used, "load": time.process_time()}


def busy_s() -> float:
    """CPU time that anybody used on the cores of this process (proc(5), /proc/stat)."""
    wanted = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    total = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name in wanted:
            total += sum(int(tick) for tick in (*ticks[:3], *ticks[5:8]))
    return total / os.sysconf("SC_CLK_TCK")


def share_cores() -> int:
    """Moves this process, and what it starts, to two cores; how many there are."""
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)
    return len(cores)


def allow_files() -> None:
    """As many connections as clients, for this process and what it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard < FILES else FILES, hard))


# --- the run ---


class Run:
    """A crowd that follows the day's curve, and what is written down of it."""

    def __init__(self, site: Site, options: Options) -> None:
        self._site = site
        self._options = options
        self._length_s = options.minutes * 60
        self.seconds = [Second("yesterday", None)]
        rng = Random(options.seed)  # noqa: S311 - people, not secrets
        self.world = World("127.0.0.1", site.port, rng, lambda: self.seconds[-1], secrets.token_hex(4))
        self._people = [Person(self.world, number) for number in range(options.clients)]
        self._idle = deque(self._people)
        self._visits: set[asyncio.Task[None]] = set()

    async def go(self) -> None:
        """Until its time is up, or somebody presses Ctrl-C."""
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stopped.set)
        await self._register(stopped)
        say("replaying the day …")
        started = loop.time()
        self.seconds.clear()
        self._begin_second(self._at(0.0))
        watching = asyncio.create_task(self._watch(started))
        while loop.time() - started < self._length_s and not stopped.is_set():
            self._follow(self._at(loop.time() - started))
            with suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), TICK_S)
        watching.cancel()
        await self._end_visits()
        self.seconds.pop()  # which is not over

    async def _register(self, stopped: asyncio.Event) -> None:
        """Everybody has been there yesterday: a day in minutes is not to consist of new users."""
        say(f"registering {len(self._people)} people …")
        waiting = iter(self._people)

        async def some() -> None:
            for person in waiting:
                if stopped.is_set():
                    return
                await person.register()

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))

    def _at(self, elapsed_s: float) -> Moment:
        return moment_of(elapsed_s / self._length_s)

    def _follow(self, now: Moment) -> None:
        """As many visits as there are to be; those that are too many end by themselves."""
        self.world.think_s = self._options.hurry if now.phase == RUSH else self._options.think
        missing = round(now.share * self._options.clients) - len(self._visits)
        at_once = round(self._options.clients * TICK_S / ARRIVE_S) + 1
        for _ in range(min(missing, at_once, len(self._idle))):
            person = self._idle.popleft()
            visit = asyncio.get_running_loop().create_task(person.visit())
            self._visits.add(visit)
            visit.add_done_callback(partial(self._left, person))

    def _left(self, person: Person, visit: asyncio.Task[None]) -> None:
        self._visits.discard(visit)
        self._idle.append(person)
        if not visit.cancelled():
            visit.result()  # a fault of ours is not to be overlooked

    async def _end_visits(self) -> None:
        for visit in self._visits:
            visit.cancel()
        if self._visits:
            await asyncio.wait(self._visits, timeout=PATIENT_S)

    # --- once a second ---

    def _begin_second(self, now: Moment) -> None:
        self.seconds.append(Second(now.phase, now.hour, memory_mib=self._site.memory_mib()))

    async def _watch(self, started: float) -> None:
        loop = asyncio.get_running_loop()
        used, busy, at = self._site.cpu_s(), busy_s(), loop.time()
        while True:
            await asyncio.sleep(started + len(self.seconds) - loop.time())
            now_used, now_busy, now = self._site.cpu_s(), busy_s(), loop.time()
            second = self.seconds[-1]
            second.clients = self.world.open
            second.cores = {name: (now_used[name] - used[name]) / (now - at) for name in used}
            second.cores["others"] = max(0.0, min(CORES, (now_busy - busy) / (now - at)) - sum(second.cores.values()))
            used, busy, at = now_used, now_busy, now
            if len(self.seconds) % SAY_S == 0:
                say(self._line())
            self._begin_second(self._at(now - started))

    def _line(self) -> str:
        last = self.seconds[-SAY_S:]
        hour = last[-1].hour
        when = last[-1].phase if hour is None else f"{int(hour):02}:{int(hour % 1 * 60):02}"
        p99, rate = percentile(latencies_of(last), 0.99) or 0, count_answers(last) / SAY_S
        said = f"{len(self.seconds):5} s  {when:5}  {last[-1].clients:5} clients  {rate:6.0f} req/s  p99 {p99:5.0f} ms"
        used = f"{last[-1].memory_mib:4.0f} MiB  {sum(last[-1].cores.values()):.1f} cores"
        return f"{said}  {count_errors(last).total():5} errors  {used}"


# --- the command ---


def write(report: Report, folder: Path) -> Path:
    """The page and its figures; where the page is."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "load.html"
    page.write_text(draw(report), "utf-8")
    (folder / "load.json").write_text(json.dumps(report.as_json(), ensure_ascii=False), "utf-8")
    return page


def replay(options: Options) -> Report:
    """The whole run, from starting the servers to their end."""
    begin()
    allow_files()
    cores = share_cores()
    with ExitStack() as stack:
        say("starting MariaDB, Redis, a stand-in for WeChat and the server …")
        run = Run(Site(stack, options.processes), options)
        uvloop.run(run.go())
    return Report(machine(), cores, options, run.seconds, run.world.problems)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--minutes", type=click.FloatRange(0.05, 1440), default=10.0, help="How long it takes.")
@click.option("--clients", type=click.IntRange(1, 50_000), default=5000, help="How many people there are.")
@click.option("--think", type=click.FloatRange(0.01, 60), default=4.0, help="Seconds between two requests, by day.")
@click.option("--hurry", type=click.FloatRange(0, 60), default=0.5, help="The same in the rush.")
@click.option("--processes", type=click.IntRange(1, 64), default=2, help="Processes of the server.")
@click.option("--seed", type=int, default=1, help="Another one makes other people.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("var/load"), help="Where the result goes.")
def main(out: Path, **options: Any) -> None:
    """Replay a day under load; see docs/performance.md."""
    try:
        report = replay(Options(**options))
    except ServerError as error:
        say(f"load: {error}")
        sys.exit(1)
    page = write(report, out)
    for target in report.targets():
        click.echo(f"{SIGNS[target.held]} {target.name}: {target.measured} (aim: {target.aim})")
    click.echo(f"drawn: {page}")


if __name__ == "__main__":
    main(prog_name="scripts/load")
