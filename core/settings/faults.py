"""What single fields cannot see: what is missing, what does not go together, what only development allows."""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from core.settings.secret_files import PREFIX
from core.settings.table import App, Settings

REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster", "memory")


def find_faults(settings: Settings) -> list[str]:
    """What single fields cannot see: what is missing, what only development allows."""
    faults = [
        f"{PREFIX}{name.upper()}: is required"
        for name in ("public_url", "database_url", "redis_url", "master_keys")
        if not _given(getattr(settings, name))
    ]
    faults += _url_faults(settings) + _app_faults(settings)
    faults += _twice("MERCHANTS", [one.mchid for one in settings.merchants])
    faults += _twice("PARTNERS", [one.name for one in settings.partners])
    for merchant in settings.merchants:
        faults += _twice("MERCHANTS", [one.serial for one in merchant.platform_keys])
    key_ids = [key_id for key_id, _ in settings.master_keys]
    if len(set(key_ids)) < len(key_ids):
        faults.append(f"{PREFIX}MASTER_KEYS: two keys have the same id")
    if settings.env == "production":
        faults += _production_faults(settings)
    return faults


def _given(value: Any) -> bool:
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)


def _url_faults(settings: Settings) -> list[str]:
    allowed = {
        "database_url": ("mysql", "sqlite"),
        "redis_url": REDIS_SCHEMES,
        "avatar_storage": ("s3", "s3+http"),
    }
    faults = []
    for name, schemes in allowed.items():
        url = getattr(settings, name).get_secret_value()
        if url and url.split(":", 1)[0] not in schemes:
            faults.append(f"{PREFIX}{name.upper()}: must start with one of {', '.join(s + '://' for s in schemes)}")
        elif url.startswith("redis+sentinel:") and not urlsplit(url).path.strip("/"):
            faults.append(f"{PREFIX}{name.upper()}: must name the primary after the sentinels: …:26379/NAME")
        elif not _is_url(url):
            faults.append(f"{PREFIX}{name.upper()}: is not a URL; percent-encode special characters in the password")
    if not _is_store(settings.avatar_storage.get_secret_value()):
        faults.append(f"{PREFIX}AVATAR_STORAGE: must be s3://key:secret@host/path?region=…")
    return faults


def _is_store(url: str) -> bool:
    parts = urlsplit(url)
    return not url or bool(parts.hostname and parts.username and parts.password)


def _is_url(url: str) -> bool:
    """Of one host or, for Sentinel and Cluster, of several separated by commas."""
    try:
        hosts = urlsplit(url).netloc.rpartition("@")[2].split(",")
        return all(urlsplit(f"//{host}").port != 0 for host in hosts)
    except ValueError:
        return False


def _app_faults(settings: Settings) -> list[str]:
    appids = [app.appid for app in settings.apps]
    twice = sorted({appid for appid in appids if appids.count(appid) > 1})
    faults = [f"{PREFIX}APPS: {appid} is listed twice" for appid in twice]
    for app in settings.apps:
        if app.token and not app.encoding_aes_key and app.push_mode == "safe":
            faults.append(f"{PREFIX}APPS: {app.appid} has a token and no encodingAesKey, which the safe mode needs")
    return faults


def _twice(setting: str, names: list[str]) -> list[str]:
    return [f"{PREFIX}{setting}: {name} is listed twice" for name in sorted({n for n in names if names.count(n) > 1})]


def _production_faults(settings: Settings) -> list[str]:
    faults = []
    if settings.public_url and not settings.public_url.startswith("https://"):
        faults.append(f"{PREFIX}PUBLIC_URL: must be https in production")
    faults += [
        f"{PREFIX}{name.upper()}: must be https and not on this machine in production"
        for name in ("wechat_api_url", "wechat_open_url", "wechat_mp_url")
        if not getattr(settings, name).startswith("https://") or _is_loopback(getattr(settings, name))
    ]
    for name, origins in {"web_origins": settings.origins, "return_origins": settings.returns}.items():
        if any(not origin.startswith("https://") for origin in origins):
            faults.append(f"{PREFIX}{name.upper()}: must be https in production")
    if settings.failpoint:
        faults.append(f"{PREFIX}FAILPOINT: is for development only")
    if _given(settings.notify_url) and not settings.notify_url.get_secret_value().startswith("https://"):
        faults.append(f"{PREFIX}NOTIFY_URL: must be https in production")
    if not settings.apps:
        faults.append(f"{PREFIX}APPS: is required")
    return faults + [fault for app in settings.apps for fault in _production_faults_of(app)]


def _production_faults_of(app: App) -> list[str]:
    faults = []
    if not _is_app_secret(app.secret):
        faults.append(f"{PREFIX}APPS: the secret of {app.appid} is not an AppSecret (32 hex digits)")
    if app.appid.startswith("wx00000000000000"):
        faults.append(f"{PREFIX}APPS: {app.appid} exists in the simulator only")
    if app.access_token_url and not app.access_token_url.get_secret_value().startswith("https://"):
        faults.append(f"{PREFIX}APPS: the accessTokenUrl of {app.appid} must be https in production")
    return faults


def _is_app_secret(secret: str) -> bool:
    return len(secret) == 32 and set(secret) <= set("0123456789abcdefABCDEF") and len(set(secret)) > 4


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
