"""The composition root: from settings to services, and back down in the reverse order."""

import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from app.apps import Apps
from app.auth.exchange import CodeExchange
from app.auth.keyring import open_keyring
from app.auth.revocation import Revocations
from app.auth.sign_in import Auth
from app.auth.tokens import LEEWAY_S, Tokens
from app.crypto.passwords import Passwords
from app.crypto.sealing import BlindIndex, Sealer
from app.health import Health
from app.kaimen import Kaimen
from app.operations.retention import Pruner
from app.operations.trail import Trail
from app.users.open_data import OpenData
from app.users.profile import Profiles
from app.wechat.access_token import AccessTokens
from app.wechat.client import WeChatClient
from core.clock import Clock
from core.observe.logs import get_logger
from core.settings import Settings
from models import notes
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
        access_tokens = AccessTokens(wechat, kv, clock, sealer)
        stack.push_async_callback(access_tokens.close)

        keyring = await open_keyring(database, sealer, clock)
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

        apps = Apps(settings.apps)
        open_data = OpenData(database, sealer, apps, clock)
        profiles = Profiles(database, clock, sealer, index, apps, open_data, wechat, access_tokens)
        exchange = CodeExchange(kv, database, clock, patience_s=settings.wx_budget_s + EXCHANGE_SLACK_S)
        auth = Auth(
            settings,
            database,
            clock,
            apps,
            sealer,
            index,
            tokens,
            Passwords(await find_bcrypt_cost(database)),
            revocations,
            exchange,
            wechat,
            profiles,
        )
        stack.push_async_callback(auth.close)
        trail = Trail(database, clock, index)
        stack.push_async_callback(trail.close)
        pruner = Pruner(database, clock, settings)
        await pruner.start()
        stack.push_async_callback(pruner.stop)
        yield Kaimen(settings, clock, keyring, auth, profiles, open_data, Health(database, kv), trail)


async def find_bcrypt_cost(database: Database) -> int:
    """The highest cost among imported bcrypt hashes, 0 if there were none."""
    return int(await notes.find_note(database, BCRYPT_NOTE) or 0)


def make_sealer(settings: Settings) -> Sealer:
    """Seals under the newest master key."""
    return Sealer([(key_id, base64.b64decode(key.get_secret_value())) for key_id, key in settings.master_keys])


def log_wechat_call(
    api: str, appid: str, outcome: str, errcode: int | None, rid: str | None, duration_s: float
) -> None:
    """One line for each call that did not simply succeed; those that did are at debug level."""
    log = get_logger()
    write = log.debug if outcome == "ok" else log.info
    write("wechat", api=api, appid=appid, outcome=outcome, errcode=errcode, rid=rid, ms=round(duration_s * 1000, 1))
