"""WeChat's message push: who sent it, what it says, what is done about it.

A delivery is verified, opened, kept (once: WeChat repeats what was not answered within 5 s) and answered; what is to
be done is done after the answer, by the ``Intake``. ``PushAction`` is a row of the table of events.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from app.apps import Apps
from app.callbacks.intake import Incoming, Intake
from app.callbacks.messages import Message, encrypted_reply, parse_message, parse_whole, text_reply
from app.crypto.push import PushCipher, PushUnreadable, is_signed, sign_push
from core.clock import Clock
from core.errors import AppError, Code
from core.settings import App
from models.inbox import Delivery

FRESH_S = 300
SUCCESS = "success"
NOTHING = ""
EVENT_KEYS = ("FromUserName", "CreateTime", "MsgType", "Event", "EventKey", "OpenID", "RevokeInfo", "MsgID")
KIND_MAX = 64


@dataclass(frozen=True, slots=True)
class Received:
    """A genuine message of an app; ``text`` is it as it came, ``delivery_id`` its row in the inbox."""

    app: App
    message: Message = field(repr=False)
    text: str = field(repr=False)
    delivery_id: str

    @property
    def whole(self) -> dict[str, Any]:
        """All of it, with what is nested."""
        return parse_whole(self.text.encode())


Work = Callable[[Received], Awaitable[bool]]


class PushAction(NamedTuple):
    """``answer`` is the text that the user is told at once, empty for none; ``work`` may run more than once, and says
    whether it finished the delivery itself, in the transaction of its effect.
    """

    work: Work
    answer: Callable[[App, Message], str] = lambda _app, _message: NOTHING


class PushQuery(NamedTuple):
    """The query of a delivery, each parameter as it came once."""

    signature: str = ""
    timestamp: str = ""
    nonce: str = ""
    encrypt_type: str = ""
    msg_signature: str = ""
    echostr: str = ""


class Push:
    """``check_url`` for WeChat's first GET, ``receive`` for deliveries; both raise 4010 for what WeChat did not sign.

    ``actions``: the ``Event`` of the message → what is done; ``otherwise`` is for all others. ``work`` is for the
    ``Intake``'s source ``wechat``.
    """

    def __init__(self, apps: Apps, clock: Clock, actions: Mapping[str, PushAction], otherwise: Work) -> None:
        self._apps = apps
        self._clock = clock
        self._actions = actions
        self._otherwise = PushAction(otherwise)
        self.intake: Intake | None = None  # which needs our ``work``

    def check_url(self, appid: str, query: PushQuery) -> str:
        """What is to be echoed."""
        app = self._get_app(appid)
        self._check_fresh(query)
        if not is_signed(query.signature, app.token, query.timestamp, query.nonce):
            raise AppError(Code.UNAUTHENTICATED, cause="the signature is wrong")
        return query.echostr

    async def receive(self, appid: str, query: PushQuery, body: bytes) -> str:
        """The body of the answer; raises 4000, 4010, 4042, 5001."""
        app = self._get_app(appid)
        self._check_fresh(query)
        text = _decode(self._open(app, query, body))
        message = parse_message(text.encode())
        if message.get("AppID") not in (None, "", app.appid):
            raise AppError(Code.UNAUTHENTICATED, cause="the message is about another app")
        answer = await self._keep(app, query, message, text)
        return self._reply(app, query, message, answer) if answer else SUCCESS

    async def work(self, delivery: Delivery, body: str) -> bool:
        """Does what the table says; raises what it raises, and is run again then."""
        app, message = self._apps.get(delivery.source.partition(":")[2]), parse_message(body.encode())
        return await self._action(message).work(Received(app, message, body, delivery.id))

    async def _keep(self, app: App, query: PushQuery, message: Message, text: str) -> str:
        """Once, whatever is repeated: by the message's own key, and by the nonce of the delivery.

        A known nonce with another content is forged, or was: in plain mode the signature does not cover the body.
        """
        incoming = Incoming(
            source=f"wechat:{app.appid}",
            dedup_key=dedup_key(message),
            digest=_hash(text),
            kind=(message.get("Event") or message.get("MsgType", ""))[:KIND_MAX],
            body=text,
            subject=message.get("OpenID") or message.get("FromUserName", ""),
            answer=self._action(message).answer(app, message),
            nonce_key=_hash(query.timestamp, query.nonce),
        )
        repeated = await self._accept(incoming)
        if repeated and repeated.digest != incoming.digest and repeated.nonce_key != incoming.nonce_key:
            if query.encrypt_type != "aes":
                raise AppError(Code.UNAUTHENTICATED, cause="a known message with another content, unencrypted")
            if message.get("MsgId"):  # WeChat's word that it is the same
                return repeated.answer
            own_key = _hash(incoming.dedup_key, incoming.digest)  # WeChat says both: two events of one second
            repeated = await self._accept(replace(incoming, dedup_key=own_key))
        if repeated and repeated.digest != incoming.digest:
            raise AppError(Code.UNAUTHENTICATED, cause="a known nonce with another content")
        return repeated.answer if repeated else incoming.answer

    async def _accept(self, incoming: Incoming) -> Delivery | None:
        if self.intake is None:
            raise RuntimeError("no intake")
        return await self.intake.accept(incoming)

    def _action(self, message: Message) -> PushAction:
        return self._actions.get(message.get("Event", ""), self._otherwise)

    def _get_app(self, appid: str) -> App:
        app = self._apps.get(appid)
        if not app.token:
            raise AppError(Code.UNKNOWN_APP, cause="no token is set for it")
        return app

    def _check_fresh(self, query: PushQuery) -> None:
        now_s = self._clock.now_ms() // 1000
        if not query.timestamp.isdigit() or len(query.timestamp) > 12 or abs(now_s - int(query.timestamp)) > FRESH_S:
            raise AppError(Code.UNAUTHENTICATED, cause="stale")

    def _open(self, app: App, query: PushQuery, body: bytes) -> bytes:
        if app.push_mode == "plain" and query.encrypt_type != "aes":
            if not is_signed(query.signature, app.token, query.timestamp, query.nonce):
                raise AppError(Code.UNAUTHENTICATED, cause="the signature is wrong")
            return body
        encrypted = parse_message(body).get("Encrypt", "") if query.encrypt_type == "aes" else ""
        if not encrypted or not is_signed(query.msg_signature, app.token, query.timestamp, query.nonce, encrypted):
            raise AppError(Code.UNAUTHENTICATED, cause="the msg_signature is wrong")
        try:
            return PushCipher(app.appid, app.encoding_aes_key).decrypt(encrypted)
        except PushUnreadable:
            raise AppError(Code.UNAUTHENTICATED, cause="signed and unreadable: check encodingAesKey") from None

    def _reply(self, app: App, query: PushQuery, message: Message, content: str) -> str:
        reply = text_reply(message, content, self._clock.now_ms())
        if query.encrypt_type != "aes":
            return reply
        encrypted = PushCipher(app.appid, app.encoding_aes_key).encrypt(reply.encode(), self._clock.random_bytes(16))
        signature = sign_push(app.token, query.timestamp, query.nonce, encrypted)
        return encrypted_reply(encrypted, signature, query.timestamp, query.nonce)


def dedup_key(message: Message) -> str:
    """The same for WeChat's repeats: messages by MsgId, events by who, when and what."""
    return _hash(*([message["MsgId"]] if message.get("MsgId") else [message.get(name, "") for name in EVENT_KEYS]))


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _decode(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise AppError(Code.INVALID_REQUEST, cause="not UTF-8", field="body") from None
