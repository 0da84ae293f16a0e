"""``kaimen sessions list | revoke``."""

import click

from cli.tables import output_options, show

COLUMNS = ("id", "user", "method", "appid", "state", "createdAt", "lastSeenAt", "expiresAt", "address", "device")


@click.group()
def sessions() -> None:
    """Sessions: list, revoke."""


@sessions.command("list")
@click.option("--user", metavar="USER", help="Of one user: id, external id, username or phone.")
@click.option("--all", "ended_too", is_flag=True, help="Also those that are over.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@output_options
def list_sessions(user: str | None, ended_too: bool, limit: int, output: str | None) -> None:
    """List open sessions, the newest first."""
    from cli import operating, serving
    from models import listing

    async def work() -> None:
        async with operating.opened() as tools:
            user_id = await operating.get_user_id(tools, user) if user else None
            now = tools.clock.now_ms()
            open_at = None if ended_too else now
            found = await listing.list_sessions(tools.database, user_id=user_id, open_at=open_at, limit=limit)
            show([operating.session_row(one, now) for one in found], COLUMNS, output)

    serving.run(work)


@sessions.command("revoke")
@click.argument("session", required=False)
@click.option("--user", metavar="USER", help="All sessions of this user: id, external id, username or phone.")
def revoke(session: str | None, user: str | None) -> None:
    """End a session, or all of a user's, on every instance within a second.

    SESSION is the id of a session.
    """
    from cli import operating, serving
    from models import audit
    from models import sessions as stored

    if (session is None) == (user is None):
        raise click.UsageError("name a session, or a user with --user")

    async def work() -> None:
        async with operating.opened() as tools:
            if session:
                found = await stored.find_session(tools.database, session)
                user_id = found.user_id if found else None
            else:
                user_id = await operating.get_user_id(tools, user or "")
            if user_id is None:
                raise serving.Failed(f"no session has the id {session!r}")
            now, ids = tools.clock.now_ms(), [session] if session else None
            detail = {"session": session} if session else {"all": True}
            entry = audit.Entry(now, "session.revoked", operating.actor(), user_id, detail=detail)
            ended = await stored.end_sessions(tools.database, user_id, ids, "admin", now, entry)
            click.echo(f"sessions ended: {len(ended)}")

    serving.run(work)
