"""Rules, alerts and dashboards of deploy/, checked by Prometheus's own programs and run by a real Prometheus."""

import asyncio
import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tornado.testing import bind_unused_port

from backend import PASSWORD, Backend, StartBackend, Store
from core.observe.loop_lag import LoopLag
from core.observe.metrics import TABLE
from handlers.admin import make_admin_server
from servers import Server, find_binary

DEPLOY = Path(__file__).parents[2] / "deploy"
RUNBOOK = Path(__file__).parents[2] / "docs/runbook.md"
RULES = DEPLOY / "prometheus"
ENDINGS = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
SERVED = {one.name + ending for one in TABLE for ending in ENDINGS[one.kind]}
FROM_OTHERS = {"up", "probe_success", "probe_ssl_earliest_cert_expiry"}
# What nothing happens of in a healthy hour has no series yet.
RARE = (
    "errcode",
    "decrypt_failures",
    "limited",
    "db_retries",
    "redis_failures",
    "access_token",
    "log_lines",
    "[45].*",
    "!~",
)


def run(program: str, package: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [find_binary(program, package), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=RULES)


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> list[str]:
    records = yaml.safe_load((RULES / "recording.yml").read_text())["groups"]
    rules = [rule for group in records for rule in group["rules"]]
    return [rule["expr"] for rule in [*rules, *alerts()]] + [query for _, query in queries()]


def queries() -> list[tuple[str, str]]:
    """(panel, expression) of every dashboard."""
    return [
        (f"{path.stem}: {panel['title']}", target["expr"])
        for path in sorted((DEPLOY / "grafana").glob("*.json"))
        for panel in json.loads(path.read_text())["panels"]
        for target in panel["targets"]
    ]


def test_the_rules_pass_their_own_tests() -> None:
    done = run("promtool", "prometheus", "test", "rules", "tests.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_mistake_in_a_rule_is_caught(tmp_path: Path) -> None:
    wrong = (RULES / "alerts.yml").read_text().replace("sum by (limit) (", "sum by (limit (", 1)
    (tmp_path / "alerts.yml").write_text(wrong)
    assert run("promtool", "prometheus", "check", "rules", str(tmp_path / "alerts.yml")).returncode != 0


def test_the_configurations_are_valid(tmp_path: Path) -> None:
    config = (RULES / "prometheus.yml").read_text().replace("/etc/prometheus/kaimen", str(RULES))
    (tmp_path / "prometheus.yml").write_text(config)
    done = run("promtool", "prometheus", "check", "config", str(tmp_path / "prometheus.yml"))
    assert done.returncode == 0, done.stderr
    done = run("amtool", "prometheus-alertmanager", "check-config", str(DEPLOY / "alertmanager/alertmanager.yml"))
    assert done.returncode == 0, done.stderr


def test_critical_alerts_go_at_once_and_warnings_by_day() -> None:
    def receiver(severity: str) -> str:
        config = str(DEPLOY / "alertmanager/alertmanager.yml")
        arguments = ("config", "routes", "test", f"--config.file={config}", f"severity={severity}", "alertname=X")
        return run("amtool", "prometheus-alertmanager", *arguments).stdout.strip()

    assert (receiver("critical"), receiver("warning"), receiver("")) == ("critical", "warnings", "warnings")


def test_every_alert_has_a_severity_a_summary_and_its_entry_in_the_runbook() -> None:
    entries = re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert [rule["alert"] for rule in alerts()] == entries
    for rule in alerts():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"


def test_every_pattern_of_failure_has_its_alert_tested() -> None:
    tested = set(re.findall(r"alertname: (\w+)", (RULES / "tests.yml").read_text()))
    wanted = {"WeChatSlow", "WeChatFailing", "CodeFailures", "TokenFight", "DecryptFailures", "DatabaseDeadlocks"}
    wanted |= {"DatabasePoolExhausted", "KaimenAvalanche", "CertificateEnds", "KaimenDown", "WeChatConfiguration"}
    assert wanted <= tested <= {rule["alert"] for rule in alerts()}


def test_rules_and_dashboards_ask_for_nothing_that_is_not_served() -> None:
    recorded = set(re.findall(r"record: (\S+)", (RULES / "recording.yml").read_text()))
    for expression in expressions():
        named = set(re.findall(r"\b(kaimen[\w:]+|probe_\w+|up)\b(?=[\s{\[)]|$)", expression))
        named -= {name for name in named if f'"{name}' in expression}
        assert named <= SERVED | FROM_OTHERS | recorded, expression


class Prometheus(Server):
    """Scrapes one admin port every second, with our rules."""

    def __init__(self, target: str) -> None:
        self._target = target
        super().__init__()

    def _answers(self) -> bool:
        try:
            return bool(self.get("/-/ready"))
        except OSError:
            return False

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as reply:
            return str(reply.read().decode())

    def ask(self, expression: str) -> list[Any]:
        """The result of a query; raises where Prometheus does not understand it."""
        reply = json.loads(self.get("/api/v1/query?" + urllib.parse.urlencode({"query": expression})))
        assert reply["status"] == "success"
        found: list[Any] = reply["data"]["result"]
        return found

    def _command(self) -> list[str]:
        config = self.folder / "prometheus.yml"
        rules = [str(RULES / name) for name in ("recording.yml", "alerts.yml")]
        scrape = {"job_name": "kaimen", "static_configs": [{"targets": [self._target]}]}
        times = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config.write_text(yaml.safe_dump({"global": times, "rule_files": rules, "scrape_configs": [scrape]}))
        listen = [f"--web.listen-address=127.0.0.1:{self.port}", f"--storage.tsdb.path={self.folder / 'data'}"]
        return [find_binary("prometheus", "prometheus"), f"--config.file={config}", *listen]


@pytest.fixture
async def backend(start_backend: StartBackend, server_store: Store) -> Backend:
    return await start_backend(server_store)


@pytest.fixture
async def admin_port(backend: Backend) -> AsyncIterator[int]:
    server, (listener, port) = make_admin_server(backend.kaimen), bind_unused_port()
    server.add_socket(listener)
    lag = LoopLag()
    lag.start()
    yield port
    lag.stop()
    server.stop()
    await server.close_all_connections()


@pytest.fixture
def prometheus(admin_port: int) -> Iterator[Prometheus]:
    made: list[Prometheus] = []
    made.append(Prometheus(f"127.0.0.1:{admin_port}"))
    yield made[0]
    made[0].close()


async def live_until_scraped(backend: Backend, prometheus: Prometheus) -> None:
    """Until rates can be told of what happened; Prometheus looks for its targets five seconds after its start."""
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(prometheus.ask, "count_over_time(kaimen_logins_total[1m]) > 4"):
            await live(backend)
            await asyncio.sleep(0.3)


async def live(backend: Backend) -> None:
    """A little of everything that is ordinary."""
    login = await backend.login()
    await backend.auth("autoLogin", refreshToken=login["refreshToken"])
    await backend.get("/api/user/info", login["accessToken"])
    await backend.auth("login", username="nobody", password=PASSWORD)


async def test_every_query_of_the_dashboards_is_answered_by_a_real_prometheus(
    backend: Backend, prometheus: Prometheus
) -> None:
    await live_until_scraped(backend, prometheus)
    empty = []
    for panel, expression in queries():
        asked = expression.replace("$__rate_interval", "1m").replace("$job", ".*")
        if not await asyncio.to_thread(prometheus.ask, asked) and not any(word in expression for word in RARE):
            empty.append(f"{panel}: {expression}")
    assert empty == []


async def test_the_rules_are_evaluated_and_a_healthy_backend_raises_no_alert(
    backend: Backend, prometheus: Prometheus
) -> None:
    await live_until_scraped(backend, prometheus)
    rules = json.loads(await asyncio.to_thread(prometheus.get, "/api/v1/rules"))["data"]["groups"]
    found = [rule for group in rules for rule in group["rules"]]
    assert [rule["name"] for rule in found if rule["health"] == "err"] == []
    assert [rule["name"] for rule in found if rule.get("state") == "firing"] == []
    assert await asyncio.to_thread(prometheus.ask, "kaimen:requests:rate5m")
