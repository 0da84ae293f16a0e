"""The composition root: from settings to services, and back down in the reverse order."""

import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from app.accounts.bindings import Bindings
from app.accounts.credentials import Credentials
from app.accounts.privacy import Privacy
from app.apps import Apps
from app.auth.cookies import Cookies
from app.auth.exchange import CodeExchange
from app.auth.keyring import KEEP_MS, open_keyring
from app.auth.limits import Limits
from app.auth.revocation import Revocations
from app.auth.session_hub import SessionHub
from app.auth.session_list import SessionList
from app.auth.sign_in import Auth
from app.auth.signals import Signals
from app.auth.tokens import LEEWAY_S, Tokens
from app.crypto.passwords import Passwords
from app.crypto.sealing import BlindIndex, Sealer
from app.health import Health
from app.kaimen import Kaimen
from app.operations.retention import Pruner
from app.operations.trail import Trail
from app.services.credentials import ServiceCredentials
from app.services.directory import Directory
from app.services.introspection import Introspection
from app.services.lending import TokenLending
from app.users import common_passwords
from app.users.open_data import OpenData
from app.users.profile import Profiles
from app.wechat.access_token import AccessTokens
from app.wechat.client import WeChatClient
from app.wechat.elsewhere import TokensElsewhere
from core.clock import Clock
from core.observe.logs import get_logger
from core.settings import Settings
from models import notes
from models.cookie_checks import CookieChecks
from models.db import Database, open_database
from models.kv import open_kv
from models.notes import BCRYPT_NOTE

EXCHANGE_SLACK_S = 3.0  # beyond WeChat's budget: what the database may take after it


@asynccontextmanager
async def open_kaimen(settings: Settings, clock: Clock) -> AsyncIterator[Kaimen]:
    """The services of one process; closed in the reverse order, so that nothing under way loses its ground."""
    async with AsyncExitStack() as stack:
        database = open_database(settings.database_url.get_secret_value(), clock)
        stack.push_async_callback(database.close)
        kv = open_kv(settings.redis_url.get_secret_value(), clock)
        stack.push_async_callback(kv.close)
        wechat = WeChatClient(clock, api_url=settings.wechat_api_url, observer=log_wechat_call)
        stack.callback(wechat.close)
        sealer = make_sealer(settings)
        elsewhere = TokensElsewhere(settings.apps)
        stack.callback(elsewhere.close)
        access_tokens = AccessTokens(wechat, kv, clock, sealer, elsewhere)
        stack.push_async_callback(access_tokens.close)

        keyring = await open_keyring(database, sealer, clock, keys_kept_ms(settings))
        await keyring.start()
        stack.push_async_callback(keyring.stop)
        index = BlindIndex(keyring.index)
        tokens = Tokens(
            keyring,
            clock,
            issuer=settings.public_url,
            audience=settings.audience or settings.public_url,
            ttl_s=settings.access_ttl_s,
        )
        revocations = Revocations(database, clock, keep_s=settings.access_ttl_s + 2 * LEEWAY_S)
        await revocations.start()
        stack.push_async_callback(revocations.stop)
        session_hub = SessionHub()
        signals = Signals(kv, revocations, session_hub)
        signals.start()
        stack.push_async_callback(signals.stop)
        limits = Limits(kv, clock, settings.limits, on=settings.rate_limits == "on")
        stack.push_async_callback(limits.close)
        cookies = Cookies(keyring, tokens, CookieChecks(database), revocations, clock, ttl_s=settings.refresh_ttl_s)
        stack.push_async_callback(cookies.close)
        common_passwords.load()

        apps = Apps(settings.apps)
        open_data = OpenData(database, sealer, apps, clock)
        profiles = Profiles(database, clock, sealer, index, apps, open_data, wechat, access_tokens)
        profiles.on_update = signals.user_updated
        exchange = CodeExchange(kv, database, clock, patience_s=settings.wx_budget_s + EXCHANGE_SLACK_S)
        passwords = Passwords(await find_bcrypt_cost(database))
        auth = Auth(
            settings,
            database,
            clock,
            apps,
            sealer,
            index,
            tokens,
            passwords,
            revocations,
            exchange,
            wechat,
            profiles,
            limits,
        )
        stack.push_async_callback(auth.close)
        service_credentials = ServiceCredentials(database, kv, clock, sealer)
        stack.push_async_callback(service_credentials.close)
        trail = Trail(database, clock, index)
        stack.push_async_callback(trail.close)
        pruner = Pruner(database, clock, settings)
        await pruner.start()
        stack.push_async_callback(pruner.stop)
        yield Kaimen(
            settings,
            clock,
            keyring,
            auth,
            profiles,
            open_data,
            Health(database, kv),
            bindings=Bindings(database, clock, sealer, index, apps, wechat, revocations, profiles),
            credentials=Credentials(database, clock, sealer, passwords, revocations, limits),
            privacy=Privacy(database, clock, sealer, index, revocations),
            service_credentials=service_credentials,
            introspection=Introspection(database, clock, auth, tokens),
            directory=Directory(settings, database, clock, sealer, index, revocations),
            lending=TokenLending(apps, wechat, access_tokens),
            limits=limits,
            cookies=cookies,
            session_list=SessionList(database, revocations, clock),
            session_hub=session_hub,
            signals=signals,
            trail=trail,
        )


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


def log_wechat_call(
    api: str, appid: str, outcome: str, errcode: int | None, rid: str | None, duration_s: float
) -> None:
    """One line for each call that did not simply succeed; those that did are at debug level."""
    write = get_logger().debug if outcome == "ok" else get_logger().info
    write("wechat", api=api, appid=appid, outcome=outcome, errcode=errcode, rid=rid, ms=round(duration_s * 1000, 1))
