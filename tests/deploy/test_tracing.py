"""The samples for traces: parts that fit together, links that lead somewhere, and examples in a real Prometheus."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_monitoring import DEPLOY, SERVED, Prometheus
from tornado.testing import bind_unused_port

from backend import Backend, StartBackend, Store
from core.observe.logs import FIELDS, begin_request, flush_logs, get_logger, set_up_logs
from core.observe.metrics import REQUEST_S, REQUESTS
from core.observe.traces import ATTRIBUTES
from handlers.admin import make_admin_server
from otlp_receiver import Collector

TRACE = "0af7651916cd43dd8448eb211c80319c"
SECTIONS = ("receivers", "processors", "exporters")


def read(path: str) -> Any:
    return yaml.safe_load((DEPLOY / path).read_text("utf-8"))


def data_sources() -> dict[str, dict[str, Any]]:
    return {one["uid"]: one for one in read("grafana/datasources.yml")["datasources"]}


def unescaped(text: str) -> str:
    """As Grafana reads a provisioning file."""
    return text.replace("$$", "$")


@pytest.mark.parametrize("name", ["otel/collector.yml", "otel/jaeger.yml"])
def test_every_part_of_a_pipeline_is_defined_and_every_part_is_used(name: str) -> None:
    config = read(name)
    for section in SECTIONS:
        used = {part for pipeline in config["service"]["pipelines"].values() for part in pipeline[section]}
        assert used == set(config[section])
    assert set(config["service"]["extensions"]) == set(config["extensions"])


def test_each_part_sends_to_where_the_next_one_listens() -> None:
    collector, jaeger, loki = (read(f"otel/{name}.yml") for name in ("collector", "jaeger", "loki"))
    sources = data_sources()
    otlp = jaeger["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
    assert collector["exporters"]["otlphttp/jaeger"]["endpoint"] == f"http://{otlp}"
    loki_at = f"{loki['server']['http_listen_address']}:{loki['server']['http_listen_port']}"
    assert collector["exporters"]["otlphttp/loki"]["endpoint"] == f"http://{loki_at}/otlp"
    assert sources["kaimen-loki"]["url"] == f"http://{loki_at}"
    assert sources["kaimen-jaeger"]["url"] == "http://" + jaeger["extensions"]["jaeger_query"]["http"]["endpoint"]


def test_nothing_listens_but_on_loopback() -> None:
    for name in ("collector", "jaeger", "loki"):
        text = (DEPLOY / f"otel/{name}.yml").read_text("utf-8")
        assert set(re.findall(r"\d+\.\d+\.\d+\.\d+", text)) == {"127.0.0.1"}


def test_the_collector_takes_its_fields_from_lines_as_they_are_written() -> None:
    text = (DEPLOY / "otel/collector.yml").read_text("utf-8")
    taken = set(re.findall(r"attributes\.line\.(\w+)", text))
    assert taken == {"timestamp", "level", "trace_id"}
    assert taken <= FIELDS.keys()


def test_every_link_of_grafana_leads_to_a_data_source_that_is_there() -> None:
    named = re.findall(r"datasourceUid: (\S+)", (DEPLOY / "grafana/datasources.yml").read_text("utf-8"))
    assert set(named) == set(data_sources())


def test_a_line_of_the_log_leads_to_its_trace_and_a_trace_to_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("info", "json")
    begin_request("mine", TRACE, debug=False)
    get_logger().info("request", path="/x", status=200)
    flush_logs()
    begin_request("", "", debug=False)
    set_up_logs("error", "json")
    line = capsys.readouterr().out
    sources = data_sources()
    (field,) = sources["kaimen-loki"]["jsonData"]["derivedFields"]
    found = re.search(field["matcherRegex"], line)
    assert found
    assert found[1] == TRACE
    asked = unescaped(sources["kaimen-jaeger"]["jsonData"]["tracesToLogsV2"]["query"])
    (wanted,) = re.findall(r'\|= "(.*)"', asked.replace("${__trace.traceId}", TRACE))
    assert wanted in line


def test_a_span_leads_to_metrics_that_are_served_with_its_route_as_their_label() -> None:
    linked = data_sources()["kaimen-jaeger"]["jsonData"]["tracesToMetrics"]
    (tag,) = linked["tags"]
    assert tag["key"] in ATTRIBUTES
    assert tag["value"] in set(REQUEST_S.labels) & set(REQUESTS.labels)
    for query in linked["queries"]:
        assert set(re.findall(r"kaimen_\w+", query["query"])) <= SERVED
        assert "{$__tags}" in unescaped(query["query"])


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    with Collector() as running:
        yield running


@pytest.fixture
async def backend(start_backend: StartBackend, embedded_store: Store, collector: Collector) -> Backend:
    return await start_backend(embedded_store, otlp_url=collector.url)


@pytest.fixture
async def prometheus(backend: Backend) -> AsyncIterator["WithExamples"]:
    server, (listener, port) = make_admin_server(backend.kaimen), bind_unused_port()
    server.add_socket(listener)
    running = await asyncio.to_thread(WithExamples, f"127.0.0.1:{port}")
    yield running
    await asyncio.to_thread(running.close)
    server.stop()
    await server.close_all_connections()


class WithExamples(Prometheus):
    """As docs/observability.md has it."""

    def _command(self) -> list[str]:
        return [*super()._command(), "--enable-feature=exemplar-storage"]

    def examples(self, series: str) -> list[str]:
        """The ids of traces that Prometheus keeps for it."""
        reply = json.loads(self.get(f"/api/v1/query_exemplars?query={series}&start=0&end=9999999999"))
        return [one["labels"]["trace_id"] for found in reply["data"] for one in found["exemplars"]]


async def test_a_real_prometheus_keeps_traces_as_examples_of_latencies(
    backend: Backend, prometheus: WithExamples, collector: Collector
) -> None:
    async with asyncio.timeout(30):
        kept: set[str] = set()
        while not kept & {one.trace_id for one in collector.named("POST /api/auth")}:
            await backend.login()
            await asyncio.sleep(0.3)
            kept = set(await asyncio.to_thread(prometheus.examples, "kaimen_http_request_seconds_bucket"))


def test_a_sample_names_no_setting_but_that_of_traces() -> None:
    named = {name for path in Path(DEPLOY / "otel").iterdir() for name in re.findall(r"KAIMEN_\w+", path.read_text())}
    assert named == {"KAIMEN_OTLP_URL"}
