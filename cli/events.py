"""``kaimen events``: tail, replay, dead."""

import asyncio
import json
from typing import TYPE_CHECKING, Any

import click

from cli.tables import Printer, output_options, show

if TYPE_CHECKING:
    from cli.operating import Tools
    from models.publishing import Position, Told

COLUMNS = ("occurredAt", "publishedAt", "id", "subject", "seq", "type", "data")
DEAD = ("deadAt", "webhook", "id", "subject", "seq", "type", "attempts", "outcome")
PAGE = 1000
POLL_S = 1.0
WHEN = "WHEN"


@click.group()
def events() -> None:
    """What other services were told, are told, and could not be told."""


@events.command()
@click.option("--since", metavar=WHEN, default="1h", show_default=True, help="2h, 7d, or a date.")
@click.option("--user", metavar="USER", help="Of one user: id, external id, username or phone.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only these; may be repeated.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True)
@click.option("--follow", is_flag=True, help="Go on with what is published from now on, until Ctrl-C.")
@output_options
def tail(since: str, user: str | None, types: tuple[str, ...], limit: int, follow: bool, output: str | None) -> None:
    """What happened, the oldest first; with a time of publication once the stream has it."""
    from cli import operating, serving
    from models import publishing

    async def work() -> None:
        async with operating.opened() as tools:
            user_id = await operating.get_user_id(tools, user) if user else None
            start = operating.get_moment(since, tools.clock.now_ms())
            place = publishing.Position(await publishing.find_newest(tools.database), publishing.LAST_USER)
            after = publishing.Position(start)
            found = await publishing.find_events(
                tools.database, after, until=None, user_id=user_id, types=types, limit=limit
            )
            printer = Printer(output, COLUMNS)
            printer.rows([_row(event) for event in found])
            if follow:
                await _follow(tools, printer, place, {event.id for event in found}, user_id, types)

    serving.run(work)


@events.command()
@click.option("--since", metavar=WHEN, help="What happened since: 2h, 7d, or a date.")
@click.option("--until", metavar=WHEN, help="And before.")
@click.option("--user", metavar="USER", help="Of one user: id, external id, username or phone.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only these; may be repeated.")
@click.option(
    "--webhook", metavar="NAME", help="To this webhook alone: all since, or with --dead what it was given up."
)
@click.option("--dead", is_flag=True, help="With --webhook: what was given up.")
def replay(
    since: str | None, until: str | None, user: str | None, types: tuple[str, ...], webhook: str | None, dead: bool
) -> None:
    """Tell once more, with the same ids: all who listen, or one webhook."""
    if dead and (not webhook or since or until or user or types):
        raise click.UsageError("--dead goes with --webhook and nothing else")
    if webhook and (until or user or types):
        raise click.UsageError("--webhook goes with --since or --dead")
    if not dead and not since:
        raise click.UsageError("say --since when")
    from app.events.registry import WebhookRefused
    from cli import operating, serving

    async def work() -> None:
        async with operating.opened() as tools:
            if webhook:
                count = await _replay_webhook(tools, webhook, since)
            else:
                count = await _replay_all(tools, since or "", until, user, types)
            click.echo("told again" if count is None else f"events told again: {count}")

    try:
        serving.run(work)
    except WebhookRefused as error:
        serving.fail([str(error)], 1)


@events.command("dead")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@output_options
def list_dead(limit: int, output: str | None) -> None:
    """What webhooks did not take for so long that it was given up, the newest first."""
    from cli import operating, serving
    from models import deliveries

    async def work() -> None:
        async with operating.opened() as tools:
            found = await deliveries.find_dead(tools.database, limit)
            rows = [
                {
                    "deadAt": operating.shown_time(one.dead_at),
                    "webhook": one.webhook,
                    "id": one.event_id,
                    "subject": one.user_id if one.seq else None,
                    "seq": one.seq,
                    "type": one.type,
                    "attempts": one.attempts,
                    "outcome": one.outcome,
                }
                for one in found
            ]
            show(rows, DEAD, output)

    serving.run(work)


async def _follow(
    tools: "Tools",
    printer: Printer,
    place: "Position",
    seen: set[str],
    user_id: str | None,
    types: tuple[str, ...],
) -> None:
    from cli import serving
    from models import publishing

    stopped = serving.stop_event()
    while not stopped.is_set():
        page = await publishing.find_published(tools.database, place, PAGE)
        wanted = [one for one in page if (not user_id or one.subject == user_id) and (not types or one.type in types)]
        printer.rows([_row(event) for event in wanted if event.id not in seen])
        if page:
            last = page[-1]
            place = publishing.Position(last.published_at or 0, last.user_id, last.seq)
        if len(page) < PAGE:
            await _pause(stopped)


async def _pause(stopped: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(POLL_S):
            await stopped.wait()
    except TimeoutError:
        return


async def _replay_webhook(tools: "Tools", name: str, since: str | None) -> int | None:
    from app.events.registry import WebhookRegistry
    from cli import compose, operating
    from models import deliveries, webhooks

    registry = WebhookRegistry(tools.database, tools.sealer, tools.clock, compose.allowed_targets(tools.settings))
    webhook, now = await registry.get(name), tools.clock.now_ms()
    if since is None:
        count = await deliveries.revive(tools.database, webhook.id, now)
        await operating.note(tools, "events.replayed", {"webhook": name, "dead": count})
        return count
    await webhooks.send_back(tools.database, webhook, operating.get_moment(since, now), operating.actor(), now)
    return None


async def _replay_all(tools: "Tools", since: str, until: str | None, user: str | None, types: tuple[str, ...]) -> int:
    from cli import operating
    from models import publishing

    now = tools.clock.now_ms()
    start, end = operating.get_moment(since, now), operating.get_moment(until, now) if until else now
    user_id = await operating.get_user_id(tools, user) if user else None
    count, after = 0, publishing.Position(start)
    while found := await publishing.find_events(
        tools.database, after, until=end, user_id=user_id, types=types, limit=PAGE
    ):
        count += await publishing.publish_again(tools.database, [event.id for event in found])
        last = found[-1]
        after = publishing.Position(last.occurred_at, last.user_id, last.seq)
    await operating.note(tools, "events.replayed", {"events": count})
    return count


def _row(event: "Told") -> dict[str, Any]:
    from cli.operating import shown_time

    return {
        "occurredAt": shown_time(event.occurred_at),
        "publishedAt": shown_time(event.published_at),
        "id": event.id,
        "subject": event.subject,
        "seq": event.seq,
        "type": event.type,
        "data": json.loads(event.data),
    }
