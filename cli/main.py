"""``kaimen``: serve, dev, migrate, and the operators' commands. Help is quick: what is heavy is imported on use."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import users_accounts, users_admin, users_import  # noqa: F401 - register their commands
from cli.audit import audit
from cli.backup import backup, restore
from cli.doctor import doctor
from cli.events import events
from cli.keys import keys
from cli.prune import prune
from cli.reseal import reseal
from cli.services import services
from cli.sessions import sessions
from cli.stats import stats
from cli.users import users
from cli.webhooks import webhooks

if TYPE_CHECKING:
    from core.settings import Settings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kaimen", prog_name="kaimen")
def main() -> None:
    """Kaimen: login for WeChat mini-programs and the web pages beside them.

    Settings come from the environment (KAIMEN_…), .env and kaimen.toml; see docs/settings.md.
    """


@main.command()
def serve() -> None:
    """Serve with the settings as they are (for production, under a supervisor)."""
    from cli import serving
    from cli.reloading import reloading_apps
    from cli.supervisor import Supervisor
    from core.observe.logs import get_logger
    from core.settings import load_settings

    async def work() -> None:
        stopped = serving.stop_event()
        settings = load_settings()
        start_logs(settings)
        with serving.single_process(settings):
            await serving.check_migrated(settings)
            sockets = serving.bind(settings.host, settings.port, settings.unix_socket, share=True)
            supervisor, status = Supervisor(), f"serving {settings.public_url}"
            async with serving.kept_ledger(settings, stopped), serving.serving(settings, sockets) as kaimen:
                await kaimen.trail.note_settings(settings)
                async with reloading_apps(kaimen, supervisor), supervisor.watching(status):
                    get_logger().info("serving", url=settings.public_url, host=settings.host, port=settings.port)
                    await stopped.wait()
                    get_logger().info("stopping")

    serving.run(work)


@main.command()
@click.option("--host", help="Address to listen on (127.0.0.1; 0.0.0.0 lets a phone on the LAN in).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the backend (8000).")
@click.option("--simulator-port", type=click.IntRange(0, 65535), default=9000, show_default=True)
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), help="Folder for the database (var).")
@click.option("--no-simulator", is_flag=True, help="Talk to WeChat itself; needs KAIMEN_APPS.")
def dev(**options: Any) -> None:
    """Backend and WeChat simulator in one process, on SQLite; nothing to set up."""
    from cli import dev as development
    from cli import serving

    os.environ.setdefault("KAIMEN_ENV", "development")
    serving.run(lambda: development.run_dev(development.Options(**options)))


@main.command()
@click.option("--status", is_flag=True, help="List the migrations and whether each is applied.")
@click.option("--dry-run", is_flag=True, help="Print the SQL that would run.")
def migrate(status: bool, dry_run: bool) -> None:
    """Bring the database's tables up to date; safe when two run at once."""
    from cli import migrate as migrating
    from cli import serving

    serving.run(lambda: migrating.run_migrate(status=status, dry_run=dry_run))


def start_logs(settings: "Settings") -> None:
    """Sets up the logs and says what looks wrong but does not stop the start."""
    from core.observe.logs import get_logger, set_up_logs
    from core.settings import unknown_settings

    set_up_logs(settings.log_level, settings.log_format)
    for name in unknown_settings():
        get_logger().warning("unknown setting ignored", name=name)
    if settings.rate_limits == "off":
        get_logger().warning("all limits are off", setting="KAIMEN_RATE_LIMITS")


main.add_command(users)
main.add_command(sessions)
main.add_command(audit)
main.add_command(stats)
main.add_command(prune)
main.add_command(reseal)
main.add_command(backup)
main.add_command(restore)
main.add_command(doctor)
main.add_command(keys)
main.add_command(services)
main.add_command(webhooks)
main.add_command(events)
