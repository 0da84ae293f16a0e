"""Instruments: what is counted is what is served, and no label makes the table grow without end."""

from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.observe import metrics
from core.observe.metrics import SERIES_MAX, Counter, Gauge, Histogram, expose


@pytest.fixture(autouse=True)
def own_rows() -> Iterator[None]:
    """Instruments made by a test leave the table after it."""
    before = list(metrics.TABLE)
    yield
    metrics.TABLE[:] = before


def served(accept: str = "") -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """As a scraper reads it: value by name and labels."""
    text = expose(accept)[0].decode()
    families = text_string_to_metric_families(text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_a_counter_is_served_with_its_labels() -> None:
    counter = Counter("test_things", "Things", "kind", "outcome")
    counter.inc("a", "ok")
    counter.inc("a", "ok", by=2)
    assert served()[key("kaimen_test_things_total", kind="a", outcome="ok")] == 3


def test_a_counter_without_labels_is_there_before_anything_happened() -> None:
    Counter("test_rare", "Rare")
    assert served()[key("kaimen_test_rare_total")] == 0


def test_a_histogram_counts_upwards_from_the_least_bucket() -> None:
    histogram = Histogram("test_seconds", "Seconds", "api", bounds=(0.1, 1.0))
    for value in (0.1, 0.5, 7):
        histogram.observe(value, "x")
    found = served()
    buckets = [found[key("kaimen_test_seconds_bucket", api="x", le=bound)] for bound in ("0.1", "1.0", "+Inf")]
    assert buckets == [1, 2, 3]
    assert found[key("kaimen_test_seconds_sum", api="x")] == pytest.approx(7.6)
    assert found[key("kaimen_test_seconds_count", api="x")] == 3


def test_a_gauge_is_asked_when_it_is_read_and_adds_up_its_readers() -> None:
    gauge, busy = Gauge("test_pool", "Connections", "state"), [1.0]
    gauge.watch(lambda: {("busy",): busy[0]})
    forget = gauge.watch(lambda: {("busy",): 5})
    busy[0] = 2
    assert gauge.value("busy") == 7
    forget()
    assert served()[key("kaimen_test_pool", state="busy")] == 2


def test_labels_without_end_are_counted_together() -> None:
    counter = Counter("test_flood", "Flood", "name")
    for number in range(SERIES_MAX + 50):
        counter.inc(str(number))
    assert counter.value("other") == 50
    assert len(counter.family().samples) == SERIES_MAX + 1


def test_a_wrong_number_of_labels_is_a_bug_that_shows() -> None:
    with pytest.raises(TypeError, match="kind"):
        Counter("test_wrong", "Wrong", "kind").inc()


def test_openmetrics_is_spoken_to_who_asks_for_it() -> None:
    body, content_type = expose("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_names_are_unique_and_follow_prometheus_s_rules() -> None:
    names = [instrument.name for instrument in metrics.TABLE]
    assert len(names) == len(set(names))
    assert not [name for name in names if name.endswith(("_total", "_count", "_sum", "_bucket", "_ms"))]
