"""Cassettes of the WeChat client: how they are recorded, and what is replaced before anything is written.

``python wechat_cassettes.py [FOLDER]`` records them; ``scripts/record --help`` says from where.
"""

import asyncio
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlencode, urlsplit

import vcr
from vcr.request import Request as RecordedRequest

from app.wechat import transport
from app.wechat.client import API_URL, WeChatClient
from app.wechat.curl import Curl, Reply
from core.clock import Clock, Deadline
from core.errors import AppError

FOLDER = Path(__file__).parent / "cassettes"
BUDGET_S = 10.0

# What stands for what is nobody's business; well-formed, so that recordings still parse.
PLACEHOLDERS: dict[str, Any] = {
    "appid": "wx0000000000000001",
    "secret": "0" * 32,
    "js_code": "placeholder-code",
    "code": "placeholder-code",
    "access_token": "placeholder-token",
    "signature": "0" * 64,
    "session_key": "cGxhY2Vob2xkZXIgISEhIQ==",
    "openid": "oPlaceholder0000000000000001",
    "unionid": "uPlaceholder0000000000000001",
    "phoneNumber": "13000000000",
    "purePhoneNumber": "13000000000",
    "timestamp": 1_700_000_000,
    "errmsg": "placeholder, rid: 00000000-00000000-00000000",
}


@dataclass(frozen=True)
class Account:
    """The app a recording is made with, its secret, and fresh one-time codes."""

    appid: str
    secret: str
    code: str
    phone_code: str


REPLAYED = Account(PLACEHOLDERS["appid"], PLACEHOLDERS["secret"], PLACEHOLDERS["code"], PLACEHOLDERS["code"])


# --- scrubbing ---


def scrub_url(url: str) -> str:
    """The same path and parameters at WeChat's own address, with placeholders for the values."""
    parts = urlsplit(url)
    query = [(name, PLACEHOLDERS.get(name, value)) for name, value in parse_qsl(parts.query)]
    return f"{API_URL}{parts.path}" + (f"?{urlencode(query)}" if query else "")


def scrub_json(value: Any) -> Any:
    """The same shape, with placeholders; empty and null values stay what they are."""
    if isinstance(value, dict):
        return {
            name: PLACEHOLDERS[name] if name in PLACEHOLDERS and found else scrub_json(found)
            for name, found in value.items()
        }
    return [scrub_json(item) for item in value] if isinstance(value, list) else value


def scrub_body(body: bytes) -> bytes:
    """Raises ValueError for what is not JSON: nobody knows what is in it."""
    return json.dumps(scrub_json(json.loads(body)), ensure_ascii=False).encode()


def scrub_request(request: RecordedRequest) -> RecordedRequest:
    """Before a request is written, and before one is looked up."""
    body = scrub_body(request.body) if request.body else None
    return RecordedRequest(request.method, scrub_url(request.uri), body, {})


def scrub_response(response: dict[str, Any]) -> dict[str, Any]:
    """Before a reply is written. vcrpy cleans the request's address, but not this one."""
    body = response["body"]["string"]
    return {
        "status": response["status"],
        "headers": [],
        "body": {"string": scrub_body(body) if body else b""},
        "url": scrub_url(response["url"]) if response.get("url") else None,
    }


NOT_RECORDED = Reply(0, status=599)


class Recorder(Curl):
    """libcurl, or the tape in its place."""

    tape: Any = None

    def perform(
        self, method: str, url: str, body: bytes | None, timeout_s: float, headers: list[str] | None = None
    ) -> "asyncio.Future[Reply]":
        """From the tape if the request is on it, else from WeChat if the tape may be written."""
        return asyncio.ensure_future(self._perform(method, url, body, timeout_s))

    async def _perform(self, method: str, url: str, body: bytes | None, timeout_s: float) -> Reply:
        request = RecordedRequest(method, url, body, {})
        if self.tape.can_play_response_for(request):
            played = self.tape.play_response(request)
            return Reply(0, played["status"]["code"], played["body"]["string"])
        if self.tape.write_protected:
            return NOT_RECORDED
        reply = await super().perform(method, url, body, timeout_s)
        if reply.errno == 0:
            status = {"code": reply.status, "message": ""}
            self.tape.append(request, {"status": status, "headers": [], "body": {"string": reply.body}, "url": url})
        return reply


@contextmanager
def cassette(name: str, mode: str, folder: Path = FOLDER) -> Iterator[Any]:
    """The client's requests are recorded (``all``) or replayed (``none``); clients opened meanwhile, too."""
    recorder = vcr.VCR(
        record_mode=mode,
        match_on=["method", "scheme", "host", "port", "path", "query", "body"],
        before_record_request=scrub_request,
        before_record_response=scrub_response,
    )
    with recorder.use_cassette(str(folder / f"{name}.yaml")) as tape, patch.object(Recorder, "tape", tape):
        yield tape


def open_client(url: str = API_URL) -> WeChatClient:
    """A client whose requests go through the recorder."""
    with patch.object(transport, "Curl", Recorder):
        return WeChatClient(Clock(), api_url=url)


# --- what is recorded, and played again by the tests ---


async def outcome(call: Awaitable[Any]) -> Any:
    """The result, or the public code of the failure."""
    try:
        return await call
    except AppError as error:
        return error.code


class Story:
    """One call after another; each needs what the ones before it gave."""

    def __init__(self, client: WeChatClient, account: Account) -> None:
        self._client = client
        self._account = account
        self.token = PLACEHOLDERS["access_token"]
        self.openid = PLACEHOLDERS["openid"]
        self.session_key = PLACEHOLDERS["session_key"]

    def _budget(self) -> Deadline:
        return Deadline.after(Clock(), BUDGET_S)

    async def jscode2session(self) -> list[Any]:
        """A code, the same code again, no code of theirs."""
        codes = [self._account.code, self._account.code, "no-such-code"]
        results = [await outcome(self._client.code2session(self._account, code, self._budget())) for code in codes]
        self.openid, self.session_key = results[0].openid, results[0].session_key
        return results

    async def stable_token(self) -> list[Any]:
        """Normal mode: the token everybody has."""
        found = await self._client.stable_token(self._account, self._budget())
        self.token = found.token
        return [found]

    async def token_of_the_older_family(self) -> list[Any]:
        """A new one each time."""
        return [await self._client.token(self._account, self._budget())]

    async def checksession(self) -> list[Any]:
        """The current key, then another."""
        return [
            await self._client.check_session(self._account, self.token, self.openid, key, self._budget())
            for key in (self.session_key, "another key")
        ]

    async def resetusersessionkey(self) -> list[Any]:
        """A new key for the old one."""
        return [
            await self._client.reset_user_session_key(
                self._account, self.token, self.openid, self.session_key, self._budget()
            )
        ]

    async def getuserphonenumber(self) -> list[Any]:
        """A code, the same code again; without a token that is good."""
        tries = [(self.token, self._account.phone_code)] * 2 + [("no-such-token", "no-such-code")]
        return [
            await outcome(self._client.get_user_phone_number(self._account, token, code, self._budget()))
            for token, code in tries
        ]

    async def msg_sec_check(self) -> list[Any]:
        """A nickname that nobody minds; without a token that is good."""
        return [
            await outcome(self._client.msg_sec_check(self._account, token, self.openid, "Lin", self._budget()))
            for token in (self.token, "no-such-token")
        ]

    def chapters(self) -> dict[str, Callable[[], Awaitable[list[Any]]]]:
        """By the name of the cassette, in the order in which they can be recorded."""
        return {
            "jscode2session": self.jscode2session,
            "stable_token": self.stable_token,
            "token": self.token_of_the_older_family,
            "checksession": self.checksession,
            "resetusersessionkey": self.resetusersessionkey,
            "getuserphonenumber": self.getuserphonenumber,
            "msg_sec_check": self.msg_sec_check,
        }


# --- recording ---


async def record(url: str, account: Account, folder: Path) -> None:
    """Writes every cassette anew."""
    client = open_client(url)
    try:
        for name, chapter in Story(client, account).chapters().items():
            if name == "getuserphonenumber" and not account.phone_code:
                continue
            (folder / f"{name}.yaml").unlink(missing_ok=True)
            with cassette(name, "all", folder):
                await chapter()
    finally:
        client.close()


async def record_simulator(folder: Path) -> Any:
    """From the simulator; gives it back, stopped, so that a test can ask for what it knew."""
    from simulator import Simulator

    simulator = Simulator()
    await simulator.start(port=0)
    try:
        app = simulator.wechat.apps.get_miniprogram("wx0000000000000001")
        codes = simulator.wechat.login(app.appid, "alice"), simulator.wechat.phone_code(app.appid, "alice")
        await record(simulator.url, Account(app.appid, app.secret, *codes), folder)
    finally:
        await simulator.stop()
    return simulator


async def record_wechat(folder: Path) -> None:
    """From WeChat itself, with what the environment gives."""
    given = [os.environ.get(f"KAIMEN_RECORD_{name}", "") for name in ("APPID", "SECRET", "CODE", "PHONE_CODE")]
    if not all(given[:3]):
        raise SystemExit("set all of KAIMEN_RECORD_APPID, KAIMEN_RECORD_SECRET and KAIMEN_RECORD_CODE")
    await record(API_URL, Account(*given), folder)


def find_leaks(text: str) -> list[str]:
    """What looks like a value that should have been replaced."""
    shapes = {
        "secret": r"secret['\"]?\s*[=:]\s*['\"]?([0-9a-zA-Z]+)",
        "js_code": r"js_code=([^&\s'\"]+)",
        "access_token": r"access_token['\"]?\s*[=:]\s*['\"]?([^&\s'\",}]+)",
        "session_key": r"([A-Za-z0-9+/]{22}==)",
        "openid": r"openid['\"]?\s*[=:]\s*['\"]?([^&\s'\",}]+)",
        "unionid": r"unionid['\"]?\s*[=:]\s*['\"]?([^&\s'\",}]+)",
        "phoneNumber": r"[pP]honeNumber['\"]?\s*[=:]\s*['\"]?([0-9+]+)",
    }
    return [found for name, shape in shapes.items() for found in re.findall(shape, text) if found != PLACEHOLDERS[name]]


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    target.mkdir(parents=True, exist_ok=True)
    from_wechat = any(name.startswith("KAIMEN_RECORD_") for name in os.environ)
    asyncio.run(record_wechat(target) if from_wechat else record_simulator(target))
    leaks = [leak for path in target.glob("*.yaml") for leak in find_leaks(path.read_text())]
    sys.exit(f"not replaced: {leaks}" if leaks else 0)
