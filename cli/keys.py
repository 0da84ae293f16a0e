"""``kaimen keys``: list, rotate, retire."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click

from cli.showing import as_time, current_actor, show_rows

if TYPE_CHECKING:
    from app.auth.rotation import KeyRotation, KeyState

HEADINGS = ("id", "purpose", "state", "created", "signs from", "verifies until")


@click.group()
def keys() -> None:
    """The keys that sign access and refresh tokens."""


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, for scripts.")
def list_keys(as_json: bool) -> None:
    """Show every key and what it does now."""

    async def work() -> None:
        async with _rotation() as rotation:
            show_rows(HEADINGS, [_row(one) for one in await rotation.states()], as_json=as_json)

    _run(work)


@keys.command()
@click.option("--purpose", type=click.Choice(["access", "refresh"]), default="access", show_default=True)
@click.option("--in", "in_s", type=click.IntRange(0), help="Seconds until the new key signs (600).")
@click.option("--now", is_flag=True, help="As soon as all instances know it: for emergencies.")
def rotate(purpose: str, in_s: int | None, now: bool) -> None:
    """Publish a new key; it signs later, when all caches have it. No restart is needed."""

    async def work() -> None:
        async with _rotation() as rotation:
            key = await rotation.rotate(purpose, current_actor(), 0 if now else in_s)
            click.echo(f"{key.id} is published and signs from {as_time(key.signs_from)}")

    _run(work)


@keys.command()
@click.argument("key_id")
@click.option("--force", is_flag=True, help="Even if tokens it signed still count: they are refused at once.")
def retire(key_id: str, force: bool) -> None:
    """End a key before its time, such as one that leaked."""

    async def work() -> None:
        async with _rotation() as rotation:
            await rotation.retire(key_id, current_actor(), force=force)
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
    from cli import compose, serving
    from core.clock import Clock
    from core.settings import load_settings

    settings = load_settings()
    async with serving.opened_database(settings) as database:
        yield KeyRotation(database, compose.make_sealer(settings), Clock(), compose.keys_kept_ms(settings))


def _row(one: "KeyState") -> tuple[Any, ...]:
    key = one.key
    until = as_time(one.verifies_until)
    return key.id, key.purpose, one.state, as_time(key.created_at), as_time(key.signs_from), until
