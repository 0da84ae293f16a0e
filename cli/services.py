"""``kaimen services``: add, list, remove."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click

from app.services.scopes import SCOPES
from cli.tables import output_options, show

if TYPE_CHECKING:
    from app.services.registry import ServiceRegistry

COLUMNS = ("name", "scopes", "createdAt")


@click.group()
def services() -> None:
    """The services that may ask about tokens and users."""


@services.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES), help="May be repeated.")
def add(name: str, scopes: tuple[str, ...]) -> None:
    """Let a service in, and print its secret: this once, never again."""
    from cli import operating

    async def work() -> None:
        async with _registry() as registry:
            click.echo(await registry.add(name, scopes, operating.actor()))

    _run(work)


@services.command("list")
@output_options
def list_services(output: str | None) -> None:
    """Show the services and what they may do."""
    from cli.operating import shown_time

    async def work() -> None:
        async with _registry() as registry:
            rows = [
                {"name": one.name, "scopes": list(one.scopes), "createdAt": shown_time(one.created_at)}
                for one in await registry.list_all()
            ]
            show(rows, COLUMNS, output)

    _run(work)


@services.command()
@click.argument("name")
def remove(name: str) -> None:
    """Refuse a service from now on; running processes notice within a second."""
    from cli import operating

    async def work() -> None:
        async with _registry() as registry:
            await registry.remove(name, operating.actor())
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
    from cli import operating

    async with operating.opened() as tools:
        yield ServiceRegistry(tools.database, tools.sealer, tools.clock)
