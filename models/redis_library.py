"""redis-py, without the OpenTelemetry SDK: it loads that wherever it is installed, for metrics that nobody reads here.

Where traces are off this spares 1.6 MiB in each process.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Python refuses to import what has None for its module, and redis-py does without."""
    modules: dict[str, Any] = sys.modules
    if package in modules:
        yield
        return
    modules[package] = None
    try:
        yield
    finally:
        del modules[package]


with _without("opentelemetry"):
    import redis.asyncio as aioredis
    import redis.exceptions as errors
    from redis.asyncio.cluster import ClusterNode, RedisCluster
    from redis.asyncio.retry import Retry
    from redis.asyncio.sentinel import Sentinel
    from redis.backoff import NoBackoff

__all__ = ["ClusterNode", "NoBackoff", "RedisCluster", "Retry", "Sentinel", "aioredis", "errors"]
