"""All descriptions, in the order in which they are shown; a test holds them against the table of routes."""

from collections.abc import Mapping
from typing import NamedTuple

from handlers.openapi import account, callbacks, health, pages, scans, services, signing_in, wafer
from handlers.openapi.operation import Operation


class Family(NamedTuple):
    """Operations that belong together: ``"POST /api/auth"`` → its description."""

    name: str
    says: str
    operations: Mapping[str, Operation]


FAMILIES = (
    Family("Signing in", "Register, log in, refresh, log out.", signing_in.OPERATIONS),
    Family("QR login", "A browser is let in by a phone.", scans.OPERATIONS),
    Family("The signed-in user", "Profile, phone, bindings, password, privacy, sessions.", account.OPERATIONS),
    Family("For other services", "Verifying tokens, users, WeChat's access_token.", services.OPERATIONS),
    Family("Wafer clients", "For clients of Tencent's retired SDK.", wafer.OPERATIONS),
    Family("Callbacks", "What WeChat, WeChat Pay and partners send.", callbacks.OPERATIONS),
    Family("Pages", "What browsers open.", pages.OPERATIONS),
    Family("Operations", "For supervisors and load balancers.", health.OPERATIONS),
)

# What stands in braces in a path.
IN_PATH = {
    "id": "the id of a user or a session",
    "appid": "the appid of a WeChat app of the settings",
    "scanId": "the id of a scan",
    "mchid": "the id of a merchant of the settings",
    "name": "the name of a picture, or of a partner of the settings",
    "path": "the path of a file",
}
