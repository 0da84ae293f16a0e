"""What commands print: a table for people, JSON lines or CSV for scripts; the same options everywhere."""

import csv
import io
import json
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

Row = dict[str, Any]
F = TypeVar("F", bound=Callable[..., Any])
GAP = "  "


def output_options(command: F) -> F:
    """Adds ``--json`` and ``--csv``; the command gets ``output``: ``table``, ``json`` or ``csv``."""
    for name, text in (("csv", "CSV with a header."), ("json", "One JSON object a line.")):
        command = click.option(f"--{name}", "output", flag_value=name, help=text)(command)
    return command


class Printer:
    """Prints rows with the same columns, at once or as they come; scripts get a header once."""

    def __init__(self, output: str | None, columns: Sequence[str]) -> None:
        self._output = output or "table"
        self._columns = columns
        self._started = False

    def rows(self, rows: Sequence[Row]) -> None:
        """Prints these rows."""
        if self._output == "json":
            lines = [json.dumps(_only(row, self._columns), ensure_ascii=False) for row in rows]
        elif self._output == "csv":
            lines = _csv_lines([self._columns] * (not self._started) + [_csv_cells(row, self._columns) for row in rows])
        else:
            lines = _table_lines(self._columns, rows, header=not self._started)
        self._started = True
        for line in lines:
            click.echo(line)


def show(rows: Sequence[Row], columns: Sequence[str], output: str | None) -> None:
    """A whole list."""
    Printer(output, columns).rows(rows)
    if not rows and not output:
        click.echo("none")


def show_one(row: Row, output: str | None) -> None:
    """One thing: a line for each of its values, or one row for scripts."""
    if output:
        Printer(output, list(row)).rows([row])
        return
    width = max(len(name) for name in row)
    for name, value in row.items():
        for number, item in enumerate(value if value and isinstance(value, list) else [value]):
            click.echo(f"{'' if number else name:{width}}{GAP}{_cell(item)}")


def _only(row: Row, columns: Iterable[str]) -> Row:
    return {name: row.get(name) for name in columns}


def _csv_cells(row: Row, columns: Iterable[str]) -> list[Any]:
    values = (row.get(name) for name in columns)
    return [json.dumps(one, ensure_ascii=False) if isinstance(one, list | dict | bool) else one for one in values]


def _csv_lines(rows: Iterable[Sequence[Any]]) -> list[str]:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().split("\n")[:-1]


def _table_lines(columns: Sequence[str], rows: Sequence[Row], *, header: bool) -> list[str]:
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    titles = [[name.upper() for name in columns]] if header and rows else []
    widths = [max([_width(name), *(_width(line[index]) for line in cells)]) for index, name in enumerate(columns)]
    return [
        GAP.join(_pad(text, width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in [*titles, *cells]
    ]


def _cell(value: Any) -> str:
    """As text on one line: nothing in it can move the cursor or colour the terminal."""
    if value in (None, "", [], {}):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(_cell(one) for one in value)
    if isinstance(value, dict):
        return " ".join(f"{name}={_cell(one)}" for name, one in value.items())
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(value))


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _width(text: str) -> int:
    """Columns of a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
