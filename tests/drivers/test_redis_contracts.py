"""The Redis driver runs the contracts of its seams on every topology."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from django_machinery.conf import ServerConfig
from django_machinery.drivers.redis.backend import RedisBackend
from django_machinery.drivers.redis.broker import RedisBroker
from django_machinery.drivers.redis.lock import RedisLock
from django_machinery.seams.backend import ResultBackend
from django_machinery.seams.broker import Broker
from django_machinery.seams.lock import Lock
from tests.contracts.backend import BackendContract
from tests.contracts.broker import BrokerContract
from tests.contracts.lock import LockContract
from tests.contracts.support import config_with
from tests.contracts.unit import UnitContract
from tests.services.redis_stores import RedisStore


class OnRedis:
    """What the suites need to run on a topology."""

    @pytest.fixture
    def config(self, request: pytest.FixtureRequest, redis_store: RedisStore) -> ServerConfig:
        return config_with(**{**redis_store.settings, **getattr(request, "param", {})})

    def inject(self, broker: Broker, queue: str, body: bytes) -> None:
        assert isinstance(broker, RedisBroker)
        broker.client.call(queue, ("RPUSH", queue, body))


class TestRedisBroker(OnRedis, BrokerContract):
    replaces_waiting: ClassVar = False

    @pytest.fixture
    def broker(self, config: ServerConfig, redis_store: RedisStore) -> Iterator[Broker]:
        broker = RedisBroker(redis_store.url, config)
        yield broker
        broker.close()

    @pytest.fixture
    def unreachable(self, config: ServerConfig, redis_store: RedisStore) -> Broker:
        return RedisBroker(redis_store.nowhere, config)


@pytest.mark.parametrize("redis_store", ["tcp", "cluster"], indirect=True)
class TestRedisBrokerWithPriorities(TestRedisBroker):
    @pytest.fixture
    def config(self, request: pytest.FixtureRequest, redis_store: RedisStore) -> ServerConfig:
        settings: dict[str, Any] = {"redis_priorities": True, **redis_store.settings}
        return config_with(**{**settings, **getattr(request, "param", {})})


class TestRedisBackend(OnRedis, BackendContract):
    expires_everything: ClassVar = True

    @pytest.fixture
    def backend(self, config: ServerConfig, redis_store: RedisStore) -> Iterator[ResultBackend]:
        backend = RedisBackend(redis_store.url, config)
        yield backend
        backend.close()

    @pytest.fixture
    def unreachable(self, config: ServerConfig, redis_store: RedisStore) -> ResultBackend:
        return RedisBackend(redis_store.nowhere, config)


class TestRedisUnit(OnRedis, UnitContract):
    replaces_waiting: ClassVar = False

    @pytest.fixture
    def broker(self, config: ServerConfig, redis_store: RedisStore) -> Iterator[Broker]:
        broker = RedisBroker(redis_store.url, config)
        yield broker
        broker.close()

    @pytest.fixture
    def backend(self, config: ServerConfig, redis_store: RedisStore) -> Iterator[ResultBackend]:
        backend = RedisBackend(redis_store.url, config)
        yield backend
        backend.close()


class TestRedisLock(OnRedis, LockContract):
    @pytest.fixture
    def lock(self, config: ServerConfig, redis_store: RedisStore) -> Iterator[Lock]:
        lock = RedisLock(redis_store.url, config)
        yield lock
        lock.close()

    @pytest.fixture
    def other(self, config: ServerConfig, redis_store: RedisStore) -> Iterator[Lock]:
        lock = RedisLock(redis_store.url, config)
        yield lock
        lock.close()

    @pytest.fixture
    def unreachable(self, config: ServerConfig, redis_store: RedisStore) -> Lock:
        return RedisLock(redis_store.nowhere, config)
