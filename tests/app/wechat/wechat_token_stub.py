"""Stand-ins around AccessTokens: WeChat's side of stable_token, a seal that can be seen, an API."""

import asyncio
from dataclasses import dataclass, field

from app.wechat.client import TokenRefused
from app.wechat.errcodes import Refusal
from app.wechat.wire import AccessToken
from core.clock import Clock, Deadline
from core.errors import AppError


class WeChat:
    """Stable tokens as WeChat hands them out, and what it got to do."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.current = "token-1"
        self.expires_at = clock.now_ms() + 7_200_000
        self.calls: list[bool] = []
        self.failure: AppError | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def stable_token(self, app: object, deadline: Deadline, force_refresh: bool = False) -> AccessToken:
        self.calls.append(force_refresh)
        await self.gate.wait()
        if self.failure:
            raise self.failure
        if force_refresh or self.expires_at - self._clock.now_ms() < 300_000:
            self.turn()
        return AccessToken(self.current, (self.expires_at - self._clock.now_ms()) // 1000)

    def turn(self) -> str:
        self.current = f"token-{int(self.current.split('-')[1]) + 1}"
        self.expires_at = self._clock.now_ms() + 7_200_000
        return self.current


class Reverser:
    """Sealing that can be seen: reversed, with its context."""

    def seal(self, text: str, context: str) -> str:
        return f"{context}|{text[::-1]}"

    def unseal(self, sealed: str, context: str) -> str:
        found, _, text = sealed.partition("|")
        if found != context:
            raise ValueError("another context")
        return text[::-1]


@dataclass
class Api:
    """An API that takes some tokens."""

    good: set[str]
    tried: list[str] = field(default_factory=list)

    async def __call__(self, token: str) -> str:
        self.tried.append(token)
        if token not in self.good:
            raise TokenRefused(Refusal(40001, None))
        return token
