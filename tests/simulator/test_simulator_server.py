import ast
import asyncio
import json
import signal
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from simulator_client import APPID, Client

import simulator
from simulator import DEFAULT_APPS, Simulator
from simulator.apps import parse_app

PACKAGE = Path(simulator.__file__).parent
OURS = {"core", "models", "app", "handlers", "cli"}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_the_simulator_imports_nothing_of_the_backend(path: Path) -> None:
    assert not imported(path) & (OURS | {"cryptography"})


def test_the_default_apps_have_secrets_of_32_hex_digits() -> None:
    assert [parse_app(row).kind for row in DEFAULT_APPS] == [
        "miniprogram",
        "miniprogram",
        "official",
        "website",
    ]
    assert all(len(bytes.fromhex(row["secret"])) == 16 for row in DEFAULT_APPS)
    assert len(DEFAULT_APPS[2]["encodingAesKey"]) == 43


async def test_other_apps_may_be_given() -> None:
    app = {"appid": "wxaaaaaaaaaaaaaaaa", "kind": "miniprogram", "secret": "s"}
    sim = Simulator([app])
    await sim.start()
    wx = Client(sim)
    assert "openid" in await wx.exchange(await wx.login(appid=app["appid"]), app)
    assert "unknown appid" in (await wx.post("/sim/login", {"appid": APPID, "user": "alice"}))["error"]
    wx.http.close()
    await sim.stop()


@pytest.mark.parametrize(
    "row",
    [{}, {"appid": "wx1"}, {"appid": APPID, "kind": "shop"}, {"appid": APPID, "kind": "official"}],
)
def test_a_bad_app_is_refused(row: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"appid|kind|secret"):
        Simulator([row])


async def test_two_simulators_share_nothing(wx: Client) -> None:
    other = Simulator()
    await other.start()
    client = Client(other)
    assert (await client.exchange(await wx.login()))["errcode"] == 40029
    client.http.close()
    await other.stop()
    await other.stop()


async def test_the_page_allows_only_itself_and_images_of_the_backend(wx: Client) -> None:
    wx.sim.backend_url = "http://127.0.0.1:8000/prefix"
    response = await wx.fetch("/")
    assert response.code == 200
    assert response.headers["Content-Type"].startswith("text/html")
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'; img-src 'self' http://127.0.0.1:8000; ")


@pytest.mark.parametrize("path", sorted((PACKAGE / "web").iterdir()), ids=lambda path: path.name)
async def test_every_file_of_the_page_is_served_and_holds_nothing_inline(wx: Client, path: Path) -> None:
    response = await wx.fetch(f"/web/{path.name}")
    assert response.code == 200
    text = path.read_text(encoding="utf-8")  # noqa: ASYNC240 - small local files
    assert response.body.decode() == text
    assert "style=" not in text
    assert "innerHTML" not in text
    assert "https://" not in text


async def test_an_avatar_is_drawn_for_any_name(wx: Client) -> None:
    alice, other = await wx.fetch("/avatar/alice.svg"), await wx.fetch("/avatar/%3Cscript%3E.svg")
    assert alice.headers["Content-Type"] == "image/svg+xml"
    assert ElementTree.fromstring(alice.body).tag.endswith("svg")
    assert b"script" not in other.body


async def run(*args: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "simulator", *args, stdout=pipe, stderr=pipe)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_process_says_its_url_and_ends_cleanly(number: signal.Signals) -> None:
    process = await run("--port", "0")
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 10)).decode()
    assert line.startswith("WeChat simulator: http://127.0.0.1:")
    process.send_signal(number)
    _, errors = await asyncio.wait_for(process.communicate(), 10)
    assert (process.returncode, errors) == (0, b"")


async def test_a_taken_port_is_one_line_and_status_1(wx: Client) -> None:
    process = await run("--port", str(wx.sim.port))
    _, errors = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 1
    assert errors.decode().startswith(f"simulator: cannot listen on 127.0.0.1:{wx.sim.port}: ")
    assert errors.count(b"\n") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "Expecting"), ('{"other": 1}', "no list of apps"), ('[{"appid": 7}]', "appid: 7"), (None, "No such")],
)
async def test_a_bad_apps_file_is_named(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "apps.json"
    if text is not None:
        path.write_text(text)
    process = await run("--port", "0", "--apps", str(path))
    _, errors = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 2
    assert words in errors.decode()


async def test_apps_are_read_from_a_file_of_settings(tmp_path: Path) -> None:
    path = tmp_path / "apps.json"
    path.write_text(json.dumps({"KAIMEN_APPS": DEFAULT_APPS[:1], "KAIMEN_MERCHANTS": []}))
    process = await run("--port", "0", "--apps", str(path))
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 10)
    process.terminate()
    await process.communicate()
    assert process.returncode == 0
