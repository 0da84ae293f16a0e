"""What commands print, and in whose name they act."""

import getpass
import json
from collections.abc import Sequence
from typing import Any

import click


def current_actor() -> str:
    """Who acts, as the audit names it."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's number without a name
        return "cli:unknown"


def as_time(at_ms: int | None) -> str | None:
    """RFC 3339 for milliseconds since 1970."""
    from app.users.views import rfc3339

    return rfc3339(at_ms)


def show_rows(headings: Sequence[str], rows: Sequence[Sequence[Any]], *, as_json: bool) -> None:
    """A table for people, or one JSON object a line with the headings in camelCase."""
    if as_json:
        names = [_camel(heading) for heading in headings]
        for row in rows:
            click.echo(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False))
        return
    cells = [list(headings), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(headings))]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return " ".join(value) if isinstance(value, list | tuple) else str(value)


def _camel(heading: str) -> str:
    first, *rest = heading.split(" ")
    return first + "".join(word.capitalize() for word in rest)
