"""What ``kaimen users merge``, ``unmerge`` and ``delete`` do."""

import contextlib
import json
from dataclasses import asdict
from functools import partial

import click

from app.accounts.privacy import pseudonym_of
from app.avatars.service import sweep
from app.avatars.storage import open_storage
from app.users.views import reseal_phone
from cli import operating, serving
from core.errors import AppError
from models import deletions, merges, unmerges
from models import users as user_rows
from models.db import Tx
from models.merges import Merged, Occasion


class _DryRun(Exception):
    """Takes the transaction back."""


async def run_merge(one: str, other: str, *, dry_run: bool) -> None:
    """Merges, or rolls the very same transaction back, and tells what it did."""
    outcome: list[Merged] = []

    async with operating.opened() as tools:
        occasion = Occasion(tools.clock.now_ms(), partial(reseal_phone, tools.sealer), actor=operating.actor())

        async def work(tx: Tx) -> None:
            outcome[:] = [await _merge(tx, one, other, occasion)]
            if dry_run:
                raise _DryRun

        try:
            await tools.database.run(work)
        except _DryRun:
            click.echo("dry run: nothing was changed", err=True)
    click.echo(json.dumps(asdict(outcome[0]), indent=2))


async def run_unmerge(user_id: str) -> None:
    """Undoes the merge and names the two users."""
    async with operating.opened() as tools:
        done = await unmerges.unmerge_users(tools.database, user_id, operating.actor(), tools.clock.now_ms())
    click.echo(f"user {done.restored_id} is separate from {done.survivor_id} again")


async def run_delete(user_id: str) -> None:
    """Deletes the user, also when the id is an alias."""
    async with operating.opened() as tools:
        found = (await user_rows.find_survivors(tools.database, [user_id])).get(user_id)
        if found is None:
            raise serving.Refused(f"there is no user {user_id}")
        pseudonym = pseudonym_of(await tools.index(), found.id)
        await deletions.delete_user(tools.database, found.id, pseudonym, operating.actor(), tools.clock.now_ms())
        with contextlib.suppress(AppError):  # the running server does it later
            await sweep(tools.database, tools.clock, open_storage(tools.settings, tools.clock))
    click.echo(f"user {found.id} is deleted; the audit calls it {pseudonym}")


async def _merge(tx: Tx, one: str, other: str, occasion: Occasion) -> Merged:
    found = await user_rows.find_survivors(tx, [one, other])
    if len({user.id for user in found.values()}) != 2 or len(found) != 2:
        raise serving.Refused("give the ids of two different users")
    locked = await user_rows.lock_users(tx, [user.id for user in found.values()])
    first, second = (user_rows.present(locked.get(found[given].id)) for given in (one, other))
    return await merges.merge_users(tx, first, second, occasion)
