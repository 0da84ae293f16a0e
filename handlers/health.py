"""``/healthz`` and ``/readyz``, for supervisors and load balancers."""

import json

from handlers.base import ApiHandler


class HealthHandler(ApiHandler):
    """``GET /healthz``."""

    is_traced = False

    def get(self) -> None:
        """The process lives."""
        self.set_header("Content-Type", "text/plain")
        self.finish("ok")

    head = get


class ReadyHandler(ApiHandler):
    """``GET /readyz``."""

    is_traced = False

    async def get(self) -> None:
        """200 ``ok`` or ``degraded``, else 503; names what is not usable."""
        health = await self.kaimen.health.check()
        self.set_status(503 if health["status"] == "unavailable" else 200)
        self.finish(json.dumps(health))

    head = get
