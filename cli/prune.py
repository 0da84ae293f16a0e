"""``kaimen prune``."""

import click

from cli.tables import output_options, show

COLUMNS = ("table", "before", "rows")


@click.command()
@click.option("--dry-run", is_flag=True, help="Count what is due, delete nothing.")
@output_options
def prune(dry_run: bool, output: str | None) -> None:
    """Delete what is older than KAIMEN_RETENTION_DAYS allows, in small steps.

    A running server does the same every hour; one process at a time.
    """
    from app.avatars.storage import open_storage
    from app.operations.retention import Pruner
    from cli import operating, serving

    async def work() -> None:
        async with operating.opened() as tools:
            storage = open_storage(tools.settings, tools.clock)
            pruner = Pruner(tools.database, tools.clock, tools.settings, storage)
            limits = pruner.limits()
            counts = await pruner.count() if dry_run else await pruner.run_once()
            if counts is None:
                raise serving.Failed("another process is pruning now")
            rows = [
                {"table": table, "before": operating.shown_time(limits[table]), "rows": count}
                for table, count in counts.items()
            ]
            show(rows, COLUMNS, output)

    serving.run(work)
