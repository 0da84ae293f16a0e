"""``kaimen audit``."""

import asyncio
from typing import TYPE_CHECKING, Any

import click

from cli.tables import Printer, output_options

if TYPE_CHECKING:
    from cli.operating import Tools
    from models.audit_stream import Told

COLUMNS = ("at", "action", "actor", "user", "address", "detail")
PAGE = 1000
POLL_S = 1.0
LATE_MS = 10_000  # an entry may become visible that much after its own time


@click.command()
@click.option("--user", metavar="USER", help="Of one user: id, external id, username or phone.")
@click.option("--since", metavar="WHEN", help="2h, 7d, or a date; 24h unless a user is named.")
@click.option("--follow", is_flag=True, help="Go on printing what is new, until Ctrl-C.")
@output_options
def audit(user: str | None, since: str | None, follow: bool, output: str | None) -> None:
    """Who did what to whom, when, from where and how: deeds, sign-ins and refused sign-ins, the oldest first."""
    from cli import operating, serving

    async def work() -> None:
        async with operating.opened() as tools:
            user_id = await operating.get_user_id(tools, user) if user else None
            now = tools.clock.now_ms()
            start = operating.get_moment(since or "24h", now) if since or not user else 0
            await _print(tools, Printer(output, COLUMNS), user_id, start, follow)

    serving.run(work)


async def _print(tools: "Tools", printer: Printer, user_id: str | None, start: int, follow: bool) -> None:
    seen = await _print_new(tools, printer, user_id, start, {})
    if not follow:
        return
    from cli import serving

    stopped = serving.stop_event()
    while not stopped.is_set():
        since = tools.clock.now_ms() - LATE_MS
        seen = {one: at for one, at in seen.items() if at >= since}
        seen = await _print_new(tools, printer, user_id, max(since, start), seen)
        try:
            async with asyncio.timeout(POLL_S):
                await stopped.wait()
        except TimeoutError:
            continue


async def _print_new(
    tools: "Tools", printer: Printer, user_id: str | None, start: int, seen: dict[str, int]
) -> dict[str, int]:
    """Prints what is not in ``seen`` (id → ms), page by page; returns ``seen`` with what may be met again."""
    from models import audit_stream

    after = (start, "")
    while True:
        page = await audit_stream.find_page(tools.database, after, user_id, PAGE)
        printer.rows([_row(told) for told in page if told.id not in seen])
        recent = tools.clock.now_ms() - LATE_MS  # what is older is never read again
        seen |= {told.id: told.at for told in page if told.at >= recent}
        if len(page) < PAGE:
            return seen
        after = (page[-1].at, page[-1].id)


def _row(told: "Told") -> dict[str, Any]:
    from cli.operating import shown_time

    return {
        "at": shown_time(told.at),
        "action": told.action,
        "actor": told.actor,
        "user": told.user_id,
        "address": told.address,
        "detail": told.detail,
    }
