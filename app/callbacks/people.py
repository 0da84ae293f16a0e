"""What is done about pushes that concern people: the rows of the table of events, and what becomes of all others.

| event                             | done                                                                            |
|-----------------------------------|---------------------------------------------------------------------------------|
| `unsubscribe`                     | the identity is forgotten; a user whom nothing else leads to is deleted         |
| `user_info_modified`              | nickname and avatar are asked for again, or cleared where WeChat tells them not |
| `user_authorization_revoke`       | what was withdrawn is deleted                                                   |
| `user_authorization_cancellation` | the user is deleted                                                             |
| `subscribe`, `SCAN`               | a QR login's scan is marked (`app.scan.official`)                               |
| any other, and messages           | an event `wechat.push`                                                          |

See miniprogram event_push/platform/authorized_user_information_changes.
"""

import re
from typing import Any

from app.accounts.privacy import pseudonym_of
from app.auth.revocation import Revocations
from app.callbacks.push import PushAction, Received
from app.crypto.sealing import BlindIndex
from app.oauth.user_tokens import UserTokens
from app.users.profile import Profiles
from app.wechat.client import WeChatClient
from core.clock import Clock, Deadline
from core.settings import App
from models import deletions, wechat_events
from models.db import Database
from models.wechat_events import ACTOR, Person, Telling, Tellings

ASK_S = 3.0
NAMES = ("nickname", "avatar_url")
# RevokeInfo → what we hold of it. The other numbers are of things that Kaimen never stores; they are told to others.
WITHDRAWN: dict[str, tuple[str, ...]] = {
    "6": NAMES,
    "8": ("phone",),
    "16": ("email",),
    "19": ("nickname",),
    "20": ("avatar_url",),
    "205": NAMES,
    "301": NAMES,
}


class People:
    """``actions`` by event, and ``tell`` for all others."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        index: BlindIndex,
        revocations: Revocations,
        profiles: Profiles,
        user_tokens: UserTokens,
        wechat: WeChatClient,
    ) -> None:
        self._database = database
        self._clock = clock
        self._index = index
        self._revocations = revocations
        self._profiles = profiles
        self._user_tokens = user_tokens
        self._wechat = wechat
        self._tellings = Tellings(database)

    async def close(self) -> None:
        """Waits for what is being told."""
        await self._tellings.close()

    @property
    def actions(self) -> dict[str, PushAction]:
        """The rows of the table above."""
        return {
            "unsubscribe": PushAction(self._forget),
            "user_info_modified": PushAction(self._renew_profile),
            "user_authorization_revoke": PushAction(self._withdraw),
            "user_authorization_cancellation": PushAction(self._cancel),
        }

    async def tell(self, received: Received) -> bool:
        """The message as an event; whose it is where the openid is known."""
        message = received.message
        data = {
            "appid": received.app.appid,
            "msgType": message.get("MsgType", ""),
            "event": message.get("Event", ""),
            "message": received.whole,
        }
        telling = Telling(received.delivery_id, person_in(received), data, self._clock.now_ms())
        await self._tellings.tell(telling)
        return True

    async def _forget(self, received: Received) -> bool:
        since, person = _created_at(received), person_in(received)
        forgotten = await wechat_events.forget_identity(self._database, person, since, self._clock.now_ms())
        if forgotten is None:
            return await self.tell(received)
        if forgotten.remains:
            self._revocations.add(forgotten.ended, "unbound")
            self._profiles.on_update(forgotten.user_id)
        else:
            await self._delete(forgotten.user_id)
        return False

    async def _renew_profile(self, received: Received) -> bool:
        """WeChat found nickname or avatar unfit. A mini-program's cannot be asked for again."""
        person = person_in(received)
        found = await self._ask_profile(received.app, person) or dict.fromkeys(NAMES, "")
        now = self._clock.now_ms()
        done = await wechat_events.replace_profile(self._database, person, found, now, received.delivery_id)
        if done:
            self._profiles.on_update(done)
        return True

    async def _ask_profile(self, app: App, person: Person) -> dict[str, Any] | None:
        deadline = Deadline.after(self._clock, ASK_S)
        token = await self._user_tokens.find(app, person.openid, deadline)
        if token is None:
            return None
        info = await self._wechat.get_userinfo(app, token, person.openid, deadline)
        return dict(zip(NAMES, self._profiles.clean(info.nickname, info.avatar_url), strict=True))

    async def _withdraw(self, received: Received) -> bool:
        items = re.findall(r"[0-9]{1,6}", received.message.get("RevokeInfo", ""))
        names = sorted({name for item in items for name in WITHDRAWN.get(item, ())})
        now = self._clock.now_ms()
        done = await wechat_events.withdraw(
            self._database, person_in(received), names, items, now, received.delivery_id
        )
        if done:
            self._profiles.on_update(done)
        return True

    async def _cancel(self, received: Received) -> bool:
        user_id = await wechat_events.find_person(self._database, person_in(received))
        if user_id:
            await self._delete(user_id)
        return False

    async def _delete(self, user_id: str) -> None:
        pseudonym, now = pseudonym_of(self._index, user_id), self._clock.now_ms()
        ended = await deletions.delete_user(self._database, user_id, pseudonym, ACTOR, now)
        self._revocations.add(ended or [], "deleted")


def person_in(received: Received) -> Person:
    """Whom it is about: events of the platform name the user in OpenID, for FromUserName is the platform itself."""
    message = received.message
    openid = message.get("OpenID") or message.get("FromUserName", "")
    return Person(received.app.appid, openid, message.get("UnionID", ""))


def _created_at(received: Received) -> int:
    """The end of the second that the message names, in ms."""
    created = received.message.get("CreateTime", "")
    return (int(created) + 1) * 1000 if created.isdecimal() and len(created) <= 12 else 0
