"""The one table of settings: name, type, default, meaning; checked before anything starts.

Read, the earlier winning: environment (``KAIMEN_PORT``), secret files (``KAIMEN_MASTER_KEYS_FILE=/path``),
``.env``, ``kaimen.toml`` (``port = 8000``). Values are never part of a message: they may be secrets.
"""

import base64
import binascii
import ipaddress
import json
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from core.limits import Limit, parse_limits

PREFIX = "KAIMEN_"
TOML = Path("kaimen.toml")
OF_SCRIPTS = {"KAIMEN_PYTHON", "KAIMEN_TEST_WORKERS"}  # for scripts/, not for us
DEFAULT_PORTS = {"http": 80, "https": 443}
RETAINED = ("audit", "sessions", "outbox")
DAYS_MAX = 36500
WECHAT_API_URL = "https://api.weixin.qq.com"


class SettingsInvalid(Exception):
    """The start is refused; ``faults`` holds one line for each fault, naming the setting and never its value."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class App(BaseModel):
    """One WeChat application of ``KAIMEN_APPS``."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    appid: str = Field(pattern=r"^wx[0-9a-z]{16}$")
    kind: Literal["miniprogram", "official", "website"] = "miniprogram"
    sealed_secret: SecretStr = Field(min_length=1, alias="secret")
    access_token_url: SecretStr | None = Field(None, alias="accessTokenUrl")

    @field_validator("access_token_url")
    @classmethod
    def _check_token_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not _is_token_url(value.get_secret_value()):
            raise ValueError("must be http(s)://service:secret@host/api/wechat/<appid>/access-token")
        return value

    @property
    def secret(self) -> str:
        """The AppSecret in clear, for the call that needs it; the model itself never shows it."""
        return self.sealed_secret.get_secret_value()


class Settings(BaseSettings):
    """Every setting, typed; ``description`` is what ``docs/settings.md`` says of it."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", toml_file=TOML, extra="ignore", frozen=True)

    env: Literal["production", "development"] = Field(
        "production",
        description="`development` allows plain http, the simulator, generated keys, and defaults for everything below",
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on")
    unix_socket: Path | None = Field(None, description="listen on this Unix socket instead of host and port")
    public_url: str = Field(
        "",
        description="the URL under which clients see us, without a path: issuer of the tokens; required in production",
    )
    path_prefix: str = Field(
        "", pattern=r"^(/[A-Za-z0-9._~-]+)*$", description="all paths hang below it, such as `/login`"
    )
    audience: str = Field("", description="`aud` of the access tokens; the public URL unless set")
    database_url: SecretStr = Field(
        SecretStr(""),
        description="`mysql://user:password@host:3306/name?ssl=…` or `sqlite:///path` (one process); "
        "required in production",
    )
    redis_url: SecretStr = Field(
        SecretStr(""),
        description="`redis://…`, `rediss://…` or `memory://` (one process); required in production",
    )
    apps: tuple[App, ...] = Field(
        (),
        description='JSON list of `{"appid", "kind": "miniprogram" \\| "official" \\| "website", "secret", '
        '"accessTokenUrl"?}`',
    )
    master_keys: Annotated[tuple[tuple[str, SecretStr], ...], NoDecode] = Field(
        (),
        description="`id:base64(32 bytes)`, newest first, separated by commas: seals session_key, phone and "
        "signing keys at rest; required in production",
    )
    wechat_api_url: str = Field(WECHAT_API_URL, description="WeChat's API host; the simulator in development")
    wx_budget_s: float = Field(
        3.0, gt=0, le=30, description="seconds: the whole time budget for WeChat inside one request"
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="addresses or networks (or `unix`), separated by commas, whose `X-Forwarded-For` is believed",
    )
    auto_register: bool = Field(True, description="a `login` with the code of an unknown user registers the user")
    access_ttl_s: int = Field(900, ge=60, le=86400, description="seconds an access token lives")
    refresh_ttl_s: int = Field(604800, ge=300, description="seconds an unused refresh token lives")
    session_max_s: int = Field(
        7776000, ge=3600, description="seconds after which a session ends however much it is used"
    )
    max_sessions: int = Field(20, ge=1, le=1000, description="sessions a user may have; the oldest gives way")
    rate_limits: Literal["on", "off"] = Field(
        "on", description="`off` lifts all limits, for measuring; the log says so at the start"
    )
    limits: Annotated[dict[str, Limit], NoDecode] = Field(
        {}, description='JSON object of the limits to change, such as `{"password_account": "5/900"}`; see Limits'
    )
    web_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="origins, separated by commas, whose pages may use cookies and read replies; "
        "the public URL unless set",
    )
    retention_days: str = Field(
        "audit=190,sessions=30,outbox=7",
        description="days for which audit entries, sessions after their end and published events are kept; "
        "what is not named keeps its default",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level that is logged")
    log_format: Literal["json", "console"] = Field("json", description="JSON lines, or coloured text for people")
    data_dir: Path = Field(Path("var"), description="folder for generated keys, the embedded database and lock files")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Adds ``…_FILE`` and ``kaimen.toml`` to pydantic's own sources."""
        files = SecretFileSource(settings_cls)
        return init_settings, env_settings, files, dotenv_settings, TomlConfigSettingsSource(settings_cls)

    @field_validator("master_keys", mode="before")
    @classmethod
    def _parse_master_keys(cls, value: Any) -> Any:
        return [_parse_master_key(item) for item in _split(value)]

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _parse_proxies(cls, value: Any) -> Any:
        return [_parse_proxy(item) for item in _split(value)]

    @field_validator("limits", mode="before")
    @classmethod
    def _parse_limits(cls, value: Any) -> Any:
        return parse_limits(json.loads(value) if isinstance(value, str) else value)

    @field_validator("web_origins", mode="before")
    @classmethod
    def _parse_origins(cls, value: Any) -> Any:
        return [_parse_origin(item) for item in _split(value)]

    @field_validator("public_url", "wechat_api_url")
    @classmethod
    def _check_url(cls, value: str, info: ValidationInfo) -> str:
        parts = urlsplit(value)
        if value and (
            parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/") or parts.query
        ):
            raise ValueError("must be http(s)://host[:port] without a path")
        return value.rstrip("/")

    @property
    def origins(self) -> tuple[str, ...]:
        """Origins whose pages are believed to be ours."""
        return self.web_origins or tuple(_parse_origin(url) for url in [self.public_url] if url)

    @property
    def is_https(self) -> bool:
        """Whether clients reach us over TLS."""
        return self.public_url.startswith("https://")

    @field_validator("retention_days")
    @classmethod
    def _check_retention(cls, value: str) -> str:
        _parse_retention(value)
        return value

    @property
    def retention(self) -> dict[str, int]:
        """Days by what is kept, complete: ``audit``, ``sessions``, ``outbox``."""
        default = str(Settings.model_fields["retention_days"].default)
        return {**_parse_retention(default), **_parse_retention(self.retention_days)}

    def app(self, appid: str) -> App | None:
        """The configured app of that appid."""
        return next((app for app in self.apps if app.appid == appid), None)

    def default_app(self) -> App | None:
        """The first mini-program: meant where a client names no appid."""
        return next((app for app in self.apps if app.kind == "miniprogram"), None)


class SecretFileSource(EnvSettingsSource):
    """``KAIMEN_X_FILE`` names a file that holds the value of ``KAIMEN_X`` (systemd credentials, Docker secrets)."""

    def __call__(self) -> dict[str, Any]:
        """The settings given as files, by field name."""
        found: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            path = os.environ.get(f"{PREFIX}{name.upper()}_FILE")
            if path:
                value = _read_secret(name, path)
                _, _, complex_ = self.get_field_value(field, name)
                found[name] = self.prepare_field_value(name, field, value, self.field_is_complex(field) or complex_)
        return found


def load_settings(**overrides: Any) -> Settings:
    """The checked settings; raises ``SettingsInvalid``. ``overrides`` are command-line options and win."""
    try:
        settings = Settings(**{key: value for key, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise SettingsInvalid([_fault_line(fault) for fault in error.errors(include_input=False)]) from None
    except SettingsError as error:
        raise SettingsInvalid([_source_fault(error)]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise SettingsInvalid(["kaimen.toml or .env: is not valid TOML or UTF-8"]) from None
    if settings.env == "development":
        settings = settings.model_copy(update=development_defaults(settings))
    faults = find_faults(settings)
    if faults:
        raise SettingsInvalid(faults)
    return settings


def development_defaults(settings: Settings) -> dict[str, Any]:
    """What development fills in where nothing is set: SQLite, in-process Redis, a key kept in the data folder."""
    given: dict[str, Any] = {
        "public_url": settings.public_url or f"http://127.0.0.1:{settings.port}",
        "database_url": settings.database_url.get_secret_value() or f"sqlite:///{settings.data_dir}/kaimen.db",
        "redis_url": settings.redis_url.get_secret_value() or "memory://",
    }
    given["audience"] = settings.audience or given["public_url"]
    given["database_url"] = SecretStr(given["database_url"])
    given["redis_url"] = SecretStr(given["redis_url"])
    given["master_keys"] = settings.master_keys or (_development_key(settings.data_dir),)
    return given


def find_faults(settings: Settings) -> list[str]:
    """What single fields cannot see: what is missing, what only development allows."""
    faults = [
        f"{PREFIX}{name.upper()}: is required"
        for name in ("public_url", "database_url", "redis_url", "master_keys")
        if not _given(getattr(settings, name))
    ]
    faults += _url_faults(settings) + _app_faults(settings)
    key_ids = [key_id for key_id, _ in settings.master_keys]
    if len(set(key_ids)) < len(key_ids):
        faults.append(f"{PREFIX}MASTER_KEYS: two keys have the same id")
    if settings.env == "production":
        faults += _production_faults(settings)
    return faults


def unknown_settings() -> list[str]:
    """Names that look like ours but are not: most often a slip of the pen."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    known |= {f"{name}_FILE" for name in known} | OF_SCRIPTS
    in_toml = tomllib.loads(TOML.read_text("utf-8")) if TOML.exists() else {}
    given = {name for name in os.environ if name.startswith(PREFIX)} | {PREFIX + name.upper() for name in in_toml}
    return sorted(given - known)


def _given(value: Any) -> bool:
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)


def _url_faults(settings: Settings) -> list[str]:
    allowed = {"database_url": ("mysql", "sqlite"), "redis_url": ("redis", "rediss", "unix", "memory")}
    faults = []
    for name, schemes in allowed.items():
        url = getattr(settings, name).get_secret_value()
        if url and url.split(":", 1)[0] not in schemes:
            faults.append(f"{PREFIX}{name.upper()}: must start with one of {', '.join(s + '://' for s in schemes)}")
        elif not _is_url(url):
            faults.append(f"{PREFIX}{name.upper()}: is not a URL; percent-encode special characters in the password")
    return faults


def _is_url(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _is_token_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return known and bool(parts.username and parts.password) and parts.path.endswith("/access-token")


def _app_faults(settings: Settings) -> list[str]:
    appids = [app.appid for app in settings.apps]
    twice = sorted({appid for appid in appids if appids.count(appid) > 1})
    return [f"{PREFIX}APPS: {appid} is listed twice" for appid in twice]


def _production_faults(settings: Settings) -> list[str]:
    faults = []
    if settings.public_url and not settings.public_url.startswith("https://"):
        faults.append(f"{PREFIX}PUBLIC_URL: must be https in production")
    if not settings.wechat_api_url.startswith("https://") or _is_loopback(settings.wechat_api_url):
        faults.append(f"{PREFIX}WECHAT_API_URL: must be https and not on this machine in production")
    if any(not origin.startswith("https://") for origin in settings.origins):
        faults.append(f"{PREFIX}WEB_ORIGINS: must be https in production")
    if not settings.apps:
        faults.append(f"{PREFIX}APPS: is required")
    for app in settings.apps:
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


def _split(value: Any) -> list[Any]:
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else list(value or ())


def _parse_proxy(item: str) -> str:
    try:
        return item if item == "unix" else str(ipaddress.ip_network(item))
    except ValueError:
        raise ValueError("must be addresses, networks or unix") from None


def _parse_origin(item: str) -> str:
    """RFC 6454 §6.2: scheme and host in lower case, the port only if it is not the scheme's own."""
    try:
        parts = urlsplit(item)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("must be origins, such as https://www.example.com") from None
    extra = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme not in {"http", "https"} or not host or extra:
        raise ValueError("must be origins, such as https://www.example.com")
    named = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{named}" + (f":{port}" if port and port != DEFAULT_PORTS[parts.scheme] else "")


def _parse_master_key(item: Any) -> tuple[str, str]:
    key_id, _, encoded = item.partition(":") if isinstance(item, str) else item
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a key must be id:base64") from None
    if not key_id.isalnum() or len(key) != 32 or len(set(key)) < 8:
        raise ValueError("a key must be id:base64 of 32 random bytes, its id letters and digits")
    return key_id, encoded


def _parse_retention(value: str) -> dict[str, int]:
    found = {}
    for item in _split(value):
        name, _, days = item.partition("=")
        if name not in RETAINED or not days.isascii() or not days.isdigit() or not 1 <= int(days[:6]) <= DAYS_MAX:
            raise ValueError(f"must be name=days, separated by commas; names: {', '.join(RETAINED)}; at least 1 day")
        found[name] = int(days)
    return found


def _development_key(data_dir: Path) -> tuple[str, SecretStr]:
    path = data_dir / "master.key"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(os.urandom(32)))
    return "dev", SecretStr(path.read_text().strip())


def _read_secret(name: str, path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise SettingsInvalid([f"{PREFIX}{name.upper()}_FILE: cannot be read ({reason})"]) from None


def _fault_line(fault: Any) -> str:
    name, *path = (str(part) for part in fault["loc"])
    where = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in path)
    return f"{PREFIX}{name.upper()}{where}: {fault['msg'].removeprefix('Value error, ')}"


def _source_fault(error: SettingsError) -> str:
    words = str(error).split('"')
    name = words[1] if len(words) > 1 else "settings"
    return f"{PREFIX}{name.upper()}: is not valid JSON"
