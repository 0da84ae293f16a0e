"""``kaimen users import``."""

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.tables import output_options, show
from cli.users import users

if TYPE_CHECKING:
    from core.settings import Settings

COLUMNS = ("new", "changed", "same", "refused", "seconds", "rowsPerSecond")


@users.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), help="csv for names ending in .csv, else jsonl.")
@click.option("--wafer", is_flag=True, help="FILE is an export of cSessionInfo, the table of Tencent's Wafer SDK.")
@click.option("--appid", help="With --wafer: the mini-program of its open_ids (the first of KAIMEN_APPS).")
@click.option("--timezone", "zone", default="+08:00", show_default=True, help="With --wafer: that of its create_time.")
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), help="Refused lines go here (FILE.refused.csv)."
)
@output_options
def import_users(
    file: Path,
    form: str | None,
    wafer: bool,
    appid: str | None,
    zone: str,
    report: Path | None,
    output: str | None,
) -> None:
    """Import users of another system from FILE: JSON lines, or CSV.

    externalId tells who is who: run it again at any time, after a change of the file or an interruption. New lines are
    added, changed ones update their user, the others are skipped. Ends with 1 if lines were refused; the report names
    each with its reason. The format is described in docs/operations.md.
    """
    from app.operations.import_lines import Position, read_csv, read_json_lines
    from app.operations.importing import Importer
    from app.operations.wafer_lines import read_wafer
    from cli import operating, serving

    form = form or ("csv" if file.suffix.lower() == ".csv" else "jsonl")
    report = report or file.with_name(file.name + ".refused.csv")

    async def work() -> None:
        async with operating.opened() as tools:
            read: Any = read_csv if form == "csv" else read_json_lines
            if wafer:
                read = partial(read_wafer, form=form, appid=_appid(tools.settings, appid), zone=zone)
            importer = Importer(tools.database, tools.clock, tools.sealer, await tools.index(), tools.settings)
            started, position = tools.clock.monotonic(), Position()
            with file.open("rb") as lines, _report(report) as refused, _bar(file) as bar:
                await importer.run(read(lines, position), refused, lambda: bar.update(position.bytes - bar.pos))
            counts = asdict(importer.counts)
            await operating.note(tools, "users.imported", counts)
            seconds = tools.clock.monotonic() - started
            rate = round(sum(counts.values()) / max(seconds, 0.001))
            show([{**counts, "seconds": round(seconds, 1), "rowsPerSecond": rate}], COLUMNS, output)
            if counts["refused"]:
                raise serving.Failed(f"lines refused: {counts['refused']}; see {report}")

    serving.run(work)


def _appid(settings: "Settings", given: str | None) -> str:
    app = settings.app(given) if given else settings.default_app()
    if app is None:
        raise click.UsageError("--appid: is not in KAIMEN_APPS")
    return app.appid


def _bar(file: Path) -> Any:
    return click.progressbar(length=file.stat().st_size, label="importing", file=sys.stderr)


@contextmanager
def _report(path: Path) -> Iterator[Any]:
    """Yields ``refused(number, reason)``; the file is gone afterwards if nothing was refused."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["line", "reason"])
        empty = file.tell()

        def refused(number: int, reason: str) -> None:
            writer.writerow([number, reason])

        yield refused
        nothing = file.tell() == empty
    if nothing:
        path.unlink()
