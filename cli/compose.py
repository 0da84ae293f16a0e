"""The composition root: from settings to services, and back down in the reverse order."""

import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from app.accounts.bindings import Bindings
from app.accounts.credentials import Credentials
from app.accounts.devices import Devices
from app.accounts.privacy import Privacy
from app.apps import Apps
from app.auth.cookies import Cookies
from app.auth.exchange import CodeExchange
from app.auth.grants import Grants
from app.auth.guard import SessionGuard
from app.auth.keyring import KEEP_MS, Keyring, open_keyring
from app.auth.limits import Limits
from app.auth.revocation import Revocations
from app.auth.session_hub import SessionHub
from app.auth.session_list import SessionList
from app.auth.sign_in import Auth
from app.auth.signals import Signals
from app.auth.tokens import LEEWAY_S, Tokens
from app.auth.wafer import Wafer
from app.avatars.service import Avatars
from app.avatars.storage import AvatarStorage, open_storage
from app.callbacks.intake import Intake, Work
from app.callbacks.partner import Partners
from app.callbacks.pay import PayNotifications
from app.callbacks.people import People
from app.callbacks.push import Push
from app.clock_watch import AskTime, ClockWatch
from app.crypto.passwords import Passwords
from app.crypto.sealing import BlindIndex, Sealer
from app.events.addresses import Allowed
from app.events.dispatch import Dispatcher
from app.events.relay import Relay
from app.health import Health
from app.kaimen import Kaimen
from app.oauth.jssdk import JsSdk
from app.oauth.login import OAuthLogin
from app.oauth.tickets import Tickets
from app.oauth.user_tokens import UserTokens
from app.operations.retention import Pruner
from app.operations.trail import Trail
from app.scan.channels import Channels
from app.scan.hub import Hub
from app.scan.official import OfficialScans
from app.scan.regions import Regions
from app.scan.service import Scans
from app.services.credentials import ServiceCredentials
from app.services.directory import Directory
from app.services.introspection import Introspection
from app.services.lending import TokenLending
from app.users import common_passwords
from app.users.nickname_check import NicknameCheck
from app.users.open_data import OpenData
from app.users.profile import Profiles
from app.wechat.access_token import AccessTokens, JsapiTickets
from app.wechat.client import WeChatClient
from app.wechat.elsewhere import TokensElsewhere
from app.wechat.observing import note_call
from core import failpoints
from core.clock import Clock
from core.observe import metrics
from core.settings import Settings
from models import inspection, notes
from models.cookie_checks import CookieChecks
from models.db import Database, open_database
from models.kv import Kv, open_kv
from models.notes import BCRYPT_NOTE

KEPT_IN_MEMORY = 1000  # events in a stream that nobody outside this process can read
EXCHANGE_SLACK_S = 3.0  # beyond WeChat's budget: what the database may take after it


@dataclass(frozen=True, slots=True)
class Ground:
    """What everything stands on; ``stack`` closes in the reverse order, so that nothing under way loses its ground."""

    settings: Settings
    clock: Clock
    stack: AsyncExitStack
    database: Database
    kv: Kv
    sealer: Sealer
    apps: Apps
    clock_watch: ClockWatch


@dataclass(frozen=True, slots=True)
class WeChat:
    """The way to WeChat."""

    client: WeChatClient
    access_tokens: AccessTokens
    tickets: JsapiTickets


@dataclass(frozen=True, slots=True)
class Keys:
    """Signing keys, and what is made with them."""

    keyring: Keyring
    index: BlindIndex
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions from their beginning to their end, and who is told."""

    revocations: Revocations
    hub: SessionHub
    signals: Signals
    guard: SessionGuard
    grants: Grants
    cookies: Cookies


@asynccontextmanager
async def open_kaimen(settings: Settings, clock: Clock) -> AsyncIterator[Kaimen]:
    """The services of one process."""
    async with AsyncExitStack() as stack:
        await open_traces(settings, clock, stack)
        ground = open_ground(settings, clock, stack)
        await watch_clock(ground)
        wechat = open_wechat(ground)
        keys = await open_keys(ground)
        sessions = await open_sessions(ground, keys)
        yield await open_services(ground, wechat, keys, sessions)


async def open_traces(settings: Settings, clock: Clock, stack: AsyncExitStack) -> None:
    """Where the settings name a collector; OpenTelemetry is not even imported otherwise."""
    url = settings.otlp_url.get_secret_value()
    if url:
        from core.observe.otlp import tracing

        await stack.enter_async_context(tracing(url, settings.env, clock))


def open_ground(settings: Settings, clock: Clock, stack: AsyncExitStack) -> Ground:
    """Database and Redis; connections are made when they are needed."""
    database = open_database(settings.database_url.get_secret_value(), clock)
    stack.push_async_callback(database.close)
    kv = open_kv(settings.redis_url.get_secret_value(), clock)
    stack.push_async_callback(kv.close)
    stack.callback(metrics.DB_POOL.watch(database.load))
    stack.callback(metrics.REDIS_POOL.watch(kv.load))
    watch = ClockWatch(clock, clocks_elsewhere(settings, database, kv))
    return Ground(settings, clock, stack, database, kv, make_sealer(settings), Apps(settings.apps), watch)


async def watch_clock(ground: Ground) -> None:
    """From here on a wrong clock is known within seconds."""
    watch = ground.clock_watch
    await watch.start()
    ground.stack.push_async_callback(watch.stop)
    ground.stack.callback(metrics.CLOCK_SKEW_S.watch(lambda: watch.skew_s))


def clocks_elsewhere(settings: Settings, database: Database, kv: Kv) -> list[AskTime]:
    """SQLite and the in-process Redis have none of their own."""
    sources: list[AskTime] = []
    if database.dialect.name == "mysql":
        sources.append(partial(inspection.ask_database_time, database))
    if settings.redis_url.get_secret_value() != "memory://":
        sources.append(partial(inspection.ask_redis_time, kv))
    return sources


def open_wechat(ground: Ground) -> WeChat:
    """WeChat's client, and the access_token that all instances share."""
    settings, stack = ground.settings, ground.stack
    api_url, mp_url = settings.wechat_api_url, settings.wechat_mp_url
    client = WeChatClient(ground.clock, api_url=api_url, mp_url=mp_url, observer=note_call)
    stack.callback(client.close)
    stack.callback(metrics.WECHAT_BREAKER.watch(client.breaker_states))
    elsewhere = TokensElsewhere(settings.apps)
    stack.callback(elsewhere.close)
    ground.apps.listeners.append(elsewhere.replace)
    access_tokens = AccessTokens(client, ground.kv, ground.clock, ground.sealer, elsewhere)
    stack.push_async_callback(access_tokens.close)
    tickets = JsapiTickets(client, access_tokens, ground.kv, ground.clock, ground.sealer)
    stack.push_async_callback(tickets.close)
    return WeChat(client, access_tokens, tickets)


async def open_keys(ground: Ground) -> Keys:
    """Raises ``KeyringUnusable``."""
    settings = ground.settings
    keyring = await open_keyring(ground.database, ground.sealer, ground.clock, keys_kept_ms(settings))
    await keyring.start()
    ground.stack.push_async_callback(keyring.stop)
    audience = settings.audience or settings.public_url
    tokens = Tokens(keyring, ground.clock, issuer=settings.public_url, audience=audience, ttl_s=settings.access_ttl_s)
    return Keys(keyring, BlindIndex(keyring.index), tokens)


async def open_sessions(ground: Ground, keys: Keys) -> Sessions:
    """Reads the revocation feed before anything asks it."""
    settings, clock, database, stack = ground.settings, ground.clock, ground.database, ground.stack
    revocations = Revocations(database, clock, keep_s=settings.access_ttl_s + 2 * LEEWAY_S)
    revocations.is_clock_wrong = lambda: ground.clock_watch.is_apart
    await revocations.start()
    stack.push_async_callback(revocations.stop)
    stack.callback(metrics.FEED_AGE_S.watch(revocations.age_s))
    hub = SessionHub()
    stack.callback(metrics.SOCKETS.watch(hub.size))
    signals = Signals(ground.kv, revocations, hub)
    signals.start()
    stack.push_async_callback(signals.stop)
    checks = CookieChecks(database)
    cookies = Cookies(keys.keyring, keys.tokens, checks, revocations, clock, ttl_s=settings.refresh_ttl_s)
    stack.push_async_callback(cookies.close)
    grants = Grants(settings, database, clock, ground.sealer, keys.tokens, revocations)
    stack.push_async_callback(grants.close)
    guard = SessionGuard(database, clock, keys.tokens, revocations)
    return Sessions(revocations, hub, signals, guard, grants, cookies)


def open_relay(ground: Ground, signals: Signals) -> Relay:
    """Tells other services what happened, if no other process does."""
    settings, database, clock = ground.settings, ground.database, ground.clock
    in_memory = settings.redis_url.get_secret_value() == "memory://"
    failpoints.arm(settings.failpoint)
    dispatcher = Dispatcher(database, clock, ground.sealer, allowed_targets(settings))
    kept = min(settings.events_kept, KEPT_IN_MEMORY) if in_memory else settings.events_kept
    relay = Relay(database, ground.kv, clock, dispatcher, kept=kept)
    relay.tell_leader = signals.events_written
    signals.on_written = relay.wake
    relay.start()
    ground.stack.push_async_callback(relay.stop)
    return relay


def allowed_targets(settings: Settings) -> Allowed:
    """Where webhooks may lead; in development also without TLS."""
    return Allowed(settings.webhook_networks, plain=settings.env == "development")


async def open_services(ground: Ground, wechat: WeChat, keys: Keys, sessions: Sessions) -> Kaimen:
    """What the handlers call."""
    settings, clock, database, sealer = ground.settings, ground.clock, ground.database, ground.sealer
    index, apps, revocations = keys.index, ground.apps, sessions.revocations
    limits = open_limits(ground)
    open_data = OpenData(database, sealer, apps, clock)
    profiles = make_profiles(ground, wechat, index, open_data)
    profiles.on_update = sessions.signals.user_updated
    storage = open_storage(settings, clock)
    ground.stack.callback(storage.close)
    avatars = Avatars(database, clock, storage, profiles, limits)
    passwords = await open_passwords(ground)
    exchange = CodeExchange(ground.kv, database, clock, patience_s=settings.wx_budget_s + EXCHANGE_SLACK_S)
    auth = open_auth(ground, wechat, keys, sessions, passwords, exchange, profiles, limits)
    user_tokens = UserTokens(database, clock, sealer, wechat.client)
    people = People(database, clock, index, revocations, profiles, user_tokens, wechat.client)
    ground.stack.push_async_callback(people.close)
    channels = Channels(settings, apps, wechat.client, wechat.access_tokens)
    scans, scan_hub = open_scans(ground, channels, sessions, limits, profiles)
    push, pay = open_callbacks(ground, people, OfficialScans(scans, channels, people.tell))
    return Kaimen(
        settings,
        clock,
        apps,
        keys.keyring,
        auth,
        sessions.guard,
        profiles,
        avatars,
        open_data,
        open_health(ground),
        bindings=Bindings(database, clock, sealer, index, apps, wechat.client, revocations, profiles),
        credentials=Credentials(database, clock, sealer, passwords, revocations, limits),
        privacy=Privacy(database, clock, sealer, index, revocations, avatars),
        service_credentials=open_service_credentials(ground),
        introspection=Introspection(database, clock, sessions.guard, keys.tokens),
        directory=Directory(apps, database, clock, sealer, index, revocations),
        lending=TokenLending(apps, wechat.client, wechat.access_tokens),
        limits=limits,
        cookies=sessions.cookies,
        wafer=open_wafer(ground, keys, sessions, auth, profiles),
        session_list=SessionList(database, revocations, clock),
        session_hub=sessions.hub,
        signals=sessions.signals,
        trail=await open_trail(ground, index, storage),
        oauth=make_oauth(ground, wechat, sessions, exchange, profiles, user_tokens, limits),
        tickets=Tickets(database, clock, keys.keyring, sessions.grants, limits, ttl_s=settings.refresh_ttl_s),
        js_sdk=JsSdk(settings, clock, apps, wechat.tickets),
        scans=scans,
        scan_hub=scan_hub,
        push=push,
        pay=pay,
        partners=Partners(settings.partners, database, clock, scans),
        devices=Devices(database),
        relay=open_relay(ground, sessions.signals),
    )


def open_limits(ground: Ground) -> Limits:
    """Limits on guessing and mass registration."""
    limits = Limits(ground.kv, ground.clock, ground.settings.limits, on=ground.settings.rate_limits == "on")
    ground.stack.push_async_callback(limits.close)
    return limits


async def open_passwords(ground: Ground) -> Passwords:
    """The thread on which passwords are checked."""
    common_passwords.load()
    passwords = Passwords(await find_bcrypt_cost(ground.database))
    ground.stack.callback(metrics.PASSWORDS.watch(passwords.waiting))
    return passwords


def open_health(ground: Ground) -> Health:
    """What probes ask."""
    health = Health(ground.database, ground.kv, ground.clock_watch)
    ground.stack.callback(metrics.UNDER_WAY.watch(health.under_way))
    return health


def open_auth(
    ground: Ground,
    wechat: WeChat,
    keys: Keys,
    sessions: Sessions,
    passwords: Passwords,
    exchange: CodeExchange,
    profiles: Profiles,
    limits: Limits,
) -> Auth:
    """Register, login, autoLogin."""
    auth = Auth(
        ground.settings,
        ground.database,
        ground.clock,
        ground.apps,
        ground.sealer,
        keys.index,
        keys.tokens,
        sessions.grants,
        sessions.guard,
        passwords,
        exchange,
        wechat.client,
        profiles,
        limits,
    )
    ground.stack.push_async_callback(auth.close)
    return auth


def make_oauth(
    ground: Ground,
    wechat: WeChat,
    sessions: Sessions,
    exchange: CodeExchange,
    profiles: Profiles,
    user_tokens: UserTokens,
    limits: Limits,
) -> OAuthLogin:
    """Sign-in by redirect."""
    return OAuthLogin(
        ground.settings,
        ground.kv,
        ground.clock,
        ground.apps,
        wechat.client,
        exchange,
        sessions.grants,
        limits,
        profiles,
        user_tokens,
    )


def open_scans(
    ground: Ground, channels: Channels, sessions: Sessions, limits: Limits, profiles: Profiles
) -> tuple[Scans, Hub]:
    """QR login."""
    settings, kv, clock = ground.settings, ground.kv, ground.clock
    hub = Hub(kv, clock, limited=limits.on)
    regions = Regions(settings.geoip_file)
    ground.stack.callback(regions.close)
    scans = Scans(settings, ground.database, kv, clock, hub, channels, limits, sessions.grants, profiles, regions)
    hub.start()
    ground.stack.callback(metrics.SOCKETS.watch(hub.size))
    ground.stack.push_async_callback(hub.stop)
    return scans, hub


def make_profiles(ground: Ground, wechat: WeChat, index: BlindIndex, open_data: OpenData) -> Profiles:
    """Profiles, their nicknames checked by WeChat if the settings say so."""
    settings, database, apps = ground.settings, ground.database, ground.apps
    on = settings.content_check == "on"
    return Profiles(
        database,
        ground.clock,
        ground.sealer,
        index,
        apps,
        open_data,
        wechat.client,
        wechat.access_tokens,
        NicknameCheck(database, apps, wechat.client, wechat.access_tokens, on=on),
        avatar_base=f"{settings.public_url}{settings.path_prefix}/avatar",
    )


def open_wafer(ground: Ground, keys: Keys, sessions: Sessions, auth: Auth, profiles: Profiles) -> Wafer:
    """Wafer's clients, whose sessions are ours."""
    checks, ttl_s = CookieChecks(ground.database), ground.settings.refresh_ttl_s
    skeys = Cookies(keys.keyring, keys.tokens, checks, sessions.revocations, ground.clock, ttl_s=ttl_s, purpose="skey")
    wafer = Wafer(auth, skeys, profiles)
    ground.stack.push_async_callback(wafer.close)
    return wafer


def open_service_credentials(ground: Ground) -> ServiceCredentials:
    """Credentials of other services; remembers those it has verified."""
    credentials = ServiceCredentials(ground.database, ground.kv, ground.clock, ground.sealer)
    ground.stack.push_async_callback(credentials.close)
    return credentials


async def open_trail(ground: Ground, index: BlindIndex, storage: AvatarStorage) -> Trail:
    """The audit, and what deletes its old entries."""
    trail = Trail(ground.database, ground.clock, index)
    ground.stack.push_async_callback(trail.close)
    pruner = Pruner(ground.database, ground.clock, ground.settings, storage)
    await pruner.start()
    ground.stack.push_async_callback(pruner.stop)
    return trail


def open_callbacks(ground: Ground, people: People, official: OfficialScans) -> tuple[Push, PayNotifications]:
    """The message push and WeChat Pay's notifications, and what works on what they brought."""
    push = Push(ground.apps, ground.clock, {**people.actions, **official.actions}, people.tell)
    pay = PayNotifications(ground.settings.merchants, ground.database, ground.clock)
    works: dict[str, Work] = {"wechat": push.work, "wechatpay": pay.work}
    push.intake = pay.intake = intake = Intake(ground.database, ground.clock, ground.sealer, works)
    intake.start()
    ground.stack.push_async_callback(intake.stop)
    return push, pay


async def find_bcrypt_cost(database: Database) -> int:
    """The highest cost among imported bcrypt hashes, 0 if there were none."""
    return int(await notes.find_note(database, BCRYPT_NOTE) or 0)


def keys_kept_ms(settings: Settings) -> dict[str, int]:
    """How long a key verifies after it stopped signing: what it signed has ended by then."""
    lives_s = {"access": settings.access_ttl_s + 2 * LEEWAY_S, "refresh": settings.session_max_s + 86_400}
    return {purpose: max(KEEP_MS[purpose], life_s * 1000) for purpose, life_s in lives_s.items()}


def make_sealer(settings: Settings) -> Sealer:
    """Seals under the newest master key."""
    return Sealer([(key_id, base64.b64decode(key.get_secret_value())) for key_id, key in settings.master_keys])
