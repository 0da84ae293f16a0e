"""From a URL to a client of redis-py: one server, a primary that Sentinel names, or a cluster.

``redis+sentinel://user:password@sentinel1:26379,sentinel2:26379/NAME/0`` asks the sentinels for the primary NAME,
``redis+cluster://user:password@node1:6379,node2:6379`` learns the other nodes from these. After a ``?``:
``ssl=true`` for TLS, ``sentinel_password=…`` where the sentinels want one.
"""

from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from core.settings import SettingsInvalid
from models.redis_library import ClusterNode, NoBackoff, RedisCluster, Retry, Sentinel, aioredis

CONNECT_TIMEOUT_S = 0.2
SUBSCRIBE_TIMEOUT_S = 1.0  # to connect for a subscription; the limit of a command is that of ``Kv``
MAX_CONNECTIONS = 16
REDIRECTS = 3  # of a command, while slots move
PORTS = {"redis+sentinel": 26379, "redis+cluster": 6379}


class Place(NamedTuple):
    """The parts of such a URL."""

    hosts: list[tuple[str, int]]
    path: list[str]
    options: dict[str, Any]
    query: dict[str, str]


def open_client(url: str) -> tuple[Any, list[Any]]:
    """The client, and what else is to be closed after it; connects on first use. Raises ``SettingsInvalid``."""
    try:
        if url.startswith("redis+sentinel:"):
            return _of_sentinel(_parse(url))
        if url.startswith("redis+cluster:"):
            return _of_cluster(_parse(url)), []
        return _of_server(url), []
    except (ValueError, TypeError, IndexError):
        raise SettingsInvalid(["KAIMEN_REDIS_URL: holds something redis-py does not take"]) from None


def asked_timeout_s(url: str) -> float | None:
    """How long a command may take, where the URL says so as redis-py has it: ``?socket_timeout=SECONDS``."""
    asked = parse_qs(urlsplit(url).query).get("socket_timeout")
    return float(asked[0]) if asked else None


def _of_server(url: str) -> "aioredis.Redis":
    return aioredis.Redis.from_url(
        url,
        decode_responses=True,
        socket_connect_timeout=SUBSCRIBE_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        max_connections=MAX_CONNECTIONS,
    )


def _of_sentinel(place: Place) -> tuple[Any, list[Any]]:
    common = {"socket_connect_timeout": CONNECT_TIMEOUT_S, "retry": Retry(NoBackoff(), 0)}
    ssl = place.options.get("ssl", False)
    of_sentinels = {**common, "socket_timeout": CONNECT_TIMEOUT_S, "ssl": ssl}
    if "sentinel_password" in place.query:
        of_sentinels["password"] = place.query["sentinel_password"]
    sentinel: Any = Sentinel(place.hosts, sentinel_kwargs=of_sentinels, **common)  # type: ignore[no-untyped-call]
    database = int(place.path[1]) if len(place.path) > 1 else 0
    client = sentinel.master_for(
        place.path[0], db=database, decode_responses=True, max_connections=MAX_CONNECTIONS, **place.options
    )
    return client, sentinel.sentinels


def _of_cluster(place: Place) -> Any:
    return RedisCluster(
        startup_nodes=[ClusterNode(host, port) for host, port in place.hosts],
        decode_responses=True,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), REDIRECTS),
        max_connections=MAX_CONNECTIONS,
        **place.options,
    )


def _parse(url: str) -> Place:
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    given = {"username": unquote(user), "password": unquote(password), "ssl": query.get("ssl") == "true"}
    options = {name: value for name, value in given.items() if value}
    default = PORTS[parts.scheme]
    found = [urlsplit(f"//{host}") for host in hosts.split(",")]
    places = [(host.hostname or "", host.port or default) for host in found]
    return Place(places, [part for part in parts.path.split("/") if part], options, query)
