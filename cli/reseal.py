"""``kaimen reseal``."""

import sys

import click

from cli.tables import output_options, show

COLUMNS = ("column", "resealed", "underOldKeys", "broken")


@click.command()
@output_options
def reseal(output: str | None) -> None:
    """Seal what is kept sealed (session_keys, phones, signing keys) under the newest master key.

    Servers go on working; a value that changes meanwhile is never overwritten. Afterwards older keys can be dropped
    from KAIMEN_MASTER_KEYS. Ends with 1 if something remains under an older key.
    """
    from app.operations.resealing import Resealer
    from cli import operating, serving

    async def work() -> None:
        async with operating.opened() as tools:
            resealer = Resealer(tools.database, tools.sealer)
            count = await resealer.count()
            with click.progressbar(length=count, label=f"resealing {count}", file=sys.stderr) as bar:
                outcomes = await resealer.run(bar.update)
            await operating.note(tools, "master_key.resealed", {"values": sum(one.resealed for one in outcomes)})
            rows = [(one.column, one.resealed, one.remaining, len(one.broken)) for one in outcomes]
            show([dict(zip(COLUMNS, row, strict=True)) for row in rows], COLUMNS, output)
            _refuse_leftovers([line for one in outcomes for line in sorted(one.broken)], sum(row[2] for row in rows))

    def _refuse_leftovers(broken: list[str], remaining: int) -> None:
        if remaining:
            opens = [f"opens under no configured key: {line}" for line in broken]
            raise serving.Failed("\n".join([*opens, f"{remaining} values remain under older keys: keep those keys"]))

    serving.run(work)
