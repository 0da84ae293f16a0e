"""What clients are given, as typed dictionaries: the shapes of ``data``, and of replies without the envelope.

Names are those on the wire. ``/openapi.json`` is made of them, and the tests hold every reply against them.
"""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", examples=["01a1fa5ba7b8724fb09afac3f781ed13"])]
Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", examples=["2026-11-20T19:07:53.144Z"])]
Seconds = Annotated[int, Field(ge=0, description="seconds")]
Kind = Literal["miniprogram", "official", "website"]
OpenedData = Annotated[
    dict[str, Any],
    Field(description="WeChat's open data without `openId`, `unionId` and `watermark`: its kind says what it has"),
]
ScanStateName = Literal["pending", "scanned", "confirmed", "redeemed", "cancelled", "expired"]


class Nothing(TypedDict):
    """An empty object: it is done."""


# --- users ---


class User(TypedDict):
    """A user as clients see it."""

    id: Id
    username: str | None
    nickname: str
    avatarUrl: str
    phone: Annotated[str | None, Field(description="masked, save for services", examples=["138****8002"])]
    email: str | None
    roles: list[str]
    createdAt: Time
    lastLoginAt: Time


class Binding(TypedDict):
    """A WeChat app through which the user can log in."""

    appid: str
    kind: Kind
    boundAt: Time


class OwnUser(User):
    """The user's own profile."""

    bindings: list[Binding]


class Avatar(TypedDict):
    """Where the uploaded picture is."""

    avatarUrl: str


class Phone(TypedDict):
    """The phone that was bound, masked."""

    phone: str | None


class Consent(TypedDict):
    """A word on a version of a policy."""

    policy: str
    version: str
    accepted: bool
    at: Time


# --- signing in ---


class LoginWarning(TypedDict):
    """What came along with a login and failed."""

    code: int
    error: str
    data: NotRequired[dict[str, Any]]


class Session(TypedDict):
    """What every sign-in is answered."""

    sessionId: Id
    isNewUser: bool
    user: User
    warnings: NotRequired[list[LoginWarning]]


class TokenSession(Session):
    """A session that is carried by tokens."""

    accessToken: str
    tokenType: Literal["Bearer"]
    expiresIn: Seconds
    refreshToken: str
    refreshExpiresIn: Seconds


class CookieSession(Session):
    """A session that is carried by cookies: asked for by ``cookie``."""

    xsrfToken: Annotated[str, Field(description="what unsafe methods send as `X-XSRFToken`")]


class OpenSession(TypedDict):
    """One of the user's sessions."""

    id: Id
    device: str
    address: str
    createdAt: Time
    lastSeenAt: Time
    current: bool


class OpenSessions(TypedDict):
    """Those that can be used, the one used last first."""

    sessions: list[OpenSession]


class Device(TypedDict):
    """A device that a partner bound to the user."""

    partner: str
    deviceId: str
    name: str
    boundAt: Time


class Devices(TypedDict):
    """Those of the user, the newest first."""

    devices: list[Device]


# --- export ---


class ExportedUser(TypedDict):
    """The row of a user, or of one that was merged into it, with the phone in full."""

    id: Id
    username: str | None
    nickname: str
    avatarUrl: str
    email: str | None
    externalId: str | None
    roles: list[str]
    disabledAt: Time | None
    mergedInto: Id | None
    passwordChangedAt: Time | None
    createdAt: Time
    updatedAt: Time
    lastLoginAt: Time
    phone: str | None


class ExportedIdentity(TypedDict):
    """A WeChat user bound to the account."""

    appid: str
    openid: str
    unionid: str | None
    kind: Kind
    boundAt: Time


class ExportedUnionid(TypedDict):
    """A person of an Open Platform account."""

    unionid: str
    boundAt: Time


class ExportedSession(TypedDict):
    """A session, open or ended."""

    id: Id
    appid: str | None
    openid: str | None
    authMethod: str
    authAt: Time
    createdAt: Time
    rotatedAt: Time
    expiresAt: Time
    endsAt: Time
    endedAt: Time | None
    endReason: str | None
    device: str
    address: str


class ExportedConsent(Consent):
    """A word on a policy, and from where."""

    address: str


class ExportedAvatar(TypedDict):
    """An uploaded picture, by the name of its file."""

    name: str
    createdAt: Time


class ExportedEvent(TypedDict):
    """What other services were told of the user."""

    id: Id
    userId: Id
    seq: int
    type: str
    data: dict[str, Any]
    occurredAt: Time


class ExportedAction(TypedDict):
    """What was done to the account, and by whom: ``user``, ``cli``, ``service`` and the like."""

    at: Time
    action: str
    actor: str
    address: str
    detail: dict[str, Any]


class Export(TypedDict):
    """Everything stored about the user."""

    exportedAt: Time
    user: ExportedUser
    aliases: list[ExportedUser]
    identities: list[ExportedIdentity]
    unionids: list[ExportedUnionid]
    sessions: list[ExportedSession]
    consents: list[ExportedConsent]
    devices: list[Device]
    avatars: list[ExportedAvatar]
    events: list[ExportedEvent]
    audit: list[ExportedAction]


# --- QR login ---


class ScannedBy(TypedDict):
    """What the page may show of who scanned."""

    nickname: str
    avatarUrl: str


class NewScan(TypedDict):
    """What a page gets that begins a QR login."""

    scanId: str
    pollSecret: Annotated[str, Field(description="the browser's alone: never in a URL, never in the QR")]
    state: Literal["pending"]
    version: int
    qrContent: str
    imageUrl: str
    matchCode: Annotated[str, Field(description="shown beside the QR, to be compared or picked on the phone")]
    expiresIn: Seconds
    pollInterval: Annotated[float, Field(description="seconds between two polls")]


class ScanState(TypedDict):
    """A scan as it stands."""

    version: int
    state: ScanStateName
    expiresIn: Seconds
    user: NotRequired[ScannedBy]
    ticket: NotRequired[Annotated[str, Field(description="once confirmed: redeems once")]]


class Browser(TypedDict):
    """The browser that asks to be let in."""

    name: str
    os: str
    address: str
    region: NotRequired[str]


class ConfirmScreen(TypedDict):
    """What the phone shows before the user confirms."""

    state: ScanStateName
    matchCode: str
    browser: Browser
    site: str
    requestedAt: Time


class ScanStep(TypedDict):
    """The state a scan has come to."""

    state: ScanStateName


# --- other services ---


class Identity(TypedDict):
    """A WeChat user."""

    appid: str
    openid: str
    unionid: str | None


class ServiceUser(User):
    """A user as services see it, the phone in full."""

    disabled: bool
    externalId: str | None
    unionids: list[str]
    identities: list[Identity]


class ServiceUsers(TypedDict):
    """Those that exist, each once, in the order of their ids."""

    users: list[ServiceUser]


class LentToken(TypedDict):
    """WeChat's access_token of an app."""

    accessToken: str
    expiresIn: Seconds


class JsSdkConfig(TypedDict):
    """What ``wx.config`` takes, with a list of APIs added by the page."""

    appId: str
    timestamp: int
    nonceStr: str
    signature: str


class PartnerAnswer(TypedDict):
    """What a partner is answered; the same for a repeat."""

    code: Literal[200, 201]
    message: Literal["success"]
    data: dict[str, Any]


class Introspected(TypedDict):
    """What a token stands for (RFC 7662 §2.2); only ``active`` where it is not valid now."""

    active: bool
    token_type: NotRequired[Literal["Bearer", "refresh_token"]]
    sub: NotRequired[Id]
    sid: NotRequired[Id]
    iss: NotRequired[str]
    aud: NotRequired[str]
    iat: NotRequired[int]
    exp: NotRequired[int]
    auth_time: NotRequired[int]
    scope: NotRequired[str]
    roles: NotRequired[list[str]]
    client_id: NotRequired[str]
    appid: NotRequired[str]


class PublicKey(TypedDict):
    """A public key (RFC 7517)."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: str
    y: str
    kid: str
    alg: Literal["ES256"]
    use: Literal["sig"]


class PublicKeys(TypedDict):
    """The public keys of the access tokens."""

    keys: list[PublicKey]


class Metadata(TypedDict):
    """Where everything is (RFC 8414)."""

    issuer: str
    jwks_uri: str
    introspection_endpoint: str
    introspection_endpoint_auth_methods_supported: list[str]
    response_types_supported: list[str]
    grant_types_supported: list[str]


# --- clients of Tencent's retired Wafer SDK ---


class WaferUser(TypedDict):
    """As ``wx.getUserInfo`` has it, without openId and unionId."""

    id: Id
    nickName: str
    avatarUrl: str
    gender: int
    language: str
    city: str
    province: str
    country: str


class WaferSession(TypedDict):
    """What a login is answered."""

    skey: str
    userinfo: WaferUser


class WaferLogin(TypedDict):
    """A login, in the SDK's envelope."""

    code: Literal[0]
    data: WaferSession


class WaferProfile(TypedDict):
    """A user, in the SDK's envelope."""

    code: Literal[0]
    data: WaferUser


# --- operations ---


class Readiness(TypedDict):
    """Whether requests may come."""

    status: Literal["ok", "degraded", "unavailable"]
    unusable: list[Literal["database", "redis", "clock", "stopping"]]
