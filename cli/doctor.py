"""``kaimen doctor``: one line for each thing that was looked at, and what to do about it."""

from typing import TYPE_CHECKING

import click

from cli.tables import output_options, show

if TYPE_CHECKING:
    from app.doctor.findings import Finding
    from core.settings import Settings

PARTS = ("stores", "apps", "public", "host")
COLUMNS = ("what", "level", "found", "fix")


@click.command()
@output_options
@click.option("--notify", is_flag=True, help="Tell the robot of KAIMEN_NOTIFY_URL what is wrong, when it changes.")
@click.option("--skip", multiple=True, type=click.Choice(PARTS), help="Leave this part out; may be repeated.")
@click.option("--ca", "ca_file", type=click.Path(exists=True), help="Authorities to believe for the public URL, too.")
def doctor(output: str | None, notify: bool, skip: tuple[str, ...], ca_file: str | None) -> None:
    """Examine settings, clock, database, Redis, apps, certificate, proxy. Ends with 1 if something is broken."""
    from app.doctor.findings import FAIL, Finding, worst
    from cli import serving
    from core.settings import SettingsInvalid, load_settings

    async def work() -> None:
        try:
            settings = load_settings()
        except SettingsInvalid as error:
            _print([Finding("settings", FAIL, fault, "see docs/settings.md") for fault in error.faults], output)
            raise SystemExit(serving.EX_CONFIG) from None
        findings = await _examine(settings, skip, ca_file)
        _print(findings, output)
        if notify:
            await _notify(settings, findings)
        if worst(findings) == FAIL:
            raise SystemExit(1)

    serving.run(work)


async def _examine(settings: "Settings", skip: tuple[str, ...], ca_file: str | None) -> "list[Finding]":
    from contextlib import AsyncExitStack

    from app.doctor import apps, host, outside, stores
    from app.doctor.findings import FAIL, worst
    from cli.compose import open_ground, open_wechat
    from core.clock import Clock

    clock = Clock()
    findings = _settings(settings)
    async with AsyncExitStack() as stack:
        ground = open_ground(settings, clock, stack)
        of_database = await stores.examine_database(ground.database, clock)
        is_usable = worst(of_database) != FAIL
        if "stores" not in skip:
            findings += of_database + await stores.examine_redis(ground.kv, settings, clock)
            findings += await stores.examine_addresses(ground.database, settings) if is_usable else []
            findings += await stores.examine_avatars(settings, clock)
        if "apps" not in skip:
            wechat = open_wechat(ground)
            findings += await apps.examine_tokens(settings, wechat.access_tokens, clock)
            findings += await apps.examine_pages(settings, wechat.client, wechat.access_tokens, clock)
            findings += await apps.examine_unionids(settings, ground.database) if is_usable else []
    if "public" not in skip:
        findings += await outside.examine_outside(settings, clock, ca_file)
    if "host" not in skip:
        findings += await host.examine_host(settings)
    return findings


def _settings(settings: "Settings") -> "list[Finding]":
    from app.doctor.findings import OK, WARN, Finding
    from core.settings import unknown_settings

    findings = [
        Finding("settings", WARN, f"{name} is no setting", "a slip of the pen? see docs/settings.md")
        for name in unknown_settings()
    ]
    if settings.env == "development":
        findings.append(Finding("settings", WARN, "this is a development installation", "KAIMEN_ENV=production"))
    if settings.rate_limits == "off":
        findings.append(Finding("settings", WARN, "all limits are off", "KAIMEN_RATE_LIMITS=on"))
    return findings or [Finding("settings", OK, "complete and well-formed")]


async def _notify(settings: "Settings", findings: "list[Finding]") -> None:
    from app.doctor import robots, telling
    from cli import serving
    from core.clock import Clock

    url = settings.notify_url.get_secret_value()
    if not url:
        raise serving.Refused("KAIMEN_NOTIFY_URL: is needed for --notify")
    try:
        await telling.tell_robot(url, settings.public_url, findings, settings.data_dir, Clock())
    except robots.RobotFailed as error:
        raise serving.Failed(str(error)) from None


def _print(findings: "list[Finding]", output: str | None) -> None:
    from dataclasses import asdict

    from app.doctor.telling import line_of

    if output:
        show([asdict(finding) for finding in findings], COLUMNS, output)
        return
    for finding in findings:
        click.echo(line_of(finding))
