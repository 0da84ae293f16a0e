"""``kaimen dev``: backend and simulator in one process, for trying and developing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cli import serving
from cli.main import start_logs
from core.clock import Clock
from core.settings import App, Merchant, Settings, load_settings
from models import migrations
from simulator import DEFAULT_APPS, Simulator
from simulator.pay import merchant_settings


@dataclass(frozen=True, slots=True)
class Options:
    """The command line of ``kaimen dev``; None where nothing was given."""

    host: str | None
    port: int | None
    simulator_port: int
    data_dir: Path | None
    no_simulator: bool


async def run_dev(options: Options) -> None:
    """Serves until it is stopped."""
    stopped = serving.stop_event()
    given = load_settings(host=options.host, port=options.port, data_dir=options.data_dir)
    sockets = serving.bind(given.host, given.port)
    port = sockets[0].getsockname()[1]
    async with simulated(options, given, port) as found:
        settings = load_settings(host=options.host, port=port, data_dir=options.data_dir, **found)
        start_logs(_readable(settings))
        with serving.single_process(settings):
            await _migrate(settings)
            async with serving.serving(settings, sockets):
                click.echo(greeting(settings, found.get("wechat_api_url")))
                await stopped.wait()
    click.echo("stopped")


@asynccontextmanager
async def simulated(options: Options, given: Settings, port: int) -> AsyncIterator[dict[str, Any]]:
    """The settings that lead to the simulator, which runs within the block; none of them without it."""
    if options.no_simulator:
        yield {}
        return
    own_apps = [_as_given(app) for app in given.apps]
    apps = own_apps or DEFAULT_APPS
    merchants = [_as_given(merchant) for merchant in given.merchants] or None
    backend_url = f"http://127.0.0.1:{port}{given.path_prefix}"
    simulator = Simulator(apps=apps, merchants=merchants, backend_url=backend_url, any_code=True)
    try:
        await simulator.start(host=given.host, port=options.simulator_port)
    except OSError:
        raise serving.Refused(
            f"cannot listen on {given.host}:{options.simulator_port} for the simulator: is already in use; "
            "choose another with --simulator-port"
        ) from None
    try:
        url = f"http://127.0.0.1:{simulator.port}"
        found = {"wechat_api_url": url, "wechat_open_url": url, "wechat_mp_url": url, "apps": apps}
        yield {**found, "merchants": merchant_settings(simulator)}
    finally:
        await simulator.stop()


def _as_given(one: App | Merchant) -> dict[str, Any]:
    """The app or merchant in clear and with the names of the settings."""
    fields = one.model_dump(by_alias=True, exclude_none=True)
    return {name: getattr(value, "get_secret_value", lambda value=value: value)() for name, value in fields.items()}


def greeting(settings: Settings, simulator_url: str | None) -> str:
    """Where everything is; beside the simulator also a login to paste into another terminal."""
    backend, data = f"{settings.public_url}{settings.path_prefix}", f"  data        {settings.data_dir}"
    lines = [f"  backend     {backend}", data]
    if simulator_url:
        lines = [
            f"  backend     {backend}   (open it: QR login, with a phone beside it)",
            f"  simulator   {simulator_url}   (open it: a phone to log in with)",
            *(data, "", "  Log in from another terminal:", "", f"  {login_command(settings)}"),
        ]
    return "\n".join(["", "  Kaimen 开门", "", *lines, "", "  Ctrl-C stops.", ""])


def login_command(settings: Settings) -> str:
    """A curl line; the simulator takes any code it has not seen as alice's."""
    url = f"{settings.public_url}{settings.path_prefix}/api/auth"
    body = '\'{"action":"login","code":"try-\'$(date +%s)\'"}\''
    return f"curl -s {url} -H 'Content-Type: application/json' -d {body}"


def _readable(settings: Settings) -> Settings:
    """People read the terminal of ``kaimen dev``, unless the settings ask for JSON."""
    if "log_format" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"log_format": "console"})


async def _migrate(settings: Settings) -> None:
    async with serving.opened_database(settings) as database:
        await migrations.migrate(database, Clock())
