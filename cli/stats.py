"""``kaimen stats``."""

from typing import TYPE_CHECKING, Any

import click

from cli.tables import output_options, show

if TYPE_CHECKING:
    from cli.operating import Tools

DAY_MS = 86_400_000
DAYS = 7
COLUMNS = ("what", "of", "count")


@click.command()
@output_options
def stats(output: str | None) -> None:
    """Count users, sessions, sign-ins of each day and kind, and identities of each app. Days are UTC."""
    from cli import operating, serving

    async def work() -> None:
        async with operating.opened() as tools:
            show(await _count(tools), COLUMNS, output)

    serving.run(work)


async def _count(tools: "Tools") -> list[dict[str, Any]]:
    from models import statistics

    database, now = tools.database, tools.clock.now_ms()
    today = now - now % DAY_MS
    rows: list[tuple[str, str | None, int]] = [
        ("users", None, await statistics.count_users(database)),
        ("users new", "today", await statistics.count_users(database, today)),
        ("users new", f"{DAYS} days", await statistics.count_users(database, now - DAYS * DAY_MS)),
        ("users disabled", None, await statistics.count_disabled(database)),
        ("users with bcrypt", None, await statistics.count_bcrypt(database)),
        ("sessions open", None, await statistics.count_open_sessions(database, now)),
    ]
    for appid, kind, count in await statistics.count_identities(database):
        rows.append(("identities", f"{appid} {kind}", count))
    for day in range(today - (DAYS - 1) * DAY_MS, today + 1, DAY_MS):
        rows += await _sign_ins(tools, day)
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


async def _sign_ins(tools: "Tools", day: int) -> list[tuple[str, str | None, int]]:
    from cli.operating import shown_time
    from models import statistics

    found = await statistics.count_sign_ins(tools.database, day, day + DAY_MS)
    date = (shown_time(day) or "")[:10]
    return [("sign-ins", f"{date} {method}", count) for method, count in sorted(found.items())]
