"""``python -m simulator``: the simulator as a process of its own."""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from simulator.apps import parse_app, parse_merchant
from simulator.defaults import DEFAULT_APPS
from simulator.server import Simulator


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line; bad values end the process with status 2."""
    parser = argparse.ArgumentParser("python -m simulator", description="WeChat on loopback.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=9000, help="port, 0 for a free one (default: 9000)")
    parser.add_argument("--backend", type=read_url, metavar="URL", help="where the phone's requests go")
    parser.add_argument("--apps", type=read_file, metavar="FILE", help="JSON of KAIMEN_APPS, KAIMEN_MERCHANTS")
    parser.add_argument("--any-code", action="store_true", help="take codes not issued here for alice's")
    return parser.parse_args(argv)


def read_url(value: str) -> str:
    """An http(s) URL without query, as given."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError(f"{value!r} is not an http:// or https:// URL")
    return value


class Given(NamedTuple):
    """What a file says; ``merchants`` is None where it names none."""

    apps: list[dict[str, Any]]
    merchants: list[dict[str, Any]] | None


def read_file(name: str) -> Given:
    """A list of apps, or an object with ``KAIMEN_APPS`` (or ``apps``) and ``KAIMEN_MERCHANTS`` (or ``merchants``)."""
    try:
        value = json.loads(Path(name).read_text(encoding="utf-8"))
        found: dict[str, Any] = value if isinstance(value, dict) else {"apps": value}
        apps: Any = found.get("KAIMEN_APPS", found.get("apps"))
        merchants: Any = found.get("KAIMEN_MERCHANTS", found.get("merchants"))
        if not _is_list(apps) or not (merchants is None or _is_list(merchants)):
            raise ValueError("no list of apps or merchants in it")
        for row in apps:
            parse_app(row)
        for row in merchants or ():
            parse_merchant(row)
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{name}: {error}") from error
    return Given(apps, merchants)


def _is_list(rows: Any) -> bool:
    return isinstance(rows, list) and all(isinstance(row, dict) for row in rows)


async def serve(args: argparse.Namespace) -> None:
    """Run until SIGTERM or SIGINT; OSError when the address cannot be had."""
    given = args.apps or Given(DEFAULT_APPS, None)
    simulator = Simulator(given.apps, backend_url=args.backend, any_code=args.any_code, merchants=given.merchants)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await simulator.start(args.host, args.port)
    sys.stdout.write(f"WeChat simulator: {simulator.url}\n")
    sys.stdout.flush()
    await stopping.wait()
    await simulator.stop()


def main() -> int:
    """Exit status 0 after a signal, 1 when it cannot listen."""
    args = parse_args()
    try:
        asyncio.run(serve(args))
    except (OSError, OverflowError) as error:
        sys.stderr.write(f"simulator: cannot listen on {args.host}:{args.port}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
