"""``kaimen backup`` and ``kaimen restore``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from core.settings import Settings

NAME = "kaimen-{}.gz"


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--keep", type=click.IntRange(1), help="Delete all but the newest so many backups in the folder.")
def backup(folder: Path, keep: int | None) -> None:
    """Write the whole database into a new file in FOLDER, while servers go on.

    The file holds what the database holds: sealed keys and phones, names in clear. Keep the master keys elsewhere.
    """
    from cli import serving
    from cli.operating import shown_time
    from core.clock import Clock
    from core.settings import load_settings
    from models.db import dumping

    async def work() -> None:
        url = load_settings().database_url.get_secret_value()
        at = (shown_time(Clock().now_ms()) or "").replace("-", "").replace(":", "")
        target = folder / NAME.format(at)
        try:
            dumping.dump(url, target)
        except dumping.DumpFailed as error:
            raise serving.Failed(str(error)) from None
        click.echo(f"wrote {target}")

    folder.mkdir(parents=True, exist_ok=True)
    serving.run(work)
    _forget_older(folder, keep)


def _forget_older(folder: Path, keep: int | None) -> None:
    found = sorted(folder.glob(NAME.format("*")))
    for old in found[:-keep] if keep else []:
        old.unlink()


@click.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Replace what is in the database without asking.")
def restore(file: Path | None, yes: bool) -> None:
    """Put the backup FILE in place of the database, and make it true; all servers must be stopped.

    Without FILE: make a database true that was restored in another way. All sessions end, all signing keys are
    exchanged, and users whose deletion is in the ledger of this machine are deleted again. May be run again.
    """
    from cli import serving
    from core.settings import load_settings
    from models import migrations
    from models.db import dumping

    async def work() -> None:
        settings = load_settings()
        url = settings.database_url.get_secret_value()
        with serving.single_process(settings):
            if file:
                await _collect_deletions(settings)
                if not yes and not await dumping.is_empty(url):
                    click.confirm("Replace what is in the database?", abort=True, err=True)
                try:
                    dumping.load(url, file)
                except dumping.DumpFailed as error:
                    raise serving.Failed(str(error)) from None
            async with serving.opened_database(settings) as database:
                from core.clock import Clock

                await migrations.migrate(database, Clock())
            await _make_true(settings)

    serving.run(work)


async def _collect_deletions(settings: "Settings") -> None:
    """What the database that is about to go still knows."""
    import contextlib

    from app.operations.ledger import DatabaseIsOlder, Ledger
    from cli import serving
    from core.clock import Clock
    from core.errors import AppError

    async with serving.opened_database(settings) as database:
        with contextlib.suppress(AppError, DatabaseIsOlder):
            await Ledger(database, Clock(), settings.data_dir).keep_once()


async def _make_true(settings: "Settings") -> None:
    from app.auth.keyring import open_keyring
    from app.crypto.sealing import BlindIndex
    from app.operations.ledger import LedgerFile
    from app.operations.restoring import make_true
    from cli import operating, serving
    from cli.compose import make_sealer
    from core.clock import Clock

    clock, sealer = Clock(), make_sealer(settings)
    async with serving.opened_database(settings) as database:
        index = BlindIndex((await open_keyring(database, sealer, clock)).index)
        file = LedgerFile(settings.data_dir)
        done = await make_true(database, sealer, index, file, clock, operating.actor())
    click.echo(f"sessions ended: {done.sessions}\nusers deleted again: {done.deleted}\nsigning keys exchanged")
