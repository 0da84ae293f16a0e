"""Places where a test can have the process killed, as a power cut would; nothing happens unless one is armed.

``KAIMEN_FAILPOINT`` names the place. Production refuses it.
"""

import os
import signal

OF_EVENTS = ("events.committed", "relay.taken", "relay.appended", "relay.marked", "webhook.posted")
OF_CALLBACKS = ("inbox.kept", "inbox.worked")
PLACES = (*OF_EVENTS, *OF_CALLBACKS)
_armed = ""


def arm(place: str) -> None:
    """From now on the process dies when it comes to that place; empty: nowhere."""
    global _armed
    _armed = place


def reach(place: str) -> None:
    """Marks the place."""
    if place == _armed:
        os.kill(os.getpid(), signal.SIGKILL)
