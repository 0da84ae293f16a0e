"""SIGHUP: the apps of the settings are read again and taken over while requests go on."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from app.kaimen import Kaimen
from cli.supervisor import Supervisor
from core.errors import AppError
from core.observe.logs import get_logger
from core.settings import PREFIX, Settings, SettingsInvalid, load_settings
from core.tasks import end_task


@asynccontextmanager
async def reloading_apps(kaimen: Kaimen, supervisor: Supervisor) -> AsyncIterator[None]:
    """Within the block SIGHUP takes over apps that were added, disabled, removed or given another secret."""
    asked, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, asked.set)
    task = asyncio.create_task(_keep_reloading(kaimen, supervisor, asked))
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        await end_task(task)


async def _keep_reloading(kaimen: Kaimen, supervisor: Supervisor, asked: asyncio.Event) -> None:
    settings = kaimen.settings
    while True:
        await asked.wait()
        asked.clear()
        supervisor.reloading(kaimen.clock)
        settings = await _reload(kaimen, settings)
        supervisor.tell(READY="1")


async def _reload(kaimen: Kaimen, before: Settings) -> Settings:
    """The settings in force afterwards: wrong ones change nothing."""
    try:
        now = await asyncio.to_thread(load_settings)
    except SettingsInvalid as error:
        for fault in error.faults:
            get_logger().error("not reloaded", cause=fault)
        return before
    for name in sorted(set(Settings.model_fields) - {"apps"}):
        if getattr(now, name) != getattr(before, name):
            get_logger().warning("changed setting needs a restart", setting=PREFIX + name.upper())
    kaimen.apps.replace(now.apps)
    after = before.model_copy(update={"apps": now.apps})
    with suppress(AppError):  # without the database nothing is noted; the next start will
        await kaimen.trail.note_settings(after)
    get_logger().info("apps reloaded", count=len(now.apps))
    return after
