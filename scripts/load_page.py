"""The page of a day under load: one file with everything in it, for wide and narrow screens, light and dark."""

from collections.abc import Callable
from dataclasses import replace
from html import escape

from load_chart import Band, Chart, Line, Threshold, chart_of
from load_day import DAY, RUSH
from load_figures import (
    KINDS,
    P99_CARRIED_MS,
    P99_CROWDED_MS,
    REQUESTS,
    Second,
    Target,
    count_answers,
    count_errors,
    latencies_of,
    percentile,
    status_name,
    summary,
)
from load_report import Report

POINTS = 240  # of a curve at most
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
TONES = {"p50": "soft", "p95": "middle", "p99": "strong"}
COLOURS = ("a", "b", "c", "d", "e", "f", "g")
USERS = ("server", "MariaDB", "Redis", "stand-in", "load", "others")
SIGNS = {True: ("held", "held"), False: ("missed", "missed"), None: ("open", "not reached")}
HOURS_APART = 3
WIDE = {"Latency of all requests", "CPU"}

STYLE = """
:root { color-scheme: light dark; --page: #f6f6f4; --card: #fff; --ink: #17181a; --soft-ink: #62656b; --rule: #e4e4e0;
  --band: #eb683418; --good: #00753c; --bad: #c2302a; --a: #2a78d6; --b: #1baf7a; --c: #eda100; --d: #4a3aa7;
  --e: #e87ba4; --f: #eb6834; --g: #9a9a94; --soft: #9cc3f0; --middle: #3f8be0; --strong: #103f7a; }
@media (prefers-color-scheme: dark) { :root { --page: #111214; --card: #1b1c1f; --ink: #f0f0ee; --soft-ink: #a2a5ab;
  --rule: #303237; --band: #d9592626; --good: #4cc38a; --bad: #ff7b72; --a: #3987e5; --b: #199e70; --c: #c98500;
  --d: #9085e9; --e: #d55181; --f: #d95926; --g: #73767c; --soft: #2f5f9a; --middle: #4f9bf0; --strong: #cfe4ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 16px 40px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 15px; margin: 0; }
p { margin: 0; color: var(--soft-ink); max-width: 78ch; }
.tiles { display: grid; gap: 12px; margin: 20px 0 24px; grid-template-columns: repeat(auto-fit, minmax(126px, 1fr)); }
.tile, .card { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; }
.tile { padding: 12px 14px; }
.tile b { display: block; font-size: 24px; font-weight: 600; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft-ink); font-size: 13px; }
.grid { display: grid; gap: 12px; grid-template-columns: repeat(2, minmax(0, 1fr)); }
.card { padding: 14px 16px 12px; min-width: 0; margin-bottom: 12px; }
.grid .card { margin: 0; }
.wide { grid-column: 1 / -1; }
section > h2 { font-size: 18px; margin: 28px 0 10px; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 4px 0 8px; font-size: 13px; color: var(--soft-ink); }
.legend i { display: inline-block; width: 14px; height: 4px; border-radius: 2px; margin-right: 6px;
  vertical-align: middle; }
.plot { position: relative; height: 190px; margin: 14px 4px 22px 44px; }
.plot svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.plot span { position: absolute; font-size: 11px; line-height: 1; color: var(--soft-ink); white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.plot .y { right: calc(100% + 6px); transform: translateY(50%); }
.plot .x { top: calc(100% + 7px); transform: translateX(-50%); }
.plot .aim { left: 5px; transform: translateY(-3px); color: var(--bad); }
.plot .name { top: 4px; transform: translateX(4px); padding: 2px 4px; border-radius: 3px; background: var(--card); }
.plot .nothing { inset: 0; margin: auto; height: 1em; width: max-content; font-size: 13px; }
path, line { vector-effect: non-scaling-stroke; fill: none; stroke-linejoin: round; }
.rule { stroke: var(--rule); stroke-width: 1; }
.threshold { stroke: var(--bad); stroke-width: 1; stroke-dasharray: 4 4; opacity: 0.8; }
.band { fill: var(--band); stroke: none; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { text-align: left; padding: 7px 14px 7px 0; border-top: 1px solid var(--rule); vertical-align: top; }
thead th { border-top: 0; color: var(--soft-ink); font-weight: 500; font-size: 13px; white-space: nowrap; }
tbody th { font-weight: 500; }
td.n, th.n { text-align: right; white-space: nowrap; }
.sign { font-weight: 600; white-space: nowrap; }
.sign::before { content: "– "; }
.held { color: var(--good); } .held::before { content: "✓ "; }
.missed { color: var(--bad); } .missed::before { content: "✗ "; }
@media (max-width: 760px) { .grid { grid-template-columns: minmax(0, 1fr); } h1 { font-size: 22px; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); } .plot .odd { display: none; }
  .targets thead { display: none; } .targets td, .targets th { display: block; border: 0; padding: 1px 0; }
  .targets th { font-weight: 600; } .targets td:nth-child(2) { color: var(--soft-ink); }
  .targets td:nth-child(2)::before { content: "aim: "; }
  .targets tr { display: block; border-top: 1px solid var(--rule); padding: 8px 0; } }
"""


def draw(report: Report) -> str:
    """The whole page."""
    parts = [
        f"<h1>A day under load</h1><p>{escape(introduction(report))}</p>",
        tiles(report),
        card("Targets", table_of_targets(report.targets())),
        f'<div class="grid">{"".join(overview(report))}</div>',
        f'<section><h2>Latency</h2><div class="grid">{"".join(latencies(report))}</div></section>',
        f"<section><h2>By kind</h2>{table_of_kinds(report)}</section>",
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    title = "<title>A day under load</title>"
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en">{head}{title}<style>{STYLE}</style><main>{body}</main></html>\n'


def introduction(report: Report) -> str:
    """What this was."""
    options = report.options
    return (
        f"{options.minutes:g} minutes stand for a day of a mini-program with up to {options.clients:,} people at once, "
        f"who think {options.think:g} s between two requests; then comes a rush, in which all of them are there and "
        f"hurry ({options.hurry:g} s). Server processes: {options.processes}. They, MariaDB, Redis, the stand-in for "
        f"WeChat and the load itself share {report.cores} cores. {report.machine}."
    )


# --- tiles and tables ---


def tiles(report: Report) -> str:
    """The figures that say most."""
    seconds = report.seconds
    day = percentile(latencies_of(report.phase(DAY)), 0.99)
    rush = percentile(latencies_of(report.phase(RUSH)), 0.99)
    values = [
        (f"{count_answers(seconds):,}", "requests"),
        (f"{max((second.statuses.total() for second in seconds), default=0):,}", "requests in the busiest second"),
        (milliseconds(day), "p99 over the day"),
        (milliseconds(rush), "p99 in the rush"),
        (f"{count_errors(report.phase(DAY)).total():,}", "errors over the day"),
        (f"{max((second.memory_mib for second in seconds), default=0):.0f} MiB", "memory at most"),
    ]
    return '<div class="tiles">' + "".join(tile(*value) for value in values) + "</div>"


def tile(value: str, name: str) -> str:
    """One of them."""
    return f'<div class="tile"><b>{value}</b><span>{name}</span></div>'


def milliseconds(value: float | None) -> str:
    """For people."""
    if value is None:
        return "–"
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"


def table_of_targets(targets: list[Target]) -> str:
    """Held or not."""
    rows = ""
    for target in targets:
        style, word = SIGNS[target.held]
        cells = "".join(f"<td>{escape(text)}</td>" for text in (target.aim, target.measured))
        rows += f'<tr><th>{escape(target.name)}</th>{cells}<td class="sign {style}">{word}</td></tr>'
    head = "<tr><th>target</th><th>aim</th><th>measured</th><th></th></tr>"
    return f'<div class="scroll targets"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def table_of_kinds(report: Report) -> str:
    """Count and percentiles, over the day and in the rush."""
    day, rush = (summary(report.phase(phase)) for phase in (DAY, RUSH))
    names = [f"{phase} {name}" for phase in ("day", "rush") for name in ("count", "p50", "p95", "p99")]
    head = "<tr><th></th>" + "".join(f'<th class="n">{name}</th>' for name in names) + "</tr>"
    rows = ""
    for kind, title in KINDS.items():
        figures = [*day[kind].items(), *rush[kind].items()]
        cells = [f"{value or 0:,.0f}" if name == "count" else milliseconds(value) for name, value in figures]
        rows += f"<tr><th>{escape(title)}</th>" + "".join(f'<td class="n">{cell}</td>' for cell in cells) + "</tr>"
    return f'<div class="card scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def card(title: str, body: str, *, is_wide: bool = False) -> str:
    """A framed part of the page."""
    return f'<div class="card{" wide" if is_wide else ""}"><h2>{escape(title)}</h2>{body}</div>'


# --- charts ---


def overview(report: Report) -> list[str]:
    """Everything but the latencies of each kind."""
    slots = slots_of(report.seconds)
    base = frame_of(report)
    errors = sorted(count_errors(report.seconds))
    everything = [Line(name, TONES[name], quantiles(slots, REQUESTS, share)) for name, share in SHARES.items()]
    aims = (Threshold(P99_CARRIED_MS, "day: 200 ms"), Threshold(P99_CROWDED_MS, "all clients: 800 ms"))
    people = Line("clients", "a", mean(slots, lambda one: one.clients))
    charts = (
        ("Clients", replace(base, lines=[people], fill=True)),
        ("Requests a second", replace(base, lines=kinds_of(slots), stacked=True)),
        ("Latency of all requests", replace(base, lines=everything, log=True, unit="ms", aims=aims)),
        ("Errors a second", replace(base, lines=errors_of(slots, errors), stacked=True)),
        ("Memory of the server", replace(base, lines=[memory_of(slots)], unit="MiB", fill=True)),
        ("CPU", replace(base, lines=cpu_of(slots), stacked=True, unit="cores", least=float(report.cores))),
    )
    return [card(title, chart_of(chart), is_wide=title in WIDE) for title, chart in charts]


def latencies(report: Report) -> list[str]:
    """A chart for each kind, all on one scale."""
    slots, base = slots_of(report.seconds), frame_of(report)
    cards = []
    for kind, title in KINDS.items():
        lines = [Line(name, TONES[name], quantiles(slots, (kind,), share)) for name, share in SHARES.items()]
        cards.append(card(title, chart_of(replace(base, lines=lines, log=True, unit="ms"))))
    return cards


def slots_of(seconds: list[Second]) -> list[list[Second]]:
    """Seconds together, so that there are not more points than one can see."""
    size = max(1, -(-len(seconds) // POINTS))
    return [seconds[start : start + size] for start in range(0, len(seconds), size)]


def frame_of(report: Report) -> Chart:
    """What all charts have in common: the hours below, and the rush."""
    seconds = report.seconds
    marks = {}
    for position, second in enumerate(seconds):
        hour = int(second.hour or 0) // HOURS_APART * HOURS_APART
        if second.hour is not None and hour not in marks:
            marks[hour] = position / len(seconds)
    ticks = [(at, f"{hour:02}:00") for hour, at in marks.items()]
    rush = [position for position, second in enumerate(seconds) if second.phase == RUSH]
    bands = [Band(rush[0] / len(seconds), (rush[-1] + 1) / len(seconds), "rush")] if rush else []
    return Chart(ticks=ticks, bands=bands)


def mean(slots: list[list[Second]], value: Callable[[Second], float]) -> list[float | None]:
    """Of the seconds of each slot."""
    return [sum(value(second) for second in slot) / len(slot) for slot in slots]


def counted(table: str, key: str | int) -> Callable[[Second], float]:
    """What a second's table says of the key."""
    return lambda second: float(getattr(second, table).get(key, 0))


def quantiles(slots: list[list[Second]], kinds: tuple[str, ...], share: float) -> list[float | None]:
    """Milliseconds."""
    return [percentile(latencies_of(slot, kinds), share) for slot in slots]


def kinds_of(slots: list[list[Second]]) -> list[Line]:
    """Requests a second, by kind."""
    return [
        Line(KINDS[kind], colour, mean(slots, counted("requests", kind)))
        for kind, colour in zip(REQUESTS, COLOURS, strict=False)
    ]


def errors_of(slots: list[list[Second]], statuses: list[int]) -> list[Line]:
    """Errors a second, by status."""
    return [
        Line(status_name(status), colour, mean(slots, counted("statuses", status)))
        for status, colour in zip(statuses, "fcdeabg", strict=False)
    ]


def memory_of(slots: list[list[Second]]) -> Line:
    """Resident, of all processes."""
    return Line("resident", "d", mean(slots, lambda one: one.memory_mib))


def cpu_of(slots: list[list[Second]]) -> list[Line]:
    """Cores in use, by who uses them."""
    return [
        Line(name, colour, mean(slots, counted("cores", name))) for name, colour in zip(USERS, "abcdeg", strict=True)
    ]
