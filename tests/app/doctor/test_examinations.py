"""Each thing that the doctor looks at, well and ill, over real servers."""

from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path

import pytest
import redis

from app.doctor import apps, host, outside, stores
from app.doctor.findings import FAIL, OK, WARN, Finding, worst
from app.wechat.access_token import AccessTokens
from app.wechat.client import WeChatClient
from backend import APPID, OFFICIAL, Backend, MovableClock, StartBackend, Store, make_settings
from certificates import Authority
from cli.compose import make_sealer
from core.clock import Clock
from core.settings import Settings
from handlers.admin import make_admin_server
from models import migrations
from models.db import Database, open_database
from models.kv import Kv, open_kv
from nginx_server import Nginx
from servers import MariaDB, Redis, free_port
from simulator import Simulator


def only(findings: list[Finding], what: str, level: str) -> Finding:
    (found,) = [one for one in findings if (one.what, one.level) == (what, level)]
    return found


@pytest.fixture
async def database(mariadb: MariaDB) -> AsyncIterator[Database]:
    opened = open_database(mariadb.create_database("doctor"), Clock())
    await migrations.migrate(opened, Clock())
    yield opened
    await opened.close()


@pytest.fixture
async def kv(redis_server: Redis) -> AsyncIterator[Kv]:
    opened = open_kv(redis_server.url, Clock())
    yield opened
    await opened.close()


@pytest.fixture
def settings(server_store: Store, simulator: Simulator) -> Settings:
    return make_settings(server_store, simulator.url)


# --- stores ---


async def test_a_database_in_order_is_ok_but_for_how_the_tests_run_theirs(database: Database) -> None:
    findings = await stores.examine_database(database, Clock())
    assert only(findings, "database", OK).found.startswith("mariadb ")
    lossy, wide = [one.found for one in findings if one.level == WARN]
    assert "innodb_flush_log_at_trx_commit is 2" in lossy
    assert "may do ALL PRIVILEGES everywhere" in wide
    assert worst(findings) == WARN


async def test_a_sqlite_database_is_looked_at_too(embedded_store: Store) -> None:
    database = open_database(embedded_store.database_url, Clock())
    findings = await stores.examine_database(database, Clock())
    await database.close()
    assert {one.level for one in findings} == {OK}


async def test_a_column_that_no_longer_compares_exactly_is_found(database: Database, mariadb: MariaDB) -> None:
    mariadb.execute("ALTER TABLE doctor.notes MODIFY value TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
    found = only(await stores.examine_database(database, Clock()), "database", FAIL)
    assert "notes.value" in found.found


async def test_least_privileges_are_enough_and_not_complained_about(mariadb: MariaDB) -> None:
    mariadb.create_database("least")
    mariadb.execute("CREATE OR REPLACE USER least@'127.0.0.1' IDENTIFIED BY 'Least-1'")
    mariadb.execute("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP ON least.* TO least@'127.0.0.1'")
    database = open_database(f"mysql://least:Least-1@127.0.0.1:{mariadb.port}/least", Clock())
    await migrations.migrate(database, Clock())
    findings = await stores.examine_database(database, Clock())
    await database.close()
    assert not any("everywhere" in one.found for one in findings)


async def test_pending_migrations_and_a_database_that_is_away_are_told_with_their_cure(mariadb: MariaDB) -> None:
    empty = open_database(mariadb.create_database("empty"), Clock())
    assert only(await stores.examine_database(empty, Clock()), "migrations", FAIL).fix == "run: kaimen migrate"
    await empty.close()
    away = open_database(f"mysql://nobody:swordfish@127.0.0.1:{free_port()}/none", Clock())
    (found,) = await stores.examine_database(away, Clock())
    assert (found.level, "swordfish" in str(found)) == (FAIL, False)
    await away.close()


@pytest.mark.parametrize(("ahead_s", "level"), [(0, OK), (3, WARN), (60, FAIL)])
async def test_clocks_apart_are_found(database: Database, ahead_s: int, level: str) -> None:
    clock = MovableClock()
    clock.advance(ahead_s)
    assert only(await stores.examine_database(database, clock), "clock", level)


async def test_a_redis_that_may_forget_is_found(kv: Kv, redis_server: Redis, settings: Settings) -> None:
    healthy = await stores.examine_redis(kv, settings, Clock())
    assert worst(healthy) == OK
    with redis.Redis.from_url(redis_server.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("appendonly", "no")
        try:
            findings = await stores.examine_redis(kv, settings, Clock())
        finally:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("appendonly", "yes")
    texts = [one.found for one in findings if one.level == WARN]
    assert any("allkeys-lru" in one for one in texts)
    assert any("nothing on disk" in one for one in texts)


async def test_a_redis_that_is_away_is_found(settings: Settings) -> None:
    kv = open_kv(f"redis://:swordfish@127.0.0.1:{free_port()}", Clock())
    (found,) = await stores.examine_redis(kv, settings, Clock())
    await kv.close()
    assert (found.level, "swordfish" in str(found)) == (FAIL, False)


async def test_a_proxy_that_hides_its_clients_is_found_by_their_addresses(backend: Backend, store: Store) -> None:
    database = open_database(store.database_url, Clock())
    settings = backend.kaimen.settings
    assert worst(await stores.examine_addresses(database, settings)) == OK
    await backend.login()
    (found,) = await stores.examine_addresses(database, settings)
    await database.close()
    assert (found.level, "127.0.0.1" in found.found) == (WARN, True)


# --- apps ---


@pytest.fixture
async def tokens(server_store: Store, simulator: Simulator, settings: Settings) -> AsyncIterator[AccessTokens]:
    client = WeChatClient(Clock(), api_url=simulator.url)
    kv = open_kv(server_store.redis_url, Clock())
    made = AccessTokens(client, kv, Clock(), make_sealer(settings))
    yield made
    await made.close()
    await kv.close()
    client.close()


async def test_an_app_whose_secret_is_right_is_ok(tokens: AccessTokens, settings: Settings) -> None:
    findings = await apps.examine_tokens(settings, tokens, Clock())
    assert {one.level for one in findings} == {OK}


@pytest.mark.parametrize(
    ("errcode", "words"),
    [(40125, "secret is wrong"), (40164, "(address 127.0.0.1)"), (40013, "appid"), (40243, "frozen")],
)
async def test_what_wechat_refuses_is_told_with_its_cure(
    tokens: AccessTokens, settings: Settings, simulator: Simulator, errcode: int, words: str
) -> None:
    simulator.faults.add({"api": "stable_token", "errcode": errcode})
    findings = await apps.examine_tokens(settings, tokens, Clock())
    assert {one.level for one in findings} == {FAIL}
    assert words in findings[0].fix


@pytest.fixture
async def wechat(simulator: Simulator) -> AsyncIterator[WeChatClient]:
    opened = WeChatClient(Clock(), api_url=simulator.url)
    yield opened
    opened.close()


def with_pages(settings: Settings, **changes: str) -> Settings:
    changed = [app.model_copy(update={"env_version": "release", **changes}) for app in settings.apps]
    return settings.model_copy(update={"apps": changed})


async def test_a_page_that_is_published_is_ok(tokens: AccessTokens, wechat: WeChatClient, settings: Settings) -> None:
    findings = await apps.examine_pages(with_pages(settings), wechat, tokens, Clock())
    assert {one.level for one in findings} == {OK}


async def test_a_page_of_the_developers_version_is_warned_about(
    tokens: AccessTokens, wechat: WeChatClient, settings: Settings
) -> None:
    findings = await apps.examine_pages(with_pages(settings, env_version="trial"), wechat, tokens, Clock())
    assert {one.level for one in findings} == {WARN}


async def test_a_page_that_the_released_version_lacks_is_found(
    tokens: AccessTokens, wechat: WeChatClient, settings: Settings
) -> None:
    elsewhere = with_pages(settings, page="pages/nowhere/nowhere")
    findings = await apps.examine_pages(elsewhere, wechat, tokens, Clock())
    assert {one.level for one in findings} == {FAIL}
    assert "41030" in findings[0].fix


async def test_an_app_without_unionids_is_warned_about(
    start_backend: StartBackend, embedded_store: Store, simulator: Simulator
) -> None:
    backend = await start_backend(embedded_store)
    await backend.login()
    database = open_database(embedded_store.database_url, Clock())
    findings = await apps.examine_unionids(backend.kaimen.settings, database)
    assert [(one.what, one.level) for one in findings] == [(f"app {APPID}", OK)]
    await database.run(lambda tx: tx.execute("UPDATE identities SET unionid = NULL"))
    assert [one.level for one in await apps.examine_unionids(backend.kaimen.settings, database)] == [WARN]
    await database.close()


# --- from outside ---

SITE = """
server {{
    listen 127.0.0.1:{{port}} ssl;
    ssl_certificate {certificate}; ssl_certificate_key {key};
    location / {{ proxy_pass {backend}; proxy_http_version 1.1; {upgrade} }}
    {more}
}}
"""
LETS_SOCKETS_THROUGH = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'


class Site:
    """nginx with TLS in front of a backend, and what the doctor says of it."""

    def __init__(self, folder: Path, backend: Backend) -> None:
        self._authority = Authority(folder)
        self._backend = backend
        self.backend_url = backend.url

    async def examine(self, *, days: int = 60, upgrade: str = LETS_SOCKETS_THROUGH, more: str = "") -> list[Finding]:
        certificate, key = self._authority.issue("localhost", days=days)
        names = {"certificate": certificate, "key": key, "backend": self._backend.url}
        with Nginx(SITE.format(**names, upgrade=upgrade, more=more)) as nginx:
            url = f"https://localhost:{nginx.port}"
            settings = self._backend.kaimen.settings.model_copy(update={"public_url": url})
            return await outside.examine_outside(settings, Clock(), str(self._authority.ca))


@pytest.fixture
async def site(tmp_path: Path, start_backend: StartBackend, embedded_store: Store) -> Site:
    # any origin may open the socket of this backend: its public URL is known only when nginx runs
    return Site(tmp_path, await start_backend(embedded_store))


async def test_a_public_url_in_order_is_ok_but_for_the_origin(site: Site) -> None:
    findings = await site.examine()
    assert only(findings, "certificate", OK).found == "ends in 60 days"
    assert only(findings, "public url", OK).found == "leads here"
    assert "403" in only(findings, "websocket", FAIL).found


@pytest.mark.parametrize(("days", "level"), [(14, WARN), (3, FAIL)])
async def test_a_certificate_that_ends_soon_is_found(site: Site, days: int, level: str) -> None:
    assert only(await site.examine(days=days), "certificate", level).found == f"ends in {days} days"


async def test_the_callback_url_is_asked_as_wechat_does(site: Site) -> None:
    findings = await site.examine()
    assert "would succeed" in only(findings, f"app {OFFICIAL}", OK).found


@pytest.mark.parametrize(
    "more",
    [
        "location /callback/ { return 404; }",
        "location /callback/ { proxy_pass {backend}/elsewhere/; }",
        'location /callback/ { return 200 "hello"; }',
    ],
)
async def test_a_proxy_that_spoils_the_callback_url_is_found(site: Site, more: str) -> None:
    findings = await site.examine(more=more.replace("{backend}", site.backend_url))
    assert "would fail" in only(findings, f"app {OFFICIAL}", FAIL).found


async def test_a_certificate_that_has_ended_is_found(site: Site) -> None:
    (found,) = await site.examine(days=-1)
    assert (found.what, found.level, "expired" in found.found) == ("certificate", FAIL, True)


async def test_a_proxy_that_drops_the_upgrade_is_found(site: Site) -> None:
    assert "Upgrade $http_upgrade" in only(await site.examine(upgrade=""), "websocket", FAIL).fix


async def test_metrics_that_are_public_are_found(site: Site) -> None:
    findings = await site.examine(more="location = /metrics { return 200; }")
    assert "/metrics is public" in [one.found for one in findings if one.level == FAIL]


async def test_another_server_under_our_name_is_found(site: Site) -> None:
    findings = await site.examine(more="location = /healthz { return 200; }")
    assert "something else" in only(findings, "public url", FAIL).found


async def test_a_public_url_that_leads_nowhere_is_found(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"public_url": f"https://localhost:{free_port()}"})
    (found,) = await outside.examine_outside(nowhere, Clock())
    assert (found.what, found.level) == ("public url", FAIL)


# --- this machine ---


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_secrets_that_everybody_may_read_are_found(
    in_folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = settings.model_copy(update={"admin_port": 0})
    for name in (".env", "key"):
        (in_folder / name).write_text("x")
        (in_folder / name).chmod(0o640)
    monkeypatch.setenv("KAIMEN_MASTER_KEYS_FILE", str(in_folder / "key"))
    assert worst(await host.examine_host(quiet)) == OK
    (in_folder / "key").chmod(0o644)
    assert "key" in only(await host.examine_host(quiet), "secrets", FAIL).found


async def test_processes_are_found_by_their_admin_ports(start_backend: StartBackend, embedded_store: Store) -> None:
    backend, port = await start_backend(embedded_store), free_port()
    server = make_admin_server(backend.kaimen)
    server.listen(port, "127.0.0.1")
    settings = backend.kaimen.settings.model_copy(update={"admin_port": port - 1})
    findings = await host.examine_host(settings)
    server.stop()
    await server.close_all_connections()
    assert only(findings, "processes", OK).found == "1 serve"
    assert not [one for one in findings if "another version" in one.found]


async def test_where_nothing_serves_that_is_told(settings: Settings) -> None:
    findings = await host.examine_host(settings.model_copy(update={"admin_port": free_port()}))
    assert only(findings, "processes", WARN).fix == "start one: kaimen serve"


def test_the_files_a_process_may_open_are_read_from_its_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the HELP line above each, as Prometheus has them."""
    text = (
        "# HELP process_max_fds Maximum number of open file descriptors.\n# TYPE process_max_fds gauge\n"
        f'process_max_fds 1024.0\nkaimen_build_info{{version="{version("kaimen")}"}} 1.0\n'
    )
    monkeypatch.setattr(host, "_metrics", lambda _first: [text])
    findings = host._processes(8001)
    assert only(findings, "processes", WARN).found == "may open 1024 files only"
