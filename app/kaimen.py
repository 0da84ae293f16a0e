"""What the handlers call: the services of one process, put together by ``cli.compose``."""

from dataclasses import dataclass

from app.accounts.bindings import Bindings
from app.accounts.credentials import Credentials
from app.accounts.devices import Devices
from app.accounts.privacy import Privacy
from app.apps import Apps
from app.auth.cookies import Cookies
from app.auth.guard import SessionGuard
from app.auth.keyring import Keyring
from app.auth.limits import Limits
from app.auth.session_hub import SessionHub
from app.auth.session_list import SessionList
from app.auth.sign_in import Auth
from app.auth.signals import Signals
from app.auth.wafer import Wafer
from app.avatars.service import Avatars
from app.callbacks.partner import Partners
from app.callbacks.pay import PayNotifications
from app.callbacks.push import Push
from app.events.relay import Relay
from app.health import Health
from app.oauth.jssdk import JsSdk
from app.oauth.login import OAuthLogin
from app.oauth.tickets import Tickets
from app.operations.trail import Trail
from app.scan.hub import Hub
from app.scan.service import Scans
from app.services.credentials import ServiceCredentials
from app.services.directory import Directory
from app.services.introspection import Introspection
from app.services.lending import TokenLending
from app.users.open_data import OpenData
from app.users.profile import Profiles
from core.clock import Clock
from core.settings import Settings


@dataclass(frozen=True, slots=True)
class Kaimen:
    """One attribute per concern."""

    settings: Settings
    clock: Clock
    apps: Apps
    keyring: Keyring
    auth: Auth
    guard: SessionGuard
    profiles: Profiles
    avatars: Avatars
    open_data: OpenData
    health: Health
    bindings: Bindings
    credentials: Credentials
    privacy: Privacy
    service_credentials: ServiceCredentials
    introspection: Introspection
    directory: Directory
    lending: TokenLending
    limits: Limits
    cookies: Cookies
    wafer: Wafer
    session_list: SessionList
    session_hub: SessionHub
    signals: Signals
    trail: Trail
    oauth: OAuthLogin
    tickets: Tickets
    js_sdk: JsSdk
    scans: Scans
    scan_hub: Hub
    push: Push
    pay: PayNotifications
    partners: Partners
    devices: Devices
    relay: Relay
