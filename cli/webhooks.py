"""``kaimen webhooks``: add, list, test, remove, rotate-secret."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click

from cli.tables import output_options, show

if TYPE_CHECKING:
    from app.events.registry import WebhookRegistry
    from models.webhooks import Counts, Webhook

COLUMNS = ("name", "url", "types", "waiting", "dead", "outcome", "outcomeAt", "createdAt")


@click.group()
def webhooks() -> None:
    """Where events are posted to, signed by the Standard Webhooks specification."""


@webhooks.command()
@click.argument("name")
@click.argument("url")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only these; may be repeated. All unless given.")
def add(name: str, url: str, types: tuple[str, ...]) -> None:
    """Post events there from now on, and print the secret that signs them: this once, never again."""
    from cli import operating

    async def work() -> None:
        async with _registry() as registry:
            click.echo(await registry.add(name, url, types, operating.actor()))

    _run(work)


@webhooks.command("list")
@output_options
def list_webhooks(output: str | None) -> None:
    """Show the webhooks, their last answer, and how many events wait or were given up."""

    async def work() -> None:
        async with _registry() as registry:
            show([_row(webhook, counts) for webhook, counts in await registry.list_all()], COLUMNS, output)

    _run(work)


@webhooks.command()
@click.argument("name")
def test(name: str) -> None:
    """Post a webhook.test from this machine, and say what the answer was."""
    from cli import serving

    async def work() -> None:
        async with _registry() as registry:
            outcome = await registry.test(name)
            if not outcome.ok:
                raise serving.Failed(f"{name} did not take it: {outcome.word}")
            click.echo(f"{name} took it")

    _run(work)


@webhooks.command()
@click.argument("name")
def remove(name: str) -> None:
    """Post nothing there any more; what waits for it is dropped."""
    from cli import operating

    async def work() -> None:
        async with _registry() as registry:
            await registry.remove(name, operating.actor())
            click.echo(f"{name} is removed")

    _run(work)


@webhooks.command("rotate-secret")
@click.argument("name")
def rotate_secret(name: str) -> None:
    """Print a new secret; for a day events are signed with both."""
    from cli import operating

    async def work() -> None:
        async with _registry() as registry:
            click.echo(await registry.rotate_secret(name, operating.actor()))

    _run(work)


def _row(webhook: "Webhook", counts: "Counts") -> dict[str, Any]:
    from cli.operating import shown_time

    return {
        "name": webhook.name,
        "url": webhook.url,
        "types": list(webhook.types),
        "waiting": counts.waiting,
        "dead": counts.dead,
        "outcome": webhook.outcome or None,
        "outcomeAt": shown_time(webhook.outcome_at),
        "createdAt": shown_time(webhook.created_at),
    }


def _run(work: Any) -> None:
    from app.crypto.sealing import CannotUnseal
    from app.events.registry import WebhookRefused
    from cli import serving

    try:
        serving.run(work)
    except (WebhookRefused, CannotUnseal) as error:
        serving.fail([str(error)], 1)


@asynccontextmanager
async def _registry() -> "AsyncIterator[WebhookRegistry]":
    from app.events.registry import WebhookRegistry
    from cli import compose, operating

    async with operating.opened() as tools:
        allowed = compose.allowed_targets(tools.settings)
        yield WebhookRegistry(tools.database, tools.sealer, tools.clock, allowed)
