"""``kaimen services``: add, list, remove."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click

from app.services.scopes import SCOPES
from cli.showing import as_time, current_actor, show_rows

if TYPE_CHECKING:
    from app.services.registry import ServiceRegistry


@click.group()
def services() -> None:
    """The services that may ask about tokens and users."""


@services.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES), help="May be repeated.")
def add(name: str, scopes: tuple[str, ...]) -> None:
    """Let a service in, and print its secret: this once, never again."""

    async def work() -> None:
        async with _registry() as registry:
            click.echo(await registry.add(name, scopes, current_actor()))

    _run(work)


@services.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, for scripts.")
def list_services(as_json: bool) -> None:
    """Show the services and what they may do."""

    async def work() -> None:
        async with _registry() as registry:
            rows = [(one.name, one.scopes, as_time(one.created_at)) for one in await registry.list_all()]
            show_rows(("name", "scopes", "created"), rows, as_json=as_json)

    _run(work)


@services.command()
@click.argument("name")
def remove(name: str) -> None:
    """Refuse a service from now on; running processes notice within a second."""

    async def work() -> None:
        async with _registry() as registry:
            await registry.remove(name, current_actor())
            click.echo(f"{name} is removed")

    _run(work)


def _run(work: Any) -> None:
    from app.services.registry import ServiceRefused
    from cli import serving

    try:
        serving.run(work)
    except ServiceRefused as error:
        serving.fail([str(error)], 1)


@asynccontextmanager
async def _registry() -> "AsyncIterator[ServiceRegistry]":
    from app.services.registry import ServiceRegistry
    from cli import compose, serving
    from core.clock import Clock
    from core.settings import load_settings

    settings = load_settings()
    async with serving.opened_database(settings) as database:
        yield ServiceRegistry(database, compose.make_sealer(settings), Clock())
