"""Upload, delivery and removal of avatars."""

import contextlib
import re

from app.auth.limits import Limits
from app.avatars.images import TYPES, check_image
from app.avatars.storage import AvatarStorage
from app.users.profile import Profiles
from core.clock import Clock
from core.errors import AppError, Code
from models import avatars
from models.db import Database

NAME = re.compile(rf"[A-Za-z0-9_-]{{22}}\.({'|'.join(TYPES)})", re.ASCII)
NAME_BITS = 128
CHUNK = 100
FEW = 10


class Avatars:
    """``/api/user/avatar`` and ``/avatar/{name}``."""

    def __init__(
        self, database: Database, clock: Clock, storage: AvatarStorage, profiles: Profiles, limits: Limits
    ) -> None:
        self._database = database
        self._clock = clock
        self._storage = storage
        self._profiles = profiles
        self._limits = limits

    async def upload(self, user_id: str, data: bytes) -> dict[str, str]:
        """Makes it the user's avatar in place of the one before; raises 4150, 4290, 5001, 5004."""
        image = check_image(data)
        await self._limits.count_avatar(user_id)
        name = f"{self._clock.token(NAME_BITS)}.{image.kind}"
        await avatars.insert_avatar(self._database, name, user_id, self._clock.now_ms())
        await self._storage.put(name, TYPES[image.kind], image.data)
        url = await self._profiles.set_avatar(user_id, name)
        await self.sweep_quietly()
        return {"avatarUrl": url}

    async def find(self, name: str) -> tuple[str, bytes]:
        """(media type, bytes); raises 4040 and 5004."""
        match = NAME.fullmatch(name)
        data = await self._storage.find(name) if match else None
        if match is None or data is None:
            raise AppError(Code.NOT_FOUND)
        return TYPES[match[1]], data

    async def sweep_quietly(self) -> None:
        """Removes some of what is due; nobody waits for what others left behind, nor hears of what fails."""
        with contextlib.suppress(AppError):
            await _sweep_some(self._database, self._clock, self._storage, FEW)


async def sweep(database: Database, clock: Clock, storage: AvatarStorage) -> int:
    """Removes files that were replaced, never finished, or whose user is gone; returns how many. Raises 5001, 5004."""
    removed = 0
    while some := await _sweep_some(database, clock, storage, CHUNK):
        removed += some
    return removed


async def _sweep_some(database: Database, clock: Clock, storage: AvatarStorage, limit: int) -> int:
    now = clock.now_ms()
    names = await avatars.find_due(database, now, limit)
    for name in names:
        await storage.delete(name)
    if names:
        await avatars.delete_due(database, names, now)
    return len(names)
