"""``python -m simulator``: the simulator as a process of its own."""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from simulator.apps import parse_app
from simulator.server import Simulator


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line; bad values end the process with status 2."""
    parser = argparse.ArgumentParser("python -m simulator", description="WeChat on loopback.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=9000, help="port, 0 for a free one (default: 9000)")
    parser.add_argument("--backend", type=read_url, metavar="URL", help="where the phone's requests go")
    parser.add_argument("--apps", type=read_apps, metavar="FILE", help="JSON of KAIMEN_APPS")
    parser.add_argument("--any-code", action="store_true", help="take codes not issued here for alice's")
    return parser.parse_args(argv)


def read_url(value: str) -> str:
    """An http(s) URL without query, as given."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError(f"{value!r} is not an http:// or https:// URL")
    return value


def read_apps(name: str) -> list[dict[str, Any]]:
    """The apps of a file: a list, or an object with ``KAIMEN_APPS`` (or ``apps``) among its keys."""
    try:
        value = json.loads(Path(name).read_text(encoding="utf-8"))
        rows = value.get("KAIMEN_APPS", value.get("apps")) if isinstance(value, dict) else value
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError("no list of apps in it")
        for row in rows:
            parse_app(row)
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{name}: {error}") from error
    return rows


async def serve(args: argparse.Namespace) -> None:
    """Run until SIGTERM or SIGINT; OSError when the address cannot be had."""
    simulator = Simulator(args.apps, backend_url=args.backend, any_code=args.any_code)
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
