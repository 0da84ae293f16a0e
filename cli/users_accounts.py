"""``kaimen users``: merge, unmerge and delete."""

import click

from cli.users import users


@users.command()
@click.argument("one")
@click.argument("other")
@click.option("--dry-run", is_flag=True, help="Show what would happen, and change nothing.")
def merge(one: str, other: str, dry_run: bool) -> None:
    """Make one user of two; the older one stays, the id of the other becomes an alias."""
    from cli import account_work, serving

    serving.run(lambda: account_work.run_merge(one, other, dry_run=dry_run))


@users.command()
@click.argument("user_id", metavar="ID")
def unmerge(user_id: str) -> None:
    """Undo a merge of the last 30 days; ID is the id that became an alias."""
    from cli import account_work, serving

    serving.run(lambda: account_work.run_unmerge(user_id))


@users.command()
@click.argument("user_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(user_id: str, yes: bool) -> None:
    """Delete a user and every trace of it, for good."""
    if not yes:
        click.confirm(f"Delete user {user_id} for good?", abort=True)
    from cli import account_work, serving

    serving.run(lambda: account_work.run_delete(user_id))
