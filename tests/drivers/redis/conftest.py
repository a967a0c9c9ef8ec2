"""What the tests of the Redis driver's own ways start from."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from django_machinery.conf import ServerConfig
from django_machinery.drivers.redis.backend import RedisBackend
from django_machinery.drivers.redis.broker import RedisBroker
from django_machinery.drivers.redis.consumer import RedisConsumer
from django_machinery.protocol.signature import Signature
from tests.contracts.support import config_with, unique
from tests.services.redis_stores import RedisStore

Connect = Callable[..., RedisConsumer]


@pytest.fixture
def config(request: pytest.FixtureRequest, redis_store: RedisStore) -> ServerConfig:
    return config_with(**{**redis_store.settings, **getattr(request, "param", {})})


@pytest.fixture
def broker(config: ServerConfig, redis_store: RedisStore) -> Iterator[RedisBroker]:
    broker = RedisBroker(redis_store.url, config)
    yield broker
    broker.close()


@pytest.fixture
def backend(config: ServerConfig, redis_store: RedisStore) -> Iterator[RedisBackend]:
    backend = RedisBackend(redis_store.url, config)
    yield backend
    backend.close()


@pytest.fixture
def queue() -> str:
    return unique("math")


@pytest.fixture
def client(redis_store: RedisStore, queue: str) -> Iterator[Any]:
    """A client of redis-py, of the server that has `queue`."""
    with redis_store.client_of(queue) as client:
        yield client


@pytest.fixture
def connect(broker: RedisBroker, queue: str) -> Iterator[Connect]:
    """Opens a consumer as a process that is enlisted."""
    opened: list[RedisConsumer] = []

    def connect(token: str = "", queues: Sequence[str] = ()) -> RedisConsumer:
        token = token or unique("worker")
        assert broker.renew([token]) == {token}
        consumer = broker.consumer(queues or [queue], ["add"], token)
        assert isinstance(consumer, RedisConsumer)
        opened.append(consumer)
        return consumer

    yield connect
    for consumer in opened:
        consumer.close()


@pytest.fixture
def publish(broker: RedisBroker, queue: str) -> Callable[..., list[Signature]]:
    def publish(*values: Any, **fields: Any) -> list[Signature]:
        sent = [Signature.of("add", value, **{"uuid": unique("task"), "queue": queue, **fields}) for value in values]
        broker.publish(sent)
        return sent

    return publish
