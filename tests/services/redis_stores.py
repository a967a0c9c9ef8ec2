"""Redis in every form in which the driver can reach it. A conftest imports the fixtures that it offers to its tests."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.services import Redis, RedisCluster, RedisSentinel, require, scratch_directory
from tests.services.certificates import Certificates


@dataclass(frozen=True)
class RedisStore:
    """A URL, the settings that belong to it, and the servers behind it."""

    url: str
    servers: Callable[[], Sequence[Redis]]
    """Those that hold data now."""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nowhere(self) -> str:
        """A URL of the same form that leads nowhere."""
        return re.sub(r":\d{4,5}\b", ":1", self.url).replace("/socket:", "/no-socket:")

    def flush(self) -> None:
        for server in self.servers():
            with server.client() as client:
                client.flushall()

    def client_of(self, key: str) -> Any:
        """A client of the server that has a key."""
        for server in self.servers():
            client = server.client()
            try:
                client.exists(key)
            except redis.exceptions.MovedError:
                client.close()
                continue
            return client
        raise LookupError(key)


class Stores:
    """Starts them when they are asked for, all in one directory."""

    def __init__(self, directory: Path, running: ExitStack) -> None:
        self._directory = directory
        self._running = running
        self._started: dict[str, RedisStore] = {}

    def get(self, name: str) -> RedisStore:
        if name not in self._started:
            self._started[name] = getattr(self, f"_{name}")()
        return self._started[name]

    def _tcp(self) -> RedisStore:
        return RedisStore(self._single.url, lambda: [self._single])

    def _socket(self) -> RedisStore:
        return RedisStore(f"redis+socket://{self._single.socket_path}:/0", lambda: [self._single])

    def _tls(self) -> RedisStore:
        certificate, key = map(str, self._certificates.client)
        settings = {
            "redis_tls_ca": str(self._certificates.authority),
            "redis_tls_cert": certificate,
            "redis_tls_key": key,
        }
        return RedisStore(f"rediss://localhost:{self._single.tls_port}/0", lambda: [self._single], settings)

    def _cluster(self) -> RedisStore:
        cluster = self._running.enter_context(RedisCluster(self._directory / "cluster").running())
        return RedisStore(cluster.url, cluster.masters)

    def _sentinel(self) -> RedisStore:
        sentinel = self._running.enter_context(RedisSentinel(self._directory / "sentinel").running())
        settings = {"redis_master_name": sentinel.master_name, "redis_sentinel_password": sentinel.password}
        return RedisStore(sentinel.url, lambda: [sentinel.master()], settings)

    @cached_property
    def _certificates(self) -> Certificates:
        certificates = Certificates(self._directory / "certificates")
        certificates.create()
        return certificates

    @cached_property
    def _single(self) -> Redis:
        return self._running.enter_context(Redis(self._directory / "single", certificates=self._certificates).running())


STORES = ("tcp", "socket", "tls", "cluster", "sentinel")


@pytest.fixture(scope="session")
def redis_stores() -> Iterator[Stores]:
    """Each is started once a process, when the first test asks for it."""
    require(Redis)
    with ExitStack() as running:
        yield Stores(running.enter_context(scratch_directory()), running)


@pytest.fixture(params=STORES)
def redis_store(request: pytest.FixtureRequest, redis_stores: Stores) -> RedisStore:
    """Redis, empty: the test runs once a topology."""
    store = redis_stores.get(request.param)
    store.flush()
    return store
