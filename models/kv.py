"""The one door to Redis, and to the in-process Redis of a single-process deployment.

Commands leave as one pipeline with all that gathered while the last one was under way: redis-py costs about 70 µs a
command alone and a third of that in company. Commands are never retried here (a repeated INCR would count
twice); after a failure the door stays shut for a moment so that no request waits for a server that is gone.
"""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from core.clock import Clock
from core.errors import AppError, Code
from core.observe import metrics
from core.tasks import FairTimeout
from models.batch import Batcher, Described
from models.redis_clients import asked_timeout_s, open_client
from models.redis_library import errors

ERROR_REPLIES = (errors.RedisError, errors.RedisClusterException)
FAILURES = (*ERROR_REPLIES, OSError, TimeoutError)
LUA = Path(__file__).parent / "lua"
COMMAND_TIMEOUT_S = 0.2
CLUSTER_TIMEOUT_S = 1.0  # redis-py waits 0.25 s before it asks a cluster again whose slots move
SHUT_S = 0.5
SWEEP_S = 10.0
SUMMARY_MAX = 16  # names of commands that a span has
LISTEN_S = 10.0  # of silence, after which a subscription asks whether the other side still lives


class Kv:
    """Redis commands with a time limit, pipelined; every failure is ``5002 cache_unavailable``."""

    def __init__(
        self, client: Any, clock: Clock, others: Sequence[Any] = (), timeout_s: float = COMMAND_TIMEOUT_S
    ) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._others = others  # to be closed with it
        self._clock = clock
        self._shut_until = 0.0
        self._scripts: dict[str, str] = {}
        self._batcher: Batcher[tuple[Any, ...], Any] = Batcher(
            self._send, name="redis", max_items=256, describe=_pipeline
        )

    async def run(self, *command: Any) -> Any:
        """One command, as in ``run("SET", key, value, "NX", "EX", 30)``; the reply decoded as text."""
        if self._clock.monotonic() < self._shut_until:
            raise AppError(Code.CACHE_UNAVAILABLE, cause="redis failed a moment ago")
        try:
            return await self._batcher.submit(command)
        except ERROR_REPLIES as error:  # READONLY, OOM, BUSY, LOADING …
            metrics.REDIS_FAILURES.inc(type(error).__name__)
            raise AppError(Code.CACHE_UNAVAILABLE, cause=f"{command[0]}: {type(error).__name__}") from error

    async def script(self, name: str, keys: list[str], args: list[Any]) -> Any:
        """Runs ``lua/<name>.lua``. All keys of one script share a hash tag (Redis Cluster)."""
        source = self._scripts.get(name)
        if source is None:
            source = self._scripts[name] = (LUA / f"{name}.lua").read_text()
        return await self.run("EVAL", source, len(keys), *keys, *args)

    async def listen(self, *channels: str) -> AsyncIterator[tuple[str, str]]:
        """(channel, message) as they are published, ``("", "")`` once when the subscription stands; ends with 5002.

        Pub/sub is at most once: what was published while nobody listened is gone.
        """
        try:
            await self._client.initialize()  # a cluster's first: its subscription does not do it
            async with self._client.pubsub() as pubsub:
                await pubsub.subscribe(*channels)
                yield "", ""
                async for message in _messages(pubsub):
                    yield message
        except FAILURES as error:
            raise AppError(Code.CACHE_UNAVAILABLE, cause=f"redis: {error!r}") from error

    async def ping(self) -> None:
        """Raises 5002 unless Redis answers now. By a key, for in a cluster a bare PING is for nobody in particular."""
        try:
            await self._batcher.submit(("EXISTS", "kaimen:ping"))
        except ERROR_REPLIES as error:
            raise AppError(Code.CACHE_UNAVAILABLE, cause=f"ping: {type(error).__name__}") from error

    async def close(self) -> None:
        """Waits for commands under way and closes the connections."""
        await self._batcher.close()
        for client in (self._client, *self._others):
            await client.aclose()

    async def _send(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        started = self._clock.monotonic()
        try:
            async with FairTimeout(self._timeout_s):
                pipeline = self._client.pipeline(transaction=False)
                for command in commands:
                    pipeline.execute_command(*command)
                replies: list[Any] = await pipeline.execute(raise_on_error=False)
                return replies
        except FAILURES as error:
            metrics.REDIS_FAILURES.inc(type(error).__name__)
            self._shut_until = self._clock.monotonic() + SHUT_S
            raise AppError(Code.CACHE_UNAVAILABLE, cause=f"redis: {error!r}") from error
        finally:
            metrics.REDIS_S.observe(self._clock.monotonic() - started)

    def load(self) -> dict[tuple[str, ...], float]:
        """For ``metrics.REDIS_POOL``: pipelines under way, and commands that wait for the next."""
        return self._batcher.load()


class MemoryKv(Kv):
    """The in-process Redis, which forgets expired keys only when it is asked for their number."""

    _sweep_at = 0.0

    async def _send(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        if self._clock.monotonic() >= self._sweep_at:
            self._sweep_at = self._clock.monotonic() + SWEEP_S
            await self._client.dbsize()
        return await super()._send(commands)


def _pipeline(commands: Sequence[tuple[Any, ...]]) -> Described:
    """Names of commands only: keys hold ids, and values anything."""
    names = [str(command[0]) for command in commands]
    name = names[0] if len(names) == 1 else "PIPELINE"
    summary = " ".join(names[:SUMMARY_MAX])
    about = {"db.system.name": "redis", "db.operation.name": name, "db.query.summary": summary}
    return Described(name, "client", about)


async def _messages(pubsub: Any) -> AsyncIterator[tuple[str, str]]:
    silent = False
    while True:
        message = await pubsub.get_message(timeout=LISTEN_S)
        if message is None:
            if silent:
                raise TimeoutError("the subscription is silent")
            await pubsub.ping()
        elif message["type"] == "message":
            yield message["channel"], message["data"]
        silent = message is None


def open_kv(url: str, clock: Clock) -> Kv:
    """``memory://`` for the in-process Redis, else see ``redis_clients``; raises ``SettingsInvalid``."""
    if url == "memory://":
        return MemoryKv(_memory_client(), clock)
    client, others = open_client(url)
    timeout_s = CLUSTER_TIMEOUT_S if url.startswith("redis+cluster:") else COMMAND_TIMEOUT_S
    return Kv(client, clock, others, asked_timeout_s(url) or timeout_s)


def _memory_client() -> Any:
    from fakeredis import FakeAsyncRedis, FakeServer

    return FakeAsyncRedis(server=FakeServer(), decode_responses=True)
