"""The house of docs/architecture.md: one way down, drivers behind their one door."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = ["core", "models", "app", "handlers", "cli"]
DOORS = {
    "aiomysql": ["models/db/mysql.py"],
    "pymysql": ["models/db/mysql.py"],
    "aiosqlite": ["models/db/sqlite.py"],
    "sqlite3": ["models/db/sqlite.py"],
    "redis": ["models/redis_library.py"],
    "fakeredis": ["models/kv.py"],
    "pycurl": ["app/wechat/curl.py", "app/wechat/transport.py", "app/events/delivery.py"],
    "tornado.httpclient": ["app/avatars/bucket.py"],
    "tornado.curl_httpclient": ["app/avatars/bucket.py"],
    "tornado.web": ["handlers/"],
    "prometheus_client": ["core/observe/metrics.py"],
    "opentelemetry": ["core/observe/otlp.py"],
}


def sources(*packages: str) -> list[Path]:
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("floor", FLOORS)
def test_a_floor_imports_only_itself_and_the_floors_below(floor: str) -> None:
    allowed = FLOORS[: FLOORS.index(floor) + 1]
    upward = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(floor)
        for name in imports_of(path)
        if name.split(".")[0] in FLOORS and name.split(".")[0] not in allowed
    }
    assert not upward


def test_only_cli_dev_knows_the_simulator() -> None:
    knowing = {str(path.relative_to(ROOT)) for path in sources(*FLOORS) if "simulator" in set(imports_of(path))}
    assert knowing == {"cli/dev.py"}


@pytest.mark.parametrize("driver", DOORS)
def test_a_driver_is_imported_behind_its_door_only(driver: str) -> None:
    outside = {
        str(path.relative_to(ROOT))
        for path in sources(*FLOORS)
        for name in imports_of(path)
        if (name == driver or name.startswith(driver + ".")) and not _is_door(driver, path)
    }
    assert not outside


def test_no_two_modules_import_each_other_in_a_circle() -> None:
    graph = {_module_of(path): set(_own_imports(path)) for path in sources(*FLOORS)}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " → ".join((*trail, module))
        if module in done:
            return
        for below in graph.get(module, ()):
            visit(below, (*trail, module))
        done.add(module)

    for module in graph:
        visit(module, ())


def test_the_clock_is_the_only_source_of_time_and_randomness() -> None:
    outside = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(*FLOORS)
        for name in imports_of(path)
        if name in {"time", "random", "secrets"} and path.name != "clock.py"
    }
    assert not outside


def _is_door(driver: str, path: Path) -> bool:
    return any(str(path.relative_to(ROOT)).startswith(door) for door in DOORS[driver])


def _module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _own_imports(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in FLOORS:
            package = node.module
            for alias in node.names:
                is_module = (ROOT / package.replace(".", "/") / f"{alias.name}.py").exists()
                yield f"{package}.{alias.name}" if is_module else package
