"""A store, the original on it, and our server on it, which has the original's tasks."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.test import override_settings

from django_machinery import AsyncResult, Worker, servers
from django_machinery.server import Server
from tests.contracts.support import unique
from tests.integration.conftest import running
from tests.interop import tasks
from tests.interop.go import Original, build
from tests.services.redis_stores import RedisStore, Stores, redis_stores
from tests.waiting import wait_until

__all__ = ["redis_stores"]

DRIVERS = {
    "redigo": ("tcp", "redis"),
    "go-redis": ("tcp", "goredis"),
    "go-redis on a Cluster": ("cluster", "goredis"),
    "go-redis behind Sentinels": ("sentinel", "goredis"),
}
"""The original's drivers, each with the topology and what its program calls it."""


@pytest.fixture
def driver(request: pytest.FixtureRequest) -> str:
    """Parametrize it indirectly for other drivers than the first."""
    name: str = getattr(request, "param", "redigo")
    return name


@pytest.fixture
def store(driver: str, redis_stores: Stores) -> RedisStore:
    store = redis_stores.get(DRIVERS[driver][0])
    store.flush()
    return store


@pytest.fixture
def queue() -> str:
    return unique("queue")


@pytest.fixture
def original(driver: str, store: RedisStore, queue: str) -> Original:
    kind = DRIVERS[driver][1]
    flags = ["-broker", kind, "-broker-url", store.url, "-backend", kind, "-backend-url", store.url]
    flags += ["-queue", queue, "-delayed-poll", "50", "-poll", "1000"]
    if "redis_master_name" in store.settings:
        flags += ["-master-name", store.settings["redis_master_name"]]
        flags += ["-sentinel-password", store.settings["redis_sentinel_password"]]
    return Original(build(), flags)


@pytest.fixture
def server(store: RedisStore, queue: str, database: str) -> Iterator[Server]:
    """Ours, on the same store and queue. It knows no task until it has registered some."""
    settings = {key.upper(): value for key, value in store.settings.items()}
    urls = dict.fromkeys(("BROKER", "RESULT_BACKEND", "LOCK"), store.url)
    with override_settings(MACHINERY={"default": {**urls, "DEFAULT_QUEUE": queue, "DATABASE": database, **settings}}):
        yield servers["default"]


StartWorker = Callable[..., AbstractContextManager[Worker]]


@pytest.fixture
def our_worker(server: Server) -> StartWorker:
    """`with our_worker(): ...`: a worker of ours runs, with all tasks of the original or those named."""

    def start(*names: str, concurrency: int = 2) -> AbstractContextManager[Worker]:
        tasks.register(server, *names)
        return running(Worker(server, concurrency=concurrency))

    return start


def error_callback(result: AsyncResult[Any], uuid: str) -> AsyncResult[Any]:
    """The handle of an error callback of a failed task, once it is known: it is sent after the failure is stored."""
    sibling = result.sibling(uuid, "record_error")
    wait_until(lambda: result.backend.get_states([uuid])[0])
    return sibling
