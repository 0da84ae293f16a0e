"""The command line as an operator meets it: exit statuses, one line for each fault, no hang, no traceback."""

import http.cookiejar
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest

from backend import Store
from commands import APPS, KAIMEN, KEY, PRODUCTION, Running, environment, kaimen, post
from servers import MariaDB, Redis, free_port


def test_help_names_the_commands(tmp_path: Path) -> None:
    done = kaimen(tmp_path, "--help")
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("serve", "dev", "migrate"))


def test_serve_without_settings_ends_with_78_and_a_line_each(tmp_path: Path) -> None:
    done = kaimen(tmp_path, "serve")
    assert done.returncode == 78
    lines = done.stderr.splitlines()
    for name in ("PUBLIC_URL", "DATABASE_URL", "REDIS_URL", "MASTER_KEYS", "APPS"):
        assert any(f"KAIMEN_{name}: is required" in line for line in lines)
    assert "Traceback" not in done.stderr


def test_a_command_beside_the_data_of_scripts_run_says_how_to_work_on_it(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var/master.key").touch()
    done = kaimen(tmp_path, "users", "list")
    assert done.returncode == 78
    assert "KAIMEN_ENV: set it to development" in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAIMEN_ENV", "prod-swordfish"),
        ("KAIMEN_PORT", "swordfish"),
        ("KAIMEN_PORT", "65536"),
        ("KAIMEN_PUBLIC_URL", "http://swordfish.example.com"),
        ("KAIMEN_PUBLIC_URL", "https://login.example.com/swordfish"),
        ("KAIMEN_PATH_PREFIX", "swordfish/"),
        ("KAIMEN_DATABASE_URL", "mysql://kaimen:swordfish/x@host/name"),
        ("KAIMEN_DATABASE_URL", "postgres://kaimen:swordfish@host/name"),
        ("KAIMEN_DATABASE_URL", "mysql://kaimen:swordfish@127.0.0.1:1/n?ssl=/nowhere/swordfish.pem"),
        ("KAIMEN_REDIS_URL", "redis://:swordfish@host:x/0"),
        ("KAIMEN_MASTER_KEYS", "swordfish"),
        ("KAIMEN_MASTER_KEYS", "k1:c3dvcmRmaXNo"),
        ("KAIMEN_MASTER_KEYS", "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("KAIMEN_APPS", "[swordfish"),
        ("KAIMEN_APPS", '[{"appid":"wx1234567890abcdef","secret":""}]'),
        ("KAIMEN_APPS", '[{"appid":"wx1234567890abcdef","secret":"swordfish"}]'),
        ("KAIMEN_APPS", '[{"appid":"wx0000000000000001","secret":"0123456789abcdef0123456789abcdef"}]'),
        ("KAIMEN_WECHAT_API_URL", "http://127.0.0.1:9000"),
        ("KAIMEN_WECHAT_API_URL", "https://127.0.0.1:9000"),
        ("KAIMEN_TRUSTED_PROXIES", "swordfish"),
        ("KAIMEN_AUTO_REGISTER", "swordfish"),
        ("KAIMEN_MAX_SESSIONS", "swordfish"),
        ("KAIMEN_RATE_LIMITS", "swordfish"),
        ("KAIMEN_LIMITS", "{swordfish"),
        ("KAIMEN_LIMITS", '["swordfish"]'),
        ("KAIMEN_LIMITS", '{"swordfish": "1/2"}'),
        ("KAIMEN_LIMITS", '{"password_account": "swordfish"}'),
        ("KAIMEN_WEB_ORIGINS", "swordfish"),
        ("KAIMEN_WEB_ORIGINS", "https://example.com/swordfish"),
        ("KAIMEN_WEB_ORIGINS", "http://swordfish.example.com"),
        ("KAIMEN_WEB_ORIGINS", "https://*.example.com/swordfish"),
        ("KAIMEN_MASTER_KEYS_FILE", "/nowhere/swordfish"),
        ("KAIMEN_APPS_FILE", "/proc/self/comm"),  # a file that is no JSON
        ("KAIMEN_ADMIN_PORT", "swordfish"),
        ("KAIMEN_REDIS_URL", "redis+sentinel://:swordfish@sentinel:26379/"),
        ("KAIMEN_REDIS_URL", "redis+cluster://:swordfish@one:6379,two:x"),
        ("KAIMEN_LOG_ACCESS_RATE", "1.5"),
        ("KAIMEN_LOG_DEBUG_RATE", "swordfish"),
        ("KAIMEN_NOTIFY_URL", "http://example.com/robot/send?access_token=swordfish"),
        (
            "KAIMEN_APPS",
            '[{"appid":"wx1234567890abcdef","secret":"0123456789abcdef0123456789abcdef","disabled":"swordfish"}]',
        ),
    ],
)
def test_a_bad_setting_ends_the_start_with_78_and_is_named_without_its_value(
    tmp_path: Path, name: str, value: str
) -> None:
    settings = {**PRODUCTION, name: value}
    if name.endswith("_FILE"):
        settings.pop(name.removesuffix("_FILE"))
    done = kaimen(tmp_path, "serve", **settings)
    assert done.returncode == 78, done.stderr
    assert name in done.stderr
    assert "swordfish" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_toml_file_ends_the_start_with_78(tmp_path: Path) -> None:
    (tmp_path / "kaimen.toml").write_text("port = [")
    done = kaimen(tmp_path, "serve", **PRODUCTION)
    assert (done.returncode, "kaimen.toml" in done.stderr, "Traceback" in done.stderr) == (78, True, False)


def test_settings_may_come_from_toml_and_secret_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    (tmp_path / "kaimen.toml").write_text('env = "development"\ndatabase_url = "sqlite:///from-toml.db"\n')
    done = kaimen(tmp_path, "migrate", KAIMEN_MASTER_KEYS_FILE=str(tmp_path / "key"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "from-toml.db").exists()


def test_a_database_out_of_reach_is_one_line(tmp_path: Path) -> None:
    done = kaimen(tmp_path, "migrate", **PRODUCTION)
    assert done.returncode == 1
    assert "database_unavailable" in done.stderr
    assert "Traceback" not in done.stderr
    assert "swordfish" not in done.stderr


def test_serve_refuses_to_start_before_the_migrations_ran(tmp_path: Path) -> None:
    done = kaimen(tmp_path, "serve", KAIMEN_ENV="development")
    assert (done.returncode, "run: kaimen migrate" in done.stderr) == (78, True)


def test_migrate_shows_its_plan_applies_it_and_has_nothing_left(tmp_path: Path) -> None:
    planned = kaimen(tmp_path, "migrate", "--dry-run", KAIMEN_ENV="development")
    before = kaimen(tmp_path, "migrate", "--status", KAIMEN_ENV="development")
    applied = kaimen(tmp_path, "migrate", KAIMEN_ENV="development")
    after = kaimen(tmp_path, "migrate", "--status", KAIMEN_ENV="development")
    again = kaimen(tmp_path, "migrate", KAIMEN_ENV="development")
    assert "CREATE TABLE" in planned.stdout
    assert "pending" in before.stdout
    assert "applied 0001_users" in applied.stdout
    assert "pending" not in after.stdout
    assert "nothing to do" in again.stdout


def test_two_migrations_at_once_apply_each_file_once(tmp_path: Path, mariadb: MariaDB) -> None:
    settings = {"KAIMEN_ENV": "development", "KAIMEN_DATABASE_URL": mariadb.create_database("twice")}
    both = [
        subprocess.Popen([KAIMEN, "migrate"], cwd=tmp_path, env=environment(**settings), stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    outputs = [one.communicate(timeout=30)[0].decode() for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert "".join(outputs).count("applied 0001_users") == 1


def test_a_second_process_on_sqlite_ends_with_78(tmp_path: Path, running: list[Running]) -> None:
    port = free_port()
    running.append(Running(tmp_path, "dev", "--port", str(port), "--simulator-port", "0"))
    running[0].wait_for(f"http://127.0.0.1:{port}/healthz")
    done = kaimen(tmp_path, "serve", KAIMEN_ENV="development", KAIMEN_PORT=str(free_port()))
    assert (done.returncode, "another process" in done.stderr) == (78, True)


@pytest.mark.parametrize("option", ["--port", "--simulator-port"])
def test_a_taken_port_is_one_clear_line(tmp_path: Path, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {"--port": str(free_port()), "--simulator-port": "0", option: str(taken.getsockname()[1])}
        done = kaimen(tmp_path, "dev", *(word for pair in ports.items() for word in pair))
    assert done.returncode == 78
    assert done.stderr.count("\n") == 1
    assert "is already in use" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_dev_logs_a_user_in_and_stops_cleanly(tmp_path: Path, running: list[Running], number: int) -> None:
    port = free_port()
    running.append(Running(tmp_path, "dev", "--port", str(port), "--simulator-port", "0", "--data-dir", "data"))
    running[0].wait_for(f"http://127.0.0.1:{port}/healthz")
    reply = post(f"http://127.0.0.1:{port}/api/auth", {"action": "login", "code": "any-code"})
    assert reply["data"]["isNewUser"] is True
    assert running[0].stop(number) == 0
    output = running[0].output.read_text()
    assert f"http://127.0.0.1:{port}" in output
    assert "curl -s" in output
    assert (tmp_path / "data" / "kaimen.db").exists()
    assert (tmp_path / "data" / "master.key").stat().st_mode & 0o077 == 0


def test_dev_without_the_simulator_offers_no_login_that_cannot_work(tmp_path: Path, running: list[Running]) -> None:
    port = free_port()
    running.append(Running(tmp_path, "dev", "--port", str(port), "--no-simulator", KAIMEN_APPS=APPS))
    running[0].wait_for(f"http://127.0.0.1:{port}/healthz")
    assert running[0].stop() == 0
    output = running[0].output.read_text()
    assert f"http://127.0.0.1:{port}" in output
    assert "curl" not in output
    assert "simulator" not in output


def test_dev_signs_a_browser_in_through_the_simulators_consent_page(tmp_path: Path, running: list[Running]) -> None:
    port = free_port()
    running.append(Running(tmp_path, "dev", "--port", str(port), "--simulator-port", "0"))
    running[0].wait_for(f"http://127.0.0.1:{port}/healthz")
    cookies = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
    with browser.open(f"http://127.0.0.1:{port}/oauth/wx00000000000000a1/login?return=/healthz", timeout=10) as page:
        assert page.geturl() == f"http://127.0.0.1:{port}/healthz"
    assert "kaimen" in {cookie.name for cookie in cookies}


def test_a_user_is_known_again_after_a_restart(tmp_path: Path, running: list[Running]) -> None:
    users = []
    for code in ("first", "second"):
        port = free_port()
        running.append(Running(tmp_path, "dev", "--port", str(port), "--simulator-port", "0"))
        running[-1].wait_for(f"http://127.0.0.1:{port}/healthz")
        users.append(post(f"http://127.0.0.1:{port}/api/auth", {"action": "login", "code": code})["data"])
        running[-1].stop()
    assert users[0]["user"]["id"] == users[1]["user"]["id"]
    assert users[1]["isNewUser"] is False


def test_two_processes_serve_one_port_over_mariadb_and_redis(
    tmp_path: Path, running: list[Running], server_store: Store
) -> None:
    port = str(free_port())
    settings = {
        "KAIMEN_ENV": "development",
        "KAIMEN_PORT": port,
        "KAIMEN_DATABASE_URL": server_store.database_url,
        "KAIMEN_REDIS_URL": server_store.redis_url,
        "KAIMEN_MASTER_KEYS": KEY,
        "KAIMEN_APPS": APPS,
    }
    for _ in range(2):
        running.append(Running(tmp_path, "serve", **settings))
        running[-1].wait_until_serving()
    keys = {urllib.request.urlopen(f"http://127.0.0.1:{port}/.well-known/jwks.json").read() for _ in range(20)}
    assert len(keys) == 1
    assert [one.stop() for one in running] == [0, 0]


def test_a_wrong_master_key_ends_the_start_and_replaces_no_key(
    tmp_path: Path, running: list[Running], redis_server: Redis
) -> None:
    settings = {"KAIMEN_ENV": "development", "KAIMEN_PORT": str(free_port())}
    assert kaimen(tmp_path, "migrate", KAIMEN_MASTER_KEYS=KEY, **settings).returncode == 0
    running.append(Running(tmp_path, "serve", KAIMEN_MASTER_KEYS=KEY, **settings))
    running[0].wait_for(f"http://127.0.0.1:{settings['KAIMEN_PORT']}/healthz")
    running[0].stop()
    other = "k1:" + "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
    done = kaimen(tmp_path, "serve", KAIMEN_MASTER_KEYS=other, **settings)
    assert (done.returncode, "KAIMEN_MASTER_KEYS" in done.stderr) == (78, True)
    again = Running(tmp_path, "serve", KAIMEN_MASTER_KEYS=KEY, **settings)
    running.append(again)
    again.wait_for(f"http://127.0.0.1:{settings['KAIMEN_PORT']}/healthz")


def test_an_unknown_setting_is_said_and_ignored(tmp_path: Path, running: list[Running]) -> None:
    port = free_port()
    running.append(Running(tmp_path, "dev", "--port", str(port), "--simulator-port", "0", KAIMEN_PROT="1"))
    running[0].wait_for(f"http://127.0.0.1:{port}/healthz")
    running[0].stop()
    assert "KAIMEN_PROT" in running[0].output.read_text()
