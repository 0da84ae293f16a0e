"""What the handlers call: the services of one process, put together by ``cli.compose``."""

from dataclasses import dataclass

from app.auth.keyring import Keyring
from app.auth.sign_in import Auth
from app.health import Health
from app.operations.trail import Trail
from app.users.open_data import OpenData
from app.users.profile import Profiles
from core.clock import Clock
from core.settings import Settings


@dataclass(frozen=True, slots=True)
class Kaimen:
    """One attribute per concern."""

    settings: Settings
    clock: Clock
    keyring: Keyring
    auth: Auth
    profiles: Profiles
    open_data: OpenData
    health: Health
    trail: Trail
