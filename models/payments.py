"""What WeChat Pay's notifications say, as events: one transaction each, that also finishes the delivery.

A second row of the inbox stands for the state of the transaction or refund itself: whatever notifications there are
of it, it is told once.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from models import inbox, outbox, users
from models.db import Database, Tx
from models.inbox import DONE, Delivery
from models.links import find_links
from models.users import User


@dataclass(frozen=True, slots=True)
class Notified:
    """An event to be told; ``state_key`` is the same for all notifications of this state, ``paid_key`` for all that
    concern this payment. Without ``openid`` it is the user's who paid, as far as we were told who did.
    """

    type: str
    data: dict[str, Any]
    state_key: str
    paid_key: str
    appid: str = ""
    openid: str = field(default="", repr=False)


async def tell(database: Database, notified: Notified | None, delivery: Delivery, at: int) -> None:
    """Tells it once and finishes the delivery; nothing is told of None. Raises ``AlreadyFinished``."""

    async def work(tx: Tx) -> None:
        if notified:
            await _tell_once(tx, notified, delivery, at)
        await inbox.finish(tx, delivery.id, at)

    await database.run(work)


async def _tell_once(tx: Tx, notified: Notified, delivery: Delivery, at: int) -> None:
    keys = [(delivery.source, notified.state_key), (delivery.source, notified.paid_key)]
    known = await inbox.find_deliveries(tx, keys)
    if keys[0] in known:
        return
    paid = known.get(keys[1])
    user = await _find_user(tx, notified, paid.answer if paid else "")
    if user:
        await users.note_change(tx, user, notified.type, notified.data, at)
    else:
        event = outbox.Event(None, outbox.NO_USER, notified.type, notified.data, at)
        await outbox.insert_events(tx, [event])
    state = replace(delivery, id=outbox.new_id(), dedup_key=notified.state_key, body=None, state=DONE)
    await inbox.insert_deliveries(tx, [replace(state, nonce_key=None, answer=user.id if user else "")])


async def _find_user(tx: Tx, notified: Notified, paid_by: str) -> User | None:
    """Locked: the user of the payer's openid, or who paid what is refunded."""
    user_id = paid_by
    if notified.openid:
        key = (notified.appid, notified.openid)
        user_id = (await find_links(tx, [key], [])).owners.get(key, "")
    return await users.lock_survivor(tx, user_id) if user_id else None
