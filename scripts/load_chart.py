"""Charts as inline SVG. Curves stretch with the page, labels stand beside them as text and so keep their size."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 1000, 300  # of the drawing; the page stretches it
TICKS = 4
SLACK = 0.05  # of a step: what a measurement is off does not need another mark
DECADES = 4  # of milliseconds, so that charts of latencies compare
Values = Sequence[float | None]


@dataclass(frozen=True)
class Line:
    """A curve; ``colour`` is a variable of the style."""

    name: str
    colour: str
    values: Values


@dataclass(frozen=True)
class Band:
    """A stretch of time that stands out, as parts of the whole."""

    start: float
    end: float
    name: str


@dataclass(frozen=True)
class Threshold:
    """Where a value should stay below."""

    value: float
    name: str


@dataclass(frozen=True)
class Chart:
    """What is drawn; ``ticks`` are parts of the whole with a label, ``least`` is what the axis reaches at least."""

    ticks: list[tuple[float, str]]
    bands: list[Band] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    aims: tuple[Threshold, ...] = ()
    unit: str = ""
    stacked: bool = False
    fill: bool = False
    log: bool = False
    least: float = 0.0


@dataclass(frozen=True)
class Axis:
    """Where a value is, from 0 at the bottom to 1 at the top."""

    marks: list[float]
    place: Callable[[float], float]


def chart_of(chart: Chart) -> str:
    """Legend and plot."""
    if not any(value for line in chart.lines for value in line.values):
        return f'<div class="plot">{frame(chart)}<span class="nothing">none</span></div>'
    axis = log_axis(chart) if chart.log else linear_axis(chart)
    shapes = stacked(chart.lines, axis) if chart.stacked else curves(chart, axis)
    labels = "".join(y_label(mark, axis, chart.unit) for mark in axis.marks)
    aims = "".join(threshold(aim, axis) for aim in chart.aims)
    names = "".join(label(100 * axis.place(aim.value), escape(aim.name), "aim", "bottom") for aim in chart.aims)
    return f'{legend(chart)}<div class="plot">{frame(chart, rules(axis) + shapes + aims)}{labels}{names}</div>'


def frame(chart: Chart, inside: str = "") -> str:
    """The drawing with its bands, and the labels of the time below it."""
    bands = "".join(shade(band) for band in chart.bands)
    ground = f'<line class="rule" x1="0" x2="{WIDTH}" y1="{HEIGHT}" y2="{HEIGHT}"/>'
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true"'
    svg = f"<svg {box}>{bands}{ground}{inside}</svg>"
    times = "".join(
        label(100 * at, text, "x odd" if number % 2 else "x", "left") for number, (at, text) in enumerate(chart.ticks)
    )
    names = "".join(label(100 * band.start, escape(band.name), "name", "left") for band in chart.bands)
    return svg + times + names


def shade(band: Band) -> str:
    """Behind everything."""
    x, width = band.start * WIDTH, (band.end - band.start) * WIDTH
    return f'<rect class="band" x="{x:.1f}" y="0" width="{width:.1f}" height="{HEIGHT}"/>'


def label(percent: float, text: str, style: str, edge: str) -> str:
    """Text that far from an edge."""
    return f'<span class="{style}" style="{edge}:{percent:.2f}%">{text}</span>'


def y_label(mark: float, axis: Axis, unit: str) -> str:
    """Beside the axis; the topmost with its unit."""
    text = number(mark) + (f" {unit}" if unit and mark == axis.marks[-1] else "")
    return label(100 * axis.place(mark), text, "y", "bottom")


def number(value: float) -> str:
    """Short."""
    return f"{value:g}" if value < 10_000 else f"{value / 1000:g}k"


def legend(chart: Chart) -> str:
    """The names, where the title does not say what it is."""
    if len(chart.lines) < 2 and not chart.stacked:
        return ""
    items = "".join(
        f'<span><i style="background:var(--{line.colour})"></i>{escape(line.name)}</span>' for line in chart.lines
    )
    return f'<div class="legend">{items}</div>'


# --- axes ---


def linear_axis(chart: Chart) -> Axis:
    """From 0 to a round number above all."""
    highest = max(chart.least, *(value or 0 for value in tops(chart)))
    step = round_up(highest / TICKS)
    top = step * math.ceil(highest / step - SLACK)
    marks = [step * index for index in range(round(top / step) + 1)]
    return Axis(marks, lambda value: value / top)


def tops(chart: Chart) -> list[float]:
    """The highest values: of the stack, or of the lines."""
    columns = zip(*(line.values for line in chart.lines), strict=True)
    join = sum if chart.stacked else max
    return [join(value or 0.0 for value in column) for column in columns]


def round_up(value: float) -> float:
    """To 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return float(next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= value - 1e-12))


def log_axis(chart: Chart) -> Axis:
    """Powers of ten from 1, as latencies need."""
    found = [*tops(chart), *(aim.value for aim in chart.aims)]
    decades = max(DECADES, math.ceil(math.log10(max(found))))
    return Axis(
        [10.0**power for power in range(decades + 1)], lambda value: max(0.0, math.log10(max(value, 1)) / decades)
    )


# --- shapes ---


def rules(axis: Axis) -> str:
    """A thin line at each mark."""
    heights = [HEIGHT * (1 - axis.place(mark)) for mark in axis.marks]
    return "".join(f'<line class="rule" x1="0" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>' for y in heights)


def threshold(aim: Threshold, axis: Axis) -> str:
    """A dashed line."""
    y = HEIGHT * (1 - axis.place(aim.value))
    return f'<line class="threshold" x1="0" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'


def curves(chart: Chart, axis: Axis) -> str:
    """Each line by itself, with what is below it where it is filled."""
    parts: list[str] = []
    for line in chart.lines:
        runs = runs_of(line.values, axis)
        path = "".join(f"M{' '.join(points)}" for points in runs)
        if chart.fill:
            parts.extend(area(points, [(WIDTH, HEIGHT), (0, HEIGHT)], line.colour, 0.15) for points in runs)
        parts.append(f'<path d="{path}" style="stroke:var(--{line.colour});stroke-width:1.75"/>')
    return "".join(parts)


def runs_of(values: Values, axis: Axis) -> list[list[str]]:
    """Points without a gap between them; where nothing was measured, the curve has one."""
    runs: list[list[str]] = [[]]
    for index, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(point(index, len(values), axis.place(value)))
    return [points for points in runs if points]


def point(index: int, count: int, height: float) -> str:
    """In the middle of its slot."""
    return f"{(index + 0.5) / count * WIDTH:.1f},{HEIGHT * (1 - height):.1f}"


def area(points: list[str], corners: list[tuple[float, float]], colour: str, opacity: float) -> str:
    """What is between the points and these corners."""
    closed = " ".join([*points, *(f"{x},{y}" for x, y in corners)])
    return f'<path d="M{closed}Z" style="fill:var(--{colour});fill-opacity:{opacity}"/>'


def stacked(lines: list[Line], axis: Axis) -> str:
    """One above the other."""
    below = [0.0] * len(lines[0].values)
    parts = []
    for line in lines:
        above = [low + (value or 0.0) for low, value in zip(below, line.values, strict=True)]
        upper, lower = outline(above, axis), outline(below, axis)
        parts.append(f'<path d="M{" ".join([*upper, *reversed(lower)])}Z" style="fill:var(--{line.colour})"/>')
        below = above
    return "".join(parts)


def outline(values: list[float], axis: Axis) -> list[str]:
    """All points."""
    return [point(index, len(values), axis.place(value)) for index, value in enumerate(values)]
