"""``kaimen users list | show | disable | enable``."""

from typing import Any

import click

from cli.tables import output_options, show, show_one
from cli.users import users

COLUMNS = ("id", "username", "nickname", "phone", "email", "roles", "disabled", "createdAt", "lastLoginAt")


@users.command("list")
@click.option("--name", metavar="TEXT", help="Part of the username or nickname.")
@click.option("--role", metavar="ROLE", help="Who has this role.")
@click.option("--app", "appid", metavar="APPID", help="Who has an identity in this app.")
@click.option("--disabled/--enabled", default=None, help="Only those disabled, or only those not.")
@click.option("--since", metavar="WHEN", help="Made since: 2h, 7d, or a date.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@output_options
def list_users(output: str | None, limit: int, since: str | None, **wanted: Any) -> None:
    """List users, the newest first."""
    from cli import operating, serving
    from models import listing

    async def work() -> None:
        async with operating.opened() as tools:
            moment = operating.get_moment(since, tools.clock.now_ms()) if since else None
            found = await listing.list_users(tools.database, listing.UserFilter(since=moment, **wanted), limit)
            show([operating.user_row(tools, user) for user in found], COLUMNS, output)

    serving.run(work)


@users.command("show")
@click.argument("user")
@output_options
def show_user(user: str, output: str | None) -> None:
    """Show a user with identities and open sessions.

    USER is an id, an external id, a username or a phone.
    """
    from cli import operating, serving

    async def work() -> None:
        async with operating.opened() as tools:
            user_id = await operating.get_user_id(tools, user)
            show_one(await operating.full_row(tools, user_id), output)

    serving.run(work)


@users.command("disable")
@click.argument("user")
def disable(user: str) -> None:
    """Refuse a user's logins and end all sessions.

    USER is an id, an external id, a username or a phone. Access tokens stop within a second, on every instance.
    """
    _switch(user, disabled=True)


@users.command("enable")
@click.argument("user")
def enable(user: str) -> None:
    """Let a disabled user log in again. USER as in disable."""
    _switch(user, disabled=False)


def _switch(word: str, *, disabled: bool) -> None:
    from cli import operating, serving
    from models import sessions, switching

    async def work() -> None:
        async with operating.opened() as tools:
            user_id, now, actor = await operating.get_user_id(tools, word), tools.clock.now_ms(), operating.actor()
            changed = await switching.set_disabled(tools.database, user_id, disabled=disabled, actor=actor, at=now)
            state = f"{'' if changed else 'already '}{'disabled' if disabled else 'enabled'}"
            click.echo(f"user {user_id}: {state}")
            if disabled:
                ended = await sessions.end_sessions(tools.database, user_id, None, "disabled", now)
                click.echo(f"sessions ended: {len(ended)}")

    serving.run(work)
