"""The webhooks an operator keeps: ``kaimen webhooks``."""

import re
from collections.abc import Sequence

from app.crypto.sealing import Sealer
from app.events import signing
from app.events.addresses import Allowed, TargetRefused
from app.events.delivery import Courier, Outcome
from app.events.lane import body_of, secret_context, secrets_of
from core.clock import Clock
from models import webhooks
from models.db import Database
from models.event_types import TEST, TYPES
from models.publishing import Told
from models.webhooks import Webhook

NAME = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
OVERLAP_MS = 24 * 3600 * 1000  # for which a replaced secret signs beside the new one


class WebhookRefused(Exception):
    """The operator's wish cannot be done; the message says why."""


class WebhookRegistry:
    """Adds, lists, tries, changes and removes webhooks."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock, allowed: Allowed) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._allowed = allowed

    async def add(self, name: str, url: str, types: Sequence[str], actor: str) -> str:
        """Stores a new webhook and returns its secret, which is never shown again; raises ``WebhookRefused``."""
        if not NAME.fullmatch(name):
            raise WebhookRefused("a name is 1 to 32 lower-case letters, digits and dashes and begins with a letter")
        unknown = sorted(set(types) - TYPES.keys())
        if unknown:
            raise WebhookRefused(f"no event has the type {', '.join(unknown)}")
        try:
            self._allowed.check_url(url)
        except TargetRefused as error:
            raise WebhookRefused(str(error)) from None
        webhook_id, secret = self._clock.new_id(), self._new_secret()
        sealed, chosen = self._sealer.seal(secret, secret_context(webhook_id)), sorted(set(types))
        now = self._clock.now_ms()
        if not await webhooks.insert_webhook(self._database, webhook_id, name, url, sealed, chosen, actor, now):
            raise WebhookRefused(f"there is a webhook {name} already; remove it first, or choose another name")
        return secret

    async def list_all(self) -> list[tuple[Webhook, webhooks.Counts]]:
        """All webhooks by name, and what did not arrive there."""
        counts = await webhooks.count_deliveries(self._database)
        return [(one, counts.get(one.id, webhooks.Counts())) for one in await webhooks.find_webhooks(self._database)]

    async def get(self, name: str) -> Webhook:
        """The webhook of that name; raises ``WebhookRefused``."""
        for one in await webhooks.find_webhooks(self._database):
            if one.name == name:
                return one
        raise WebhookRefused(f"there is no webhook {name}")

    async def test(self, name: str) -> Outcome:
        """Posts a ``webhook.test`` there, now and from here; raises ``WebhookRefused``, ``CannotUnseal``."""
        webhook, now = await self.get(name), self._clock.now_ms()
        event_id = self._clock.new_id()
        body = body_of(Told(event_id, "", 0, TEST, "{}", now))
        headers = signing.headers_of(secrets_of(self._sealer, webhook, now), event_id, now // 1000, body)
        courier = Courier(self._allowed)
        try:
            return await courier.post(webhook.url, headers, body)
        finally:
            courier.close()

    async def remove(self, name: str, actor: str) -> None:
        """No more events go there; raises ``WebhookRefused``."""
        if not await webhooks.delete_webhook(self._database, name, actor, self._clock.now_ms()):
            raise WebhookRefused(f"there is no webhook {name}")

    async def rotate_secret(self, name: str, actor: str) -> str:
        """A new secret; for a day each delivery is signed with the old one, too. Raises ``WebhookRefused``."""
        webhook, secret, now = await self.get(name), self._new_secret(), self._clock.now_ms()
        sealed = self._sealer.seal(secret, secret_context(webhook.id))
        if not await webhooks.replace_secret(self._database, webhook, sealed, now + OVERLAP_MS, actor, now):
            raise WebhookRefused(f"the secret of {name} was changed a moment ago")
        return secret

    def _new_secret(self) -> str:
        return signing.make_secret(self._clock.random_bytes(signing.SECRET_BYTES))
