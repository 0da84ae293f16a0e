"""A collector for tests: a process that takes OTLP over HTTP and tells what it got.

Run as a program it listens, parses requests by OpenTelemetry's own protobuf messages and writes each span as a line of
JSON. ``Collector`` starts it, and reads the lines.
"""

import json
import sys
import urllib.request
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Received

from servers import Server

KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


@dataclass(frozen=True)
class Span:
    """A span as it came over the wire."""

    name: str
    kind: str
    trace_id: str
    id: str
    parent: str
    attributes: dict[str, Any]
    links: list[tuple[str, str]]
    failed: bool
    started_at: int
    ended_at: int
    resource: dict[str, Any]


class Collector(Server):
    """The process; ``url`` goes into ``KAIMEN_OTLP_URL``."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def text(self) -> str:
        """All that came, as text to look for what must not be in it."""
        found = self.folder / "spans"
        return found.read_text() if found.exists() else ""

    @property
    def spans(self) -> list[Span]:
        """Complete lines only: the process may be writing."""
        lines = [json.loads(line) for line in self.text.splitlines(keepends=True) if line.endswith("\n")]
        return [Span(**{**line, "links": [(one[0], one[1]) for one in line["links"]]}) for line in lines]

    def named(self, name: str) -> list[Span]:
        return [one for one in self.spans if one.name == name]

    def parts_of(self, whole: Span) -> list[Span]:
        """Its children, in the order in which they began."""
        found = [one for one in self.spans if (one.trace_id, one.parent) == (whole.trace_id, whole.id)]
        return sorted(found, key=lambda one: one.started_at)

    def _command(self) -> list[str]:
        return [sys.executable, __file__, str(self.port), str(self.folder / "spans")]

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self.url + "/", timeout=1).close()
        except OSError:
            return False
        return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    path_of_file: Path

    def do_GET(self) -> None:
        self._reply(200, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/v1/traces" or self.headers["Content-Type"] != "application/x-protobuf":
            self._reply(404, b"")
            return
        with self.path_of_file.open("a") as file:
            for line in _lines(ExportTraceServiceRequest.FromString(body)):
                file.write(line + "\n")
        self._reply(200, ExportTraceServiceResponse().SerializeToString())

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _lines(request: ExportTraceServiceRequest) -> list[str]:
    return [
        json.dumps({**_told(span), "resource": _values(batch.resource.attributes)})
        for batch in request.resource_spans
        for scope in batch.scope_spans
        for span in scope.spans
    ]


def _told(span: Received) -> dict[str, Any]:
    return {
        "name": span.name,
        "kind": KINDS[span.kind],
        "trace_id": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "attributes": _values(span.attributes),
        "links": [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        "failed": span.status.code == span.status.STATUS_CODE_ERROR,
        "started_at": span.start_time_unix_nano,
        "ended_at": span.end_time_unix_nano,
    }


def _values(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair) for pair in pairs}


def _value(pair: KeyValue) -> Any:
    return getattr(pair.value, pair.value.WhichOneof("value") or "string_value")


if __name__ == "__main__":
    _Handler.path_of_file = Path(sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Handler).serve_forever()
