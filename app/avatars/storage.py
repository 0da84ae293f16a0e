"""Where avatars are kept: a folder, or an S3-compatible store. Names are ours, so they need no cleaning."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from app.avatars.bucket import Bucket
from core.clock import Clock
from core.errors import AppError, Code
from core.settings import Settings

FOLDER = "avatars"
T = TypeVar("T")


class AvatarStorage(Protocol):
    """Every method raises 5004 when the storage is away or full."""

    async def put(self, name: str, media_type: str, data: bytes) -> None:
        """Keeps it, whole or not at all."""

    async def find(self, name: str) -> bytes | None:
        """It, or None."""

    async def delete(self, name: str) -> None:
        """It is gone; nothing happens if it was."""

    def close(self) -> None:
        """Closes connections."""


class Folder:
    """Files in a folder; the event loop never waits for the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def put(self, name: str, media_type: str, data: bytes) -> None:
        """See ``AvatarStorage``."""
        await self._run(self._write, name, data)

    async def find(self, name: str) -> bytes | None:
        """See ``AvatarStorage``."""
        with contextlib.suppress(FileNotFoundError):
            return await self._run((self._path / name).read_bytes)
        return None

    async def delete(self, name: str) -> None:
        """See ``AvatarStorage``; without the folder nobody can say that the file is gone."""
        if not await self._run(self._path.is_dir):
            raise AppError(Code.STORAGE_UNAVAILABLE, cause="there is no such folder")
        with contextlib.suppress(FileNotFoundError):
            await self._run((self._path / name).unlink)

    def close(self) -> None:
        """Nothing is open."""

    def _write(self, name: str, data: bytes) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        part = self._path / f"{name}.part"
        part.write_bytes(data)
        part.replace(self._path / name)

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        try:
            return await asyncio.to_thread(work, *args)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise AppError(Code.STORAGE_UNAVAILABLE, cause=type(error).__name__) from None


def open_storage(settings: Settings, clock: Clock) -> AvatarStorage:
    """The one of the settings."""
    url = settings.avatar_storage.get_secret_value()
    return Bucket(url, clock) if url else Folder(settings.data_dir / FOLDER)
