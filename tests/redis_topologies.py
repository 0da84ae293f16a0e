"""A Redis with a replica and a sentinel, and a cluster of six nodes, for tests."""

import subprocess
import time
from contextlib import ExitStack
from typing import Self

import redis

from servers import Redis, ServerError, find_binary

PRIMARY = "kaimen"


class Replica(Redis):
    """Follows another; with the same password, as Sentinel wants it."""

    def __init__(self, primary: Redis) -> None:
        self._primary = primary
        super().__init__()

    def _command(self) -> list[str]:
        self.password = self._primary.password
        follow = ["--replicaof", "127.0.0.1", str(self._primary.port), "--masterauth", self.password]
        return [*super()._command(), *follow]


class Watched(Redis):
    """A primary that can become a replica of its successor."""

    def _command(self) -> list[str]:
        return [*super()._command(), "--masterauth", self.password]


class SentinelServer(Redis):
    """One sentinel is enough to decide in a test."""

    def __init__(self, primary: Redis) -> None:
        self._primary = primary
        super().__init__()

    def _command(self) -> list[str]:
        config = self.folder / "sentinel.conf"
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\nrequirepass {self.password}\n"
            f"sentinel monitor {PRIMARY} 127.0.0.1 {self._primary.port} 1\n"
            f"sentinel auth-pass {PRIMARY} {self._primary.password}\n"
            f"sentinel down-after-milliseconds {PRIMARY} 500\nsentinel failover-timeout {PRIMARY} 3000\n"
        )
        return [find_binary("redis-server", "redis-server"), str(config), "--sentinel"]


class SentinelGroup:
    """``url`` is that of the settings; ``kill_primary`` starts a failover."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.primary = self._stack.enter_context(Watched())
        self.replica = self._stack.enter_context(Replica(self.primary))
        self.sentinel = self._stack.enter_context(SentinelServer(self.primary))
        self._wait(lambda: self._ask("SENTINEL", "REPLICAS", PRIMARY))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        query = f"sentinel_password={self.sentinel.password}"
        return f"redis+sentinel://:{self.primary.password}@127.0.0.1:{self.sentinel.port}/{PRIMARY}/0?{query}"

    def kill_primary(self) -> None:
        self.primary.kill()

    def _ask(self, *command: str) -> object:
        with redis.Redis(port=self.sentinel.port, password=self.sentinel.password) as client:
            return client.execute_command(*command)

    def _wait(self, ready: object) -> None:
        deadline = time.monotonic() + 20
        while not ready():  # type: ignore[operator]
            assert time.monotonic() < deadline
            time.sleep(0.1)


TRIES = 5


class ClusterNodeServer(Redis):
    """A node of a cluster; all have one password."""

    def __init__(self, password: str) -> None:
        self._shared = password
        for left in reversed(range(TRIES)):
            try:
                super().__init__()
                return
            except ServerError:  # its second port, 10 000 above the first, may be taken
                if not left:
                    raise

    def _command(self) -> list[str]:
        self.password = self._shared
        cluster = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "2000"]
        return [*super()._command(), "--masterauth", self._shared, *cluster]


class Cluster:
    """Three primaries with a replica each."""

    password = "clustered"

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.nodes = [self._stack.enter_context(ClusterNodeServer(self.password)) for _ in range(6)]
        addresses = [f"127.0.0.1:{node.port}" for node in self.nodes]
        self.cli("--cluster", "create", *addresses, "--cluster-replicas", "1", "--cluster-yes")
        deadline = time.monotonic() + 20
        while not all("cluster_state:ok" in self.cli("-p", str(node.port), "cluster", "info") for node in self.nodes):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        return f"redis+cluster://:{self.password}@127.0.0.1:{self.nodes[0].port},127.0.0.1:{self.nodes[1].port}"

    def cli(self, *arguments: str) -> str:
        command = [find_binary("redis-cli", "redis-tools"), "-a", self.password, "--no-auth-warning", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout

    def reshard(self, slots: int) -> None:
        """Moves slots from the second primary to the first."""
        ids = [self.cli("-p", str(node.port), "cluster", "myid").strip() for node in self.nodes[:2]]
        chosen = ["--cluster-from", ids[1], "--cluster-to", ids[0], "--cluster-slots", str(slots), "--cluster-yes"]
        self.cli("--cluster", "reshard", f"127.0.0.1:{self.nodes[0].port}", *chosen)
