"""The one table of settings: name, type, default, meaning."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from core.failpoints import PLACES
from core.limits import Limit, parse_limits
from core.settings.parsing import (
    is_certificate,
    is_token_url,
    parse_master_key,
    parse_network,
    parse_origin,
    parse_proxy,
    parse_retention,
    parse_rsa_key,
    serial_of,
    split,
)
from core.settings.secret_files import PREFIX, SecretFileSource

TOML = Path("kaimen.toml")
WECHAT_API_URL = "https://api.weixin.qq.com"
WECHAT_OPEN_URL = "https://open.weixin.qq.com"
WECHAT_MP_URL = "https://mp.weixin.qq.com"
PUSH_TOKEN = re.compile(r"[A-Za-z0-9]{3,32}", re.ASCII)
AES_KEY = re.compile(r"[A-Za-z0-9]{43}", re.ASCII)


class App(BaseModel):
    """One WeChat application of ``KAIMEN_APPS``."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    appid: str = Field(pattern=r"^wx[0-9a-z]{16}$")
    kind: Literal["miniprogram", "official", "website"] = "miniprogram"
    sealed_secret: SecretStr = Field(min_length=1, alias="secret")
    access_token_url: SecretStr | None = Field(None, alias="accessTokenUrl")
    disabled: bool = False
    page: str = Field("", pattern=r"^([A-Za-z0-9_-][A-Za-z0-9_/.-]{0,127})?$")
    env_version: Literal["release", "trial", "develop"] = Field("release", alias="envVersion")
    sealed_token: SecretStr | None = Field(None, alias="token")
    sealed_aes_key: SecretStr | None = Field(None, alias="encodingAesKey")
    push_mode: Literal["safe", "plain"] = Field("safe", alias="pushMode")

    @field_validator("sealed_token")
    @classmethod
    def _check_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not PUSH_TOKEN.fullmatch(value.get_secret_value()):
            raise ValueError("must be 3 to 32 letters or digits")
        return value

    @field_validator("sealed_aes_key")
    @classmethod
    def _check_aes_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not AES_KEY.fullmatch(value.get_secret_value()):
            raise ValueError("must be the 43 letters or digits of EncodingAESKey")
        return value

    @field_validator("access_token_url")
    @classmethod
    def _check_token_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not is_token_url(value.get_secret_value()):
            raise ValueError("must be http(s)://service:secret@host/api/wechat/<appid>/access-token")
        return value

    @property
    def secret(self) -> str:
        """The AppSecret in clear, for the call that needs it; the model itself never shows it."""
        return self.sealed_secret.get_secret_value()

    @property
    def token(self) -> str:
        """The Token of the message push in clear, empty if none is set."""
        return self.sealed_token.get_secret_value() if self.sealed_token else ""

    @property
    def encoding_aes_key(self) -> str:
        """The EncodingAESKey of the message push in clear, empty if none is set."""
        return self.sealed_aes_key.get_secret_value() if self.sealed_aes_key else ""


class PlatformKey(BaseModel):
    """A key WeChat Pay signs with: a platform certificate, or its public key (``PUB_KEY_ID_…``)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    serial: str = Field(pattern=r"^([0-9A-F]{8,40}|PUB_KEY_ID_[0-9]{1,40})$")
    key: str

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        parse_rsa_key(self.key)
        if self.serial.startswith("PUB_KEY_ID_") == is_certificate(self.key):
            raise ValueError("a serial in hex goes with a certificate, PUB_KEY_ID_… with a public key")
        if is_certificate(self.key) and serial_of(self.key) != int(self.serial, 16):
            raise ValueError("the certificate has another serial")
        return self


class Merchant(BaseModel):
    """One merchant of ``KAIMEN_MERCHANTS``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mchid: str = Field(pattern=r"^[0-9]{6,16}$")
    appids: tuple[str, ...] = Field(min_length=1)
    api_v3_key: SecretStr = Field(alias="apiV3Key")
    platform_keys: tuple[PlatformKey, ...] = Field(min_length=1, alias="platformKeys")

    @field_validator("api_v3_key")
    @classmethod
    def _check_api_key(cls, value: SecretStr) -> SecretStr:
        key = value.get_secret_value()
        if len(key) != 32 or not key.isascii() or len(set(key)) < 8:
            raise ValueError("must be 32 characters, as set in the merchant platform")
        return value

    def public_keys(self) -> dict[str, RSAPublicKey]:
        """Serial → key."""
        return {one.serial: parse_rsa_key(one.key) for one in self.platform_keys}


class Partner(BaseModel):
    """One partner of ``KAIMEN_PARTNERS``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    public_key: str = Field(alias="publicKey")

    @field_validator("public_key")
    @classmethod
    def _check_key(cls, value: str) -> str:
        parse_rsa_key(value)
        return value

    def rsa_key(self) -> RSAPublicKey:
        """The key, read."""
        return parse_rsa_key(self.public_key)


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
    admin_port: int = Field(
        8001,
        ge=0,
        le=65535,
        description="port for metrics and health; process n of several takes the nth after it; 0: none",
    )
    admin_host: str = Field(
        "127.0.0.1", description="address of the admin port; another one only where nobody but Prometheus reaches it"
    )
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
        description="`redis://…`, `rediss://…`, `redis+sentinel://…`, `redis+cluster://…` or `memory://` "
        "(one process); required in production",
    )
    apps: tuple[App, ...] = Field(
        (),
        description='JSON list of `{"appid", "kind": "miniprogram" \\| "official" \\| "website", "secret", '
        '"accessTokenUrl"?, "page"?, "envVersion"?, "token"?, "encodingAesKey"?, "pushMode"?, "disabled"?}`',
    )
    merchants: tuple[Merchant, ...] = Field(
        (),
        description='JSON list of `{"mchid", "appids", "apiV3Key", "platformKeys": [{"serial", "key"}]}`: whose '
        "notifications of WeChat Pay are taken",
    )
    partners: tuple[Partner, ...] = Field(
        (), description='JSON list of `{"name", "publicKey"}`: who may call `/callback/partner/{name}`'
    )
    master_keys: Annotated[tuple[tuple[str, SecretStr], ...], NoDecode] = Field(
        (),
        description="`id:base64(32 bytes)`, newest first, separated by commas: seals session_key, phone and "
        "signing keys at rest; required in production",
    )
    wechat_api_url: str = Field(WECHAT_API_URL, description="WeChat's API host; the simulator in development")
    wechat_open_url: str = Field(
        WECHAT_OPEN_URL, description="WeChat's host of consent pages; the simulator in development"
    )
    wechat_mp_url: str = Field(
        WECHAT_MP_URL, description="WeChat's host of QR code images; the simulator in development"
    )
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
    return_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="origins, separated by commas, that an OAuth login may return to; the public URL unless set",
    )
    retention_days: str = Field(
        "audit=190,sessions=30,outbox=7,callbacks=7",
        description="days for which audit entries, sessions after their end, published events and callbacks are kept; "
        "what is not named keeps its default",
    )
    events_kept: int = Field(
        100_000, ge=1000, description="about how many events the Redis Stream keeps; 1000 in the in-process Redis"
    )
    webhook_networks: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="private networks or addresses, separated by commas, that webhooks may lead to; public ones always",
    )
    failpoint: str = Field("", description="for tests: the place where the process kills itself; development only")
    avatar_storage: SecretStr = Field(
        SecretStr(""),
        description="`s3://key:secret@host/path?region=…`: an S3-compatible store for avatars (`s3+http://` without "
        "TLS); the folder `avatars` of the data folder unless set",
    )
    content_check: Literal["off", "on"] = Field(
        "off", description="`on` has WeChat check nicknames (msgSecCheck) before they are stored"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level that is logged")
    log_format: Literal["json", "console"] = Field("json", description="JSON lines, or coloured text for people")
    geoip_file: Path | None = Field(
        None,
        description="a MaxMind-format file (`.mmdb`) of cities: the confirm screen of a QR login names the region "
        "of the browser's address",
    )
    log_access_rate: float = Field(
        1.0, ge=0, le=1, description="share of the requests that succeeded that get a line; those that failed all do"
    )
    log_debug_rate: float = Field(
        0.0, ge=0, le=1, description="share of the requests whose debug lines are written, whatever the level"
    )
    otlp_url: SecretStr = Field(
        SecretStr(""),
        description="http(s) URL of an OpenTelemetry collector (OTLP over HTTP, such as `http://127.0.0.1:4318`) that "
        "traces are sent to; none are recorded unless set. `/v1/traces` is added to a URL without a path",
    )
    api_docs: Literal["on", "off"] = Field(
        "on", description="`off` hides `/docs`, `/openapi.json` and `/postman.json`; what they describe stays"
    )
    notify_url: SecretStr = Field(
        SecretStr(""),
        description="URL of a group robot of 企业微信, DingTalk or Feishu that `kaimen doctor --notify` tells; "
        "the secret of one that wants signed messages follows a `#`",
    )
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
        return [parse_master_key(item) for item in split(value)]

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _parse_proxies(cls, value: Any) -> Any:
        return [parse_proxy(item) for item in split(value)]

    @field_validator("webhook_networks", mode="before")
    @classmethod
    def _parse_networks(cls, value: Any) -> Any:
        return [parse_network(item) for item in split(value)]

    @field_validator("failpoint")
    @classmethod
    def _check_failpoint(cls, value: str) -> str:
        if value not in ("", *PLACES):
            raise ValueError(f"must be one of {', '.join(PLACES)}")
        return value

    @field_validator("limits", mode="before")
    @classmethod
    def _parse_limits(cls, value: Any) -> Any:
        return parse_limits(json.loads(value) if isinstance(value, str) else value)

    @field_validator("web_origins", "return_origins", mode="before")
    @classmethod
    def _parse_origins(cls, value: Any) -> Any:
        return [parse_origin(item) for item in split(value)]

    @field_validator("public_url", "wechat_api_url", "wechat_open_url", "wechat_mp_url")
    @classmethod
    def _check_url(cls, value: str, info: ValidationInfo) -> str:
        parts = urlsplit(value)
        if value and (
            parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/") or parts.query
        ):
            raise ValueError("must be http(s)://host[:port] without a path")
        return value.rstrip("/")

    @field_validator("otlp_url")
    @classmethod
    def _check_otlp_url(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if value.get_secret_value() and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError("must be http(s)://host[:port][/path]")
        return value

    @property
    def origins(self) -> tuple[str, ...]:
        """Origins whose pages are believed to be ours."""
        return self.web_origins or self.own_origin

    @property
    def returns(self) -> tuple[str, ...]:
        """Origins that a login may return to."""
        return self.return_origins or self.own_origin

    @property
    def own_origin(self) -> tuple[str, ...]:
        """That of the public URL, if it is set."""
        return tuple(parse_origin(url) for url in [self.public_url] if url)

    @property
    def is_https(self) -> bool:
        """Whether clients reach us over TLS."""
        return self.public_url.startswith("https://")

    @field_validator("retention_days")
    @classmethod
    def _check_retention(cls, value: str) -> str:
        parse_retention(value)
        return value

    @property
    def retention(self) -> dict[str, int]:
        """Days by what is kept, complete: ``audit``, ``sessions``, ``outbox``, ``callbacks``."""
        default = str(Settings.model_fields["retention_days"].default)
        return {**parse_retention(default), **parse_retention(self.retention_days)}

    def app(self, appid: str) -> App | None:
        """The configured app of that appid."""
        return next((app for app in self.apps if app.appid == appid), None)

    def default_app(self) -> App | None:
        """The first mini-program: meant where a client names no appid."""
        return next((app for app in self.apps if app.kind == "miniprogram"), None)
