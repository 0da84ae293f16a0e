"""What ``kaimen users merge``, ``unmerge`` and ``delete`` do."""

import getpass
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial

import click

from app.accounts.privacy import pseudonym_of
from app.auth.keyring import open_keyring
from app.crypto.sealing import BlindIndex, Sealer
from app.users.views import reseal_phone
from cli import serving
from cli.compose import make_sealer
from core.clock import Clock
from core.settings import load_settings
from models import deletions, merges, unmerges
from models import users as user_rows
from models.db import Database, Tx
from models.merges import Merged, Occasion


@dataclass(frozen=True, slots=True)
class Tools:
    """What the commands need of the services."""

    database: Database
    clock: Clock
    sealer: Sealer
    index: BlindIndex
    actor: str


class _DryRun(Exception):
    """Takes the transaction back."""


async def run_merge(one: str, other: str, *, dry_run: bool) -> None:
    """Merges, or rolls the very same transaction back, and tells what it did."""
    outcome: list[Merged] = []

    async with opened_tools() as tools:
        occasion = Occasion(tools.clock.now_ms(), partial(reseal_phone, tools.sealer), actor=tools.actor)

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
    async with opened_tools() as tools:
        done = await unmerges.unmerge_users(tools.database, user_id, tools.actor, tools.clock.now_ms())
    click.echo(f"user {done.restored_id} is separate from {done.survivor_id} again")


async def run_delete(user_id: str) -> None:
    """Deletes the user, also when the id is an alias."""
    async with opened_tools() as tools:
        found = (await user_rows.find_survivors(tools.database, [user_id])).get(user_id)
        if found is None:
            raise serving.Refused(f"there is no user {user_id}")
        pseudonym = pseudonym_of(tools.index, found.id)
        await deletions.delete_user(tools.database, found.id, pseudonym, tools.actor, tools.clock.now_ms())
    click.echo(f"user {found.id} is deleted; the audit calls it {pseudonym}")


@asynccontextmanager
async def opened_tools() -> AsyncIterator[Tools]:
    """Database and keys; neither Redis nor WeChat is needed."""
    settings, clock = load_settings(), Clock()
    async with serving.opened_database(settings) as database:
        sealer = make_sealer(settings)
        index = BlindIndex((await open_keyring(database, sealer, clock)).index)
        yield Tools(database, clock, sealer, index, f"cli:{getpass.getuser()}")


async def _merge(tx: Tx, one: str, other: str, occasion: Occasion) -> Merged:
    found = await user_rows.find_survivors(tx, [one, other])
    if len({user.id for user in found.values()}) != 2 or len(found) != 2:
        raise serving.Refused("give the ids of two different users")
    locked = await user_rows.lock_users(tx, [user.id for user in found.values()])
    first, second = (user_rows.present(locked.get(found[given].id)) for given in (one, other))
    return await merges.merge_users(tx, first, second, occasion)
