"""One webhook's way through the events: each user's in order, several users at once, on its own connections.

What it takes leaves no trace but the place it has come to. What it does not take becomes a row, and so does whatever
concerns the same user behind it; the events of others go on. A webhook that takes nothing is left alone for a while.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from app.crypto.sealing import CannotUnseal, Sealer
from app.events import signing
from app.events.delivery import AT_ONCE, Courier, Outcome
from app.events.pace import Pace
from app.users.views import rfc3339
from core import failpoints
from core.clock import Clock
from core.errors import AppError
from core.observe import metrics, traces
from core.observe.logs import get_logger
from models import deliveries, publishing, webhooks
from models.db import Database
from models.deliveries import Failed, Waiting
from models.publishing import LeaseLost, Position, Told
from models.webhooks import Webhook

WINDOW = 500
CHAIN = 100
LOOK_S = 1.0  # for what no signal told of: events due again, an operator's wish
AWAY_S = 1.0


class Lane:
    """``run`` delivers until it is cancelled, the lease is lost or the webhook is gone."""

    def __init__(
        self, database: Database, clock: Clock, sealer: Sealer, courier: Courier, pace: Pace, webhook: Webhook
    ) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._courier = courier
        self._pace = pace
        self._id = webhook.id
        self.name = webhook.name
        self._new = asyncio.Event()
        self._outcome: tuple[str, int] | None = None

    @property
    def is_suspect(self) -> bool:
        """Whether the webhook takes nothing."""
        return self._pace.is_suspect

    def wake(self) -> None:
        """Events were published."""
        self._new.set()

    async def run(self, holder: str) -> None:
        """See the class."""
        with contextlib.suppress(LeaseLost):
            while webhook := await self._find():
                try:
                    went_on = await self._round(holder, webhook)
                except AppError as error:
                    get_logger().warning("a webhook waits", webhook=webhook.name, cause=error.cause)
                    await asyncio.sleep(AWAY_S)
                    continue
                if not went_on:
                    await self._wait()

    async def _find(self) -> Webhook | None:
        while True:
            try:
                found = await webhooks.find_webhooks(self._database)
                return next((one for one in found if one.id == self._id), None)
            except AppError:
                await asyncio.sleep(AWAY_S)

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await self._new.wait()
        self._new.clear()

    async def _round(self, holder: str, webhook: Webhook) -> bool:
        """Whether there may be more to do at once."""
        if self._pace.is_paused:
            return False
        post = self._poster(webhook)
        if post is None:
            return False
        retried = await self._retry(holder, post)
        if self._pace.is_suspect:
            return False
        return await self._go_on(holder, webhook, post) or retried

    # --- what is new ---

    async def _go_on(self, holder: str, webhook: Webhook, post: "Post") -> bool:
        events = await publishing.find_published(self._database, webhook.reached, WINDOW)
        if not events:
            return False
        wanted = [event for event in events if not webhook.types or event.type in webhook.types]
        held = await deliveries.find_held(self._database, self._id, list({event.user_id for event in wanted}))
        chains = _by_user(event for event in wanted if event.user_id not in held)
        failed = await _at_once(self._deliver(chain, post) for chain in chains)
        failpoints.reach("webhook.posted")
        last = events[-1]
        reached = Position(last.published_at or 0, last.user_id, last.seq)
        waiting = [event for event in wanted if event.user_id in held]
        steps = (webhook.reached, reached)
        await deliveries.settle_window(
            self._database, holder, self._id, steps, [one for one in failed if one], waiting, self._outcome
        )
        return True

    async def _deliver(self, chain: list[Told], post: "Post") -> Failed | None:
        for index, event in enumerate(chain):
            behind = tuple(chain[index + 1 :])
            if self._pace.is_suspect:
                return Failed(event, "", 0, self._pace.resume_at, behind, attempts=0)
            outcome = await post(event)
            if not outcome.ok:
                return Failed(event, outcome.word, self._clock.now_ms(), self._pace.due_after(1), behind)
        return None

    # --- what was not taken before ---

    async def _retry(self, holder: str, post: "Post") -> bool:
        now = self._clock.now_ms()
        count = 1 if self._pace.is_suspect else AT_ONCE
        users = await deliveries.find_due_users(self._database, self._id, now, count)
        if not users and self._pace.is_suspect and await deliveries.find_next_due(self._database, self._id) is None:
            self._pace.relent()
        await _at_once(self._retry_user(holder, user_id, post) for user_id in users)
        return bool(users)

    async def _retry_user(self, holder: str, user_id: str, post: "Post") -> None:
        chain = await deliveries.find_chain(self._database, self._id, user_id, 1 if self._pace.is_suspect else CHAIN)
        done: list[str] = []
        failed, dead = None, False
        for waiting in chain:
            outcome = await post(waiting.event)
            if not outcome.ok:
                failed = self._failed_again(waiting, outcome)
                dead = self._pace.gives_up(failed.first_at)
                break
            done.append(waiting.id)
        now = self._clock.now_ms()
        await deliveries.settle_chain(self._database, holder, self._id, user_id, done, failed, dead, now)

    def _failed_again(self, waiting: Waiting, outcome: Outcome) -> Failed:
        attempts = waiting.attempts + 1
        first_at = waiting.first_at or self._clock.now_ms()
        return Failed(waiting.event, outcome.word, first_at, self._pace.due_after(attempts), attempts=attempts)

    # --- one POST ---

    def _poster(self, webhook: Webhook) -> "Post | None":
        try:
            secrets = secrets_of(self._sealer, webhook, self._clock.now_ms())
        except CannotUnseal as error:
            get_logger().error("a webhook's secret cannot be unsealed", webhook=webhook.name, cause=str(error))
            return None

        async def post(event: Told) -> Outcome:
            body = body_of(event)
            headers = signing.headers_of(secrets, event.id, self._clock.now_ms() // 1000, body)
            with traces.trace(f"webhook {webhook.name}", "client", _about(webhook, event)) as span:
                if span.traceparent:
                    headers["traceparent"] = span.traceparent
                outcome = await self._courier.post(webhook.url, headers, body)
                _note_outcome(span, outcome)
            self._note(webhook, event, outcome)
            return outcome

        return post

    def _note(self, webhook: Webhook, event: Told, outcome: Outcome) -> None:
        self._outcome = outcome.word, self._clock.now_ms()
        metrics.WEBHOOK_POSTS.inc(webhook.name, outcome.word)
        if outcome.ok:
            self._pace.succeeded()
            return
        self._pace.failed()
        get_logger().info("webhook refused", webhook=webhook.name, event_id=event.id, outcome=outcome.word)


Post = Callable[[Told], Awaitable[Outcome]]
T = TypeVar("T")


def body_of(event: Told) -> bytes:
    """The event as JSON; ``data`` as it is stored. The other values are ours and need no escaping."""
    subject = f'"{event.subject}"' if event.subject else "null"
    head = f'"id":"{event.id}","seq":{event.seq},"type":"{event.type}","occurredAt":"{rfc3339(event.occurred_at)}"'
    return f'{{{head},"subject":{subject},"data":{event.data}}}'.encode()


def _about(webhook: Webhook, event: Told) -> traces.Attributes:
    """Without the URL: its path or query may be what lets one in."""
    return {"http.request.method": "POST", "kaimen.webhook": webhook.name, "kaimen.event_id": event.id}


def _note_outcome(span: traces.Span, outcome: Outcome) -> None:
    span.set({"kaimen.webhook.outcome": outcome.word})
    if not outcome.ok:
        span.fail(outcome.word)


def secret_context(webhook_id: str) -> str:
    """Where a sealed secret belongs."""
    return f"webhooks/{webhook_id}"


def secrets_of(sealer: Sealer, webhook: Webhook, now: int) -> list[str]:
    """The secret, and the one before while it still signs; raises ``CannotUnseal``."""
    sealed = [webhook.sealed]
    if webhook.previous_sealed and now < webhook.previous_until:
        sealed.append(webhook.previous_sealed)
    return [sealer.unseal(one, secret_context(webhook.id)) for one in sealed]


def _by_user(events: Iterable[Told]) -> list[list[Told]]:
    chains: dict[str, list[Told]] = {}
    for event in events:
        chains.setdefault(event.user_id, []).append(event)
    return list(chains.values())


async def _at_once(work: Iterable[Awaitable[T]]) -> Sequence[T]:
    """All results, ``AT_ONCE`` at a time."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(awaitable: Awaitable[T]) -> T:
        async with free:
            return await awaitable

    return await asyncio.gather(*(one(each) for each in work))
