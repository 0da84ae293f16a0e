"""Load with a memory: every operation and how it ended, held against what the database says afterwards.

``ok`` must have happened, ``fail`` (4xx, 5xx of the contract) must not be half-done, ``unknown`` (no reply) may have
happened or not. See ``check``.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tornado.httpclient import HTTPClientError

from backend import APPID, Backend, Reply
from core.clock import Clock
from models.db import open_database
from simulator import Simulator

Seen = Callable[[str], None]  # the fixture ``seen``
TOLERATED = {429, 502, 503, 504}
USERS = 40


@dataclass
class History:
    """What clients know."""

    counts: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    user_of: dict[str, str] = field(default_factory=dict)  # WeChat user → our id, as acknowledged
    sessions: dict[str, str] = field(default_factory=dict)  # session → user, of acknowledged logins
    codes: int = 0  # used in logins, whatever came of them
    ended: list[str] = field(default_factory=list)  # access tokens whose logout was acknowledged
    wrong: list[str] = field(default_factory=list)  # what must never happen

    @property
    def failed(self) -> int:
        return self.counts["fail"] + self.counts["unknown"]


class Load:
    """``async with load: …`` keeps ``workers`` clients busy; ``history`` tells what they saw.

    With several instances each call goes to one of them by chance.
    """

    def __init__(self, backend: Backend, *others: Backend, workers: int = 8, pause_s: float = 0.0) -> None:
        self.backends = [backend, *others]
        self.workers = workers
        self._pause_s = pause_s
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._random = random.Random(1)
        self.history = History()
        for number in range(USERS):
            backend.simulator.wechat.users.save({"name": f"user{number}", "nickname": f"用户{number}"})

    async def __aenter__(self) -> "Load":
        self._tasks = [asyncio.create_task(self._client(number)) for number in range(self.workers)]
        return self

    def stop(self) -> None:
        """Each client ends with what it is about."""
        self._stop.set()

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        await asyncio.gather(*self._tasks)

    async def until(self, count: int, outcome: str = "ok") -> None:
        """Until so many more operations have ended that way."""
        before = self.history.counts[outcome]
        async with asyncio.timeout(60):
            while self.history.counts[outcome] < before + count:
                await asyncio.sleep(0.01)

    async def _client(self, number: int) -> None:
        while not self._stop.is_set():
            login = await self._login(f"user{self._random.randrange(USERS)}")
            if login:
                await self._use(login, number)
            await asyncio.sleep(self._pause_s)

    async def _login(self, user: str) -> dict[str, Any] | None:
        self.history.codes += 1
        reply = await self._ask("POST", "/api/auth", {"action": "login", "code": self.backends[0].wx_login(user)})
        if reply is None:
            return None
        data: dict[str, Any] = reply.data
        known = self.history.user_of.setdefault(user, data["user"]["id"])
        if known != data["user"]["id"]:
            self.history.wrong.append(f"{user} is two users")
        if data["sessionId"] in self.history.sessions:
            self.history.wrong.append("one session was given twice")
        self.history.sessions[data["sessionId"]] = data["user"]["id"]
        return data

    async def _use(self, login: dict[str, Any], number: int) -> None:
        info = await self._ask("GET", "/api/user/info", None, login["accessToken"])
        if info and info.data["id"] != login["user"]["id"]:
            self.history.wrong.append("a reply was another's")
        await self._ask("POST", "/api/auth", {"action": "autoLogin", "refreshToken": login["refreshToken"]})
        if number % 2 and await self._ask("POST", "/api/auth/logout", {}, login["accessToken"]):
            self.history.ended.append(login["accessToken"])

    async def _ask(self, method: str, path: str, body: Any, token: str | None = None) -> Reply | None:
        """The reply if it is a success."""
        try:
            reply = await self._random.choice(self.backends).call(method, path, body, token)
        except (OSError, HTTPClientError):
            reply = Reply(599, {}, "")
        self.history.statuses[reply.status] += 1
        if reply.status == 200:
            self.history.counts["ok"] += 1
            return reply
        self.history.counts["unknown" if reply.status == 599 else "fail"] += 1
        if reply.status not in TOLERATED | {599}:
            self.history.wrong.append(f"{method} {path} ended with {reply.status}: {reply.text[:100]}")
        return None


async def well_within(load: Load, seconds: float) -> float:
    """Seconds until ten operations in a row went well."""
    started = time.monotonic()
    async with asyncio.timeout(seconds):
        while True:
            failed = load.history.failed
            await load.until(10)
            if load.history.failed == failed:
                return time.monotonic() - started


async def check(history: History, database_url: str, backend: Backend) -> None:
    """Invariants I1 to I7, with servers that are well again."""
    assert history.wrong == [], history.wrong
    database = open_database(database_url, Clock())
    identities = dict(await database.fetch("SELECT openid, user_id FROM identities"))
    sessions = dict(await database.fetch("SELECT id, user_id FROM sessions"))
    created = await database.fetch("SELECT user_id, COUNT(*) FROM outbox WHERE type = 'user.created' GROUP BY user_id")
    opened = await database.fetch("SELECT COUNT(*) FROM outbox WHERE type = 'session.created'")
    users = [row[0] for row in await database.fetch("SELECT id FROM users")]
    await database.close()
    assert len(identities) == len(set(identities.values())) == len(users)  # I1
    for name, user_id in history.user_of.items():
        openid = _openid(backend.simulator, name)
        assert (identities.get(openid) or identities.get(openid.encode())) == user_id
    for token in history.ended[-50:]:  # I2
        assert (await backend.get("/api/user/info", token)).status == 401
    assert dict.fromkeys(users, 1) == dict(created)  # I3
    assert opened[0][0] == len(sessions), (opened, len(sessions))
    assert history.sessions.items() <= sessions.items()  # I4
    assert len(sessions) <= history.codes  # I5


def _openid(simulator: Simulator, name: str) -> str:
    users = simulator.wechat.users
    return str(users.openids(users.get(name))[APPID])
