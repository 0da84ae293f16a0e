"""Calls of partners: genuine, fresh, and acted upon once.

| event         | parameters                                                   | does                             |
|---------------|--------------------------------------------------------------|----------------------------------|
| `scan_login`  | `scanId`, `userId`                                           | confirms the scan for the user   |
| `pay_success` | `outTradeNo`, `transactionId`, `amount`, `currency?`, `userId?` | tells `payment.succeeded`        |
| `bind_device` | `userId`, `deviceId`, `name?`                                | binds the device to the user     |

The nonce decides what is a repeat, and lives in the database: losing Redis opens no window. An exact repeat gets the
first answer, a refusal among them; a known nonce with another content is forged.
"""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.crypto.partner import is_signed, text_of
from app.scan.service import Scans
from core.clock import Clock
from core.errors import AppError, Code
from core.settings import Partner
from models import outbox, partner_calls, users
from models.db import Database, Tx
from models.devices import Device, bind_device
from models.inbox import DONE, Delivery

WINDOW_S = 300
TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
NONCE = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
COMMON = {"event", "timestamp", "nonce", "sign"}
WORD = r"^[A-Za-z0-9_.:-]{1,128}$"


class _Call(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ScanLogin(_Call):
    """``scan_login``."""

    scan_id: str = Field(alias="scanId", pattern=WORD)
    user_id: str = Field(alias="userId", pattern=WORD)


class PaySuccess(_Call):
    """``pay_success``; ``amount`` in fen."""

    out_trade_no: str = Field(alias="outTradeNo", pattern=r"^[A-Za-z0-9_|*-]{1,64}$")
    transaction_id: str = Field(alias="transactionId", pattern=WORD)
    amount: int = Field(ge=1, le=10**12)
    currency: str = Field("CNY", pattern=r"^[A-Z]{3}$")
    user_id: str | None = Field(None, alias="userId", pattern=WORD)


class BindDevice(_Call):
    """``bind_device``."""

    user_id: str = Field(alias="userId", pattern=WORD)
    device_id: str = Field(alias="deviceId", pattern=WORD)
    name: str = Field("", max_length=64)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the partner is told; kept, so that a repeat is told the same."""

    status: int
    body: str

    def dump(self) -> str:
        """As it is kept."""
        return f"{self.status} {self.body}"

    @classmethod
    def load(cls, text: str) -> "Answer":
        """The reverse."""
        status, _, body = text.partition(" ")
        return cls(int(status), body)


class Kind(NamedTuple):
    """A row of the table; what is done in a transaction, or, without one, may be done twice."""

    model: type[_Call]
    status: int
    in_transaction: Callable[[Tx, str, Any], Awaitable[dict[str, Any]]] | None
    again: Callable[[Any], Awaitable[dict[str, Any]]] | None = None


class Partners:
    """``receive`` does what a partner asks for."""

    def __init__(self, partners: tuple[Partner, ...], database: Database, clock: Clock, scans: Scans) -> None:
        self._keys: dict[str, RSAPublicKey] = {one.name: one.rsa_key() for one in partners}
        self._database = database
        self._clock = clock
        self._scans = scans
        self.kinds = {
            "scan_login": Kind(ScanLogin, 200, None, self._confirm_scan),
            "pay_success": Kind(PaySuccess, 200, self._tell_payment),
            "bind_device": Kind(BindDevice, 201, self._bind_device),
        }

    async def receive(self, name: str, parameters: Mapping[str, str]) -> Answer:
        """Raises 4000 for an event or parameters that are none, 4010 for what is not genuine, 4040 for a partner
        that is not known, 5001, 5002.
        """
        delivery = self._verified(name, parameters)
        kind = self.kinds.get(delivery.kind)
        known = await partner_calls.find_call(self._database, delivery)
        if known and (known.digest != delivery.digest or known.answer):
            return _answer_of(known, delivery)
        if kind is None:
            raise AppError(Code.INVALID_REQUEST, cause="an unknown event", field="event")
        command = _parse(kind.model, parameters)
        if kind.in_transaction:
            return await self._act_once(delivery, kind, command)
        return await self._act_again(delivery, kind, command)

    # --- who calls ---

    def _verified(self, name: str, parameters: Mapping[str, str]) -> Delivery:
        key = self._keys.get(name)
        if key is None:
            raise AppError(Code.NOT_FOUND, cause="no such partner in KAIMEN_PARTNERS")
        text, now = text_of(parameters), self._clock.now_ms()
        timestamp, nonce = parameters.get("timestamp", ""), parameters.get("nonce", "")
        if text is None or not is_signed(key, text, parameters.get("sign", "")):
            raise AppError(Code.UNAUTHENTICATED, cause="the signature is wrong")
        if not TIMESTAMP.fullmatch(timestamp) or abs(now // 1000 - int(timestamp)) > WINDOW_S:
            raise AppError(Code.UNAUTHENTICATED, cause="stale")
        if not NONCE.fullmatch(nonce):
            raise AppError(Code.INVALID_REQUEST, cause="no nonce", field="nonce")
        return Delivery(
            id=self._clock.new_id(),
            source=f"partner:{name}",
            dedup_key=_hash(nonce),
            digest=_hash(text),
            kind=parameters.get("event", "")[:64],
            body=None,
            state=DONE,
            received_at=now,
        )

    # --- once ---

    async def _act_once(self, delivery: Delivery, kind: Kind, command: _Call) -> Answer:
        """The effect and the answer are one transaction; a refusal is an answer as well."""
        act = kind.in_transaction
        name = delivery.source.partition(":")[2]

        async def work(tx: Tx) -> str:
            if act is None:
                raise RuntimeError("not for this kind")
            return _success(kind.status, await act(tx, name, command)).dump()

        async def refuse(_tx: Tx) -> str:
            return refusal.dump()

        try:
            done = await partner_calls.answer_once(self._database, delivery, work)
        except AppError as error:
            refusal = _refusal(error)
            done = await partner_calls.answer_once(self._database, delivery, refuse)
        return _answer_of(done, delivery)

    async def _act_again(self, delivery: Delivery, kind: Kind, command: _Call) -> Answer:
        """Noted, done, answered: whoever repeats it while it has no answer does it again, which changes nothing."""

        async def note(_tx: Tx) -> str:
            return ""

        if kind.again is None:
            raise RuntimeError("not for this kind")
        noted = await partner_calls.answer_once(self._database, delivery, note)
        if noted.digest != delivery.digest or noted.answer:
            return _answer_of(noted, delivery)
        try:
            answer = _success(kind.status, await kind.again(command))
        except AppError as error:
            answer = _refusal(error)
        return Answer.load(await partner_calls.keep_answer(self._database, delivery, answer.dump()))

    # --- what is done ---

    async def _confirm_scan(self, command: ScanLogin) -> dict[str, Any]:
        found = await users.find_survivors(self._database, [command.user_id])
        user = found.get(command.user_id)
        if user is None:
            raise AppError(Code.NOT_FOUND, cause="no such user", field="userId")
        if user.disabled_at is not None:
            raise AppError(Code.ACCOUNT_DISABLED)
        return {"scanId": command.scan_id, "state": await self._scans.confirm_for(user.id, command.scan_id)}

    async def _tell_payment(self, tx: Tx, partner: str, command: PaySuccess) -> dict[str, Any]:
        now = self._clock.now_ms()
        data = {
            "source": "partner",
            "partner": partner,
            "transactionId": command.transaction_id,
            "outTradeNo": command.out_trade_no,
            "amount": command.amount,
            "currency": command.currency,
        }
        if command.user_id is None:
            await outbox.insert_events(tx, [outbox.Event(None, outbox.NO_USER, "payment.succeeded", data, now)])
        else:
            await users.note_change(tx, await _get_user(tx, command.user_id), "payment.succeeded", data, now)
        return {"transactionId": command.transaction_id}

    async def _bind_device(self, tx: Tx, partner: str, command: BindDevice) -> dict[str, Any]:
        user = await _get_user(tx, command.user_id)
        device = Device(partner, command.device_id, command.name, self._clock.now_ms())
        if not await bind_device(tx, user, device):
            raise AppError(Code.IDENTITY_CONFLICT, field="deviceId")
        return {"userId": user.id}


async def _get_user(tx: Tx, user_id: str) -> users.User:
    user = await users.lock_survivor(tx, user_id)
    if user is None:
        raise AppError(Code.NOT_FOUND, cause="no such user", field="userId")
    return user


def _parse(model: type[_Call], parameters: Mapping[str, str]) -> _Call:
    try:
        return model.model_validate({name: value for name, value in parameters.items() if name not in COMMON})
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
        raise AppError(Code.INVALID_REQUEST, cause="parameters", field=field) from None


def _answer_of(done: Delivery, delivery: Delivery) -> Answer:
    """What the call that was done is answered; raises 4010 if that was another with the same nonce."""
    if done.digest != delivery.digest:
        raise AppError(Code.UNAUTHENTICATED, cause="a known nonce with another content")
    return Answer.load(done.answer)


def _success(status: int, data: dict[str, Any]) -> Answer:
    return Answer(status, json.dumps({"code": status, "message": "success", "data": data}))


def _refusal(error: AppError) -> Answer:
    """A refusal that would be the same tomorrow; raises what may pass."""
    if error.code.value.status >= 500 or error.code.value.status == 429:
        raise error
    return Answer(error.code.value.status, json.dumps(failure_of(error)))


def failure_of(error: AppError) -> dict[str, Any]:
    """As partners are told of it."""
    code = error.code
    return {"code": code.value.number, "error": code.error, "message": code.message("en"), "data": error.data}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
