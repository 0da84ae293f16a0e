"""``kaimen doctor`` as an operator and as a timer meet it: lines, exit status, no secret."""

import json
from pathlib import Path

from commands import PRODUCTION, kaimen
from servers import MariaDB, Redis, free_port


def test_wrong_settings_are_a_line_each_and_end_with_78(tmp_path: Path) -> None:
    done = kaimen(tmp_path, "doctor", KAIMEN_PORT="swordfish")
    assert done.returncode == 78
    assert done.stdout.startswith("✗ settings: KAIMEN_PORT: ")
    assert "swordfish" not in done.stdout + done.stderr


def test_what_is_broken_ends_with_1_and_holds_no_secret(tmp_path: Path) -> None:
    done = kaimen(tmp_path, "doctor", "--skip", "apps", **PRODUCTION)
    assert done.returncode == 1
    assert "✗ database: " in done.stdout
    assert "✗ redis: " in done.stdout
    assert "swordfish" not in done.stdout + done.stderr


def test_an_installation_in_order_ends_with_0_and_a_json_line_each(
    tmp_path: Path, mariadb: MariaDB, redis_server: Redis
) -> None:
    settings = {
        **PRODUCTION,
        "KAIMEN_DATABASE_URL": mariadb.create_database("well"),
        "KAIMEN_REDIS_URL": redis_server.url,
        "KAIMEN_ADMIN_PORT": str(free_port()),
        "KAIMEN_TRUSTED_PROXIES": "127.0.0.1",
    }
    assert kaimen(tmp_path, "migrate", **settings).returncode == 0
    done = kaimen(tmp_path, "doctor", "--json", "--skip", "apps", "--skip", "public", **settings)
    assert done.returncode == 0, done.stdout
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"settings", "database", "migrations", "clock", "redis", "proxy", "disk"} <= {line["what"] for line in lines}
    assert all(line["fix"] for line in lines if line["level"] != "ok")


def test_to_tell_a_robot_there_must_be_one(tmp_path: Path) -> None:
    everything = [word for part in ("stores", "apps", "public", "host") for word in ("--skip", part)]
    done = kaimen(tmp_path, "doctor", "--notify", *everything, KAIMEN_ENV="development")
    assert (done.returncode, done.stderr) == (78, "kaimen: KAIMEN_NOTIFY_URL: is needed for --notify\n")
    away = {"KAIMEN_NOTIFY_URL": "http://127.0.0.1:1/robot/send?access_token=swordfish"}
    done = kaimen(tmp_path, "doctor", "--notify", *everything, KAIMEN_ENV="development", **away)
    assert (done.returncode, "swordfish" in done.stderr) == (1, False)
