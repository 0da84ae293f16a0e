"""``kaimen keys``: list, rotate, retire."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click

from cli.tables import output_options, show

if TYPE_CHECKING:
    from app.auth.rotation import KeyRotation, KeyState

COLUMNS = ("id", "purpose", "state", "createdAt", "signsFrom", "verifiesUntil")


@click.group()
def keys() -> None:
    """The keys that sign access and refresh tokens."""


@keys.command("list")
@output_options
def list_keys(output: str | None) -> None:
    """Show every key and what it does now."""

    async def work() -> None:
        async with _rotation() as rotation:
            show([_row(one) for one in await rotation.states()], COLUMNS, output)

    _run(work)


@keys.command()
@click.option("--purpose", type=click.Choice(["access", "refresh"]), default="access", show_default=True)
@click.option("--in", "in_s", type=click.IntRange(0), help="Seconds until the new key signs (600).")
@click.option("--now", is_flag=True, help="As soon as all instances know it: for emergencies.")
def rotate(purpose: str, in_s: int | None, now: bool) -> None:
    """Publish a new key; it signs later, when all caches have it. No restart is needed."""

    from cli import operating

    async def work() -> None:
        async with _rotation() as rotation:
            key = await rotation.rotate(purpose, operating.actor(), 0 if now else in_s)
            click.echo(f"{key.id} is published and signs from {operating.shown_time(key.signs_from)}")

    _run(work)


@keys.command()
@click.argument("key_id")
@click.option("--force", is_flag=True, help="Even if tokens it signed still count: they are refused at once.")
def retire(key_id: str, force: bool) -> None:
    """End a key before its time, such as one that leaked."""

    from cli import operating

    async def work() -> None:
        async with _rotation() as rotation:
            await rotation.retire(key_id, operating.actor(), force=force)
            click.echo(f"{key_id} is retired")

    _run(work)


def _run(work: Any) -> None:
    from app.auth.rotation import RotationRefused
    from cli import serving

    try:
        serving.run(work)
    except RotationRefused as error:
        serving.fail([str(error)], 1)


@asynccontextmanager
async def _rotation() -> "AsyncIterator[KeyRotation]":
    from app.auth.rotation import KeyRotation
    from cli import compose, operating

    async with operating.opened() as tools:
        yield KeyRotation(tools.database, tools.sealer, tools.clock, compose.keys_kept_ms(tools.settings))


def _row(one: "KeyState") -> dict[str, Any]:
    from cli.operating import shown_time

    key = one.key
    return {
        "id": key.id,
        "purpose": key.purpose,
        "state": one.state,
        "createdAt": shown_time(key.created_at),
        "signsFrom": shown_time(key.signs_from),
        "verifiesUntil": shown_time(one.verifies_until),
    }
