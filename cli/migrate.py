"""``kaimen migrate``."""

import click

from app.users.views import rfc3339
from cli import serving
from core.clock import Clock
from core.settings import load_settings
from models import migrations
from models.db import Database
from models.migrations import Migration


async def run_migrate(*, status: bool, dry_run: bool) -> None:
    """Applies what is pending, or shows it."""
    async with serving.opened_database(load_settings()) as database:
        if status:
            await _show_status(database)
        elif dry_run:
            await _show_sql(database)
        else:
            await _migrate(database, Clock())


async def _show_status(database: Database) -> None:
    for migration in await migrations.status(database):
        state = f"applied {rfc3339(migration.applied_at)}" if migration.applied_at else "pending"
        click.echo(f"{migration.name:30} {state}")


async def _show_sql(database: Database) -> None:
    for migration in await migrations.pending(database):
        click.echo(f"-- {migration.name}.sql\n{migration.sql}")


async def _migrate(database: Database, clock: Clock) -> None:
    def told(migration: Migration) -> None:
        click.echo(f"applied {migration.name}")

    if not await migrations.migrate(database, clock, told):
        click.echo("nothing to do: the database is up to date")
