"""Runs operators' commands over a store, in processes of their own as an operator does."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend import Store
from simulator import DEFAULT_APPS

KAIMEN = str(Path(sys.executable).parent / "kaimen")
OLD_KEY = "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
NEW_KEY = "k2:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What --json printed."""
        return [json.loads(line) for line in self.out.splitlines()]


def environment(store: Store, **settings: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KAIMEN_")}
    given = {
        "KAIMEN_ENV": "development",
        "KAIMEN_DATABASE_URL": store.database_url,
        "KAIMEN_REDIS_URL": store.redis_url,
        "KAIMEN_MASTER_KEYS": OLD_KEY,
        "KAIMEN_APPS": json.dumps(DEFAULT_APPS),
    }
    return clean | given | settings


async def kaimen(store: Store, *arguments: str, **settings: str) -> Done:
    """The command's outcome; a backend of the same test goes on serving meanwhile."""
    process = await asyncio.create_subprocess_exec(
        KAIMEN,
        *arguments,
        env=environment(store, **settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return Done(process.returncode or 0, out.decode(), err.decode())
