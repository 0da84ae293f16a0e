"""Fixtures of the WeChat tests."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from wechat_stub import ExampleApp, HandClock, Stub

from app.wechat.client import WeChatClient
from core.clock import Clock


@pytest.fixture
def example_app() -> ExampleApp:
    return ExampleApp()


@pytest.fixture
def hand_clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    stub = Stub()
    await stub.start()
    yield stub
    await stub.stop()


@pytest.fixture
async def make_client() -> AsyncIterator[Callable[..., WeChatClient]]:
    """A client of the given URL; closed at the end."""
    clients: list[WeChatClient] = []

    def make(url: str, clock: Clock | None = None, **options: Any) -> WeChatClient:
        clients.append(WeChatClient(clock or Clock(), api_url=url, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(stub: Stub, make_client: Callable[..., WeChatClient]) -> WeChatClient:
    """A client of the stub, on the real clock."""
    return make_client(stub.url)
