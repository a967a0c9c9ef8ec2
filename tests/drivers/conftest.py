"""The stores that the drivers' tests run on: each is started once a process, when the first test asks for it."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.drivers.redis_stores import STORES, RedisStore, Stores
from tests.services import Redis, require, scratch_directory


@pytest.fixture(scope="session")
def redis_stores() -> Iterator[Stores]:
    require(Redis)
    with ExitStack() as running:
        yield Stores(running.enter_context(scratch_directory()), running)


@pytest.fixture(params=STORES)
def redis_store(request: pytest.FixtureRequest, redis_stores: Stores) -> RedisStore:
    """Redis, empty: the test runs once a topology."""
    store = redis_stores.get(request.param)
    store.flush()
    return store
