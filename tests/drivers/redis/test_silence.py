"""Connections that are dead and do not say so: the network has forgotten them, or their server hangs."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from django_machinery.drivers.redis.backend import RedisBackend
from django_machinery.drivers.redis.broker import RedisBroker
from django_machinery.drivers.redis.client import Client
from django_machinery.exceptions import BackendUnavailable, BrokerUnavailable
from django_machinery.protocol.states import PENDING
from django_machinery.seams.backend import StateChange
from tests.contracts.backend_base import success, task
from tests.contracts.support import config_with, unique
from tests.services import Redis, RedisCluster, RedisSentinel, require, scratch_directory, stopped
from tests.services.proxy import Proxy
from tests.services.redis_stores import RedisStore, Stores
from tests.waiting import wait_until

NOTICED = 10.0
"""Seconds within which a silence is noticed, and got over, however busy this machine is; by default it takes 4."""


@pytest.fixture
def redis_store(redis_stores: Stores) -> RedisStore:
    store = redis_stores.get("tcp")
    store.flush()
    return store


@pytest.fixture
def proxy(redis_store: RedisStore) -> Iterator[Proxy]:
    (server,) = redis_store.servers()
    with Proxy(("127.0.0.1", server.port)).running() as proxy:
        yield proxy


@pytest.fixture
def url(proxy: Proxy) -> str:
    return f"redis://127.0.0.1:{proxy.port}/0"


@pytest.fixture(scope="module")
def sentinels() -> Iterator[RedisSentinel]:
    """Of these tests alone, which stop some of them."""
    require(Redis)
    with scratch_directory() as directory, RedisSentinel(directory).running() as deployment:
        yield deployment


@pytest.fixture
def cluster() -> Iterator[RedisCluster]:
    require(Redis)
    with scratch_directory() as directory, RedisCluster(directory).running() as deployment:
        yield deployment


class Waiting:
    """A thread that waits for one task."""

    def __init__(self, backend: RedisBackend, uuid: str) -> None:
        self.result: object = None
        self._thread = threading.Thread(target=self._wait, args=[backend, uuid], daemon=True)
        self._thread.start()

    def _wait(self, backend: RedisBackend, uuid: str) -> None:
        try:
            (self.result,) = backend.wait([uuid], 60)
        except BackendUnavailable as error:
            self.result = error

    def ends_well(self) -> None:
        self._thread.join(NOTICED)
        assert getattr(self.result, "is_success", False), self.result or "it waits on"


def test_who_waits_wakes_though_the_network_has_forgotten_its_connections(
    redis_store: RedisStore, proxy: Proxy, url: str
):
    signature, config = task(), config_with(lease=10.0)
    backend, direct = RedisBackend(url, config), RedisBackend(redis_store.url, config)
    direct.set_states([StateChange(signature, PENDING)])
    waiting = Waiting(backend, signature.uuid)
    wait_until(lambda: tracking(*redis_store.servers()))
    assert proxy.forget() >= 2
    direct.set_states([success(signature)])
    waiting.ends_well()
    backend.close()
    direct.close()


def test_who_waits_at_a_master_that_hangs_wakes_by_its_successor(sentinels: RedisSentinel):
    secrets = {"redis_master_name": sentinels.master_name, "redis_sentinel_password": sentinels.password}
    config, signature = config_with(lease=10.0, **secrets), task()
    backend, ender = RedisBackend(sentinels.url, config), RedisBackend(sentinels.url, config)
    master = sentinels.master()
    backend.set_states([StateChange(signature, PENDING)])
    waiting = Waiting(backend, signature.uuid)
    wait_until(lambda: tracking(master))
    (successor,) = (server for server in sentinels.data_servers if server is not master)
    wait_until(lambda: successor.client().exists(signature.uuid))
    with stopped(master):
        wait_until(lambda: written(ender, signature), timeout=60)
        waiting.ends_well()
    backend.close()
    ender.close()


def test_who_waits_at_a_node_that_hangs_wakes_by_its_replica(cluster: RedisCluster):
    config, signature = config_with(lease=10.0), task()
    backend, ender = RedisBackend(cluster.url, config), RedisBackend(cluster.url, config)
    master = cluster.master_of(signature.uuid)
    backend.set_states([StateChange(signature, PENDING)])
    waiting = Waiting(backend, signature.uuid)
    wait_until(lambda: tracking(master))
    wait_until(lambda: cluster.replica_of(master).client().dbsize())
    with stopped(master):
        wait_until(lambda: written(ender, signature), timeout=60)
        waiting.ends_well()
    backend.close()
    ender.close()


def test_who_waits_until_its_time_is_over_is_told_so_by_a_redis_that_hangs(proxy: Proxy, url: str):
    signature, config = task(), config_with(lease=10.0, redis_read_timeout=0.3, redis_write_timeout=0.3)
    backend = RedisBackend(url, config)
    backend.set_states([StateChange(signature, PENDING)])
    forget = threading.Timer(0.3, proxy.forget)
    forget.start()
    (state,) = backend.wait([signature.uuid], 1.0)
    assert state is not None
    assert state.state == PENDING
    backend.close()


def test_who_has_waited_long_bears_with_each_outage_anew(
    redis_store: RedisStore, proxy: Proxy, url: str, monkeypatch: pytest.MonkeyPatch
):
    """Each takes less than is borne, all of them together more."""
    monkeypatch.setattr("django_machinery.drivers.redis.backend.OUTAGE", 1.5)
    monkeypatch.setattr("django_machinery.drivers.redis.watching.SILENCE", 0.1)
    signature, config = task(), config_with(lease=10.0)
    backend, direct = RedisBackend(url, config), RedisBackend(redis_store.url, config)
    direct.set_states([StateChange(signature, PENDING)])
    waiting = Waiting(backend, signature.uuid)
    for _ in range(3):
        wait_until(lambda: tracking(*redis_store.servers()))
        proxy.refuse()
        time.sleep(0.8)
        proxy.heal()
    wait_until(lambda: tracking(*redis_store.servers()))
    direct.set_states([success(signature)])
    waiting.ends_well()
    backend.close()
    direct.close()


def test_one_dead_connection_ends_the_idle_ones_that_share_its_fate(proxy: Proxy, url: str):
    broker = RedisBroker(url, config_with(redis_read_timeout=0.3, redis_write_timeout=0.3))
    pool = broker.client._pool("q")
    for connection in [pool.take() for _ in range(6)]:
        pool.give(connection)
    assert proxy.forget() == 6
    with pytest.raises(BrokerUnavailable):
        broker.depth("q")
    assert broker.depth("q") == 0
    broker.close()


def test_who_waits_for_messages_opens_lines_anew_when_another_connection_died(
    redis_store: RedisStore, proxy: Proxy, url: str
):
    """Without a look at them: it would wait on a line that is as dead."""
    config = config_with(lease=10.0, redis_read_timeout=0.3, redis_write_timeout=0.3)
    broker, token, queue = RedisBroker(url, config), unique("worker"), unique("math")
    broker.renew([token])
    consumer = broker.consumer([queue], ["add"], token)
    consumer.fetch(1)
    consumer.wait(0.01)
    proxy.forget()
    with pytest.raises(BrokerUnavailable):
        broker.depth(queue)
    consumer.fetch(1)
    consumer.wait(0.05)
    consumer.close()
    broker.close()


def test_a_line_that_is_silent_is_given_up_when_its_time_is_over(redis_store: RedisStore, proxy: Proxy, url: str):
    """And not asked once more."""
    config = config_with(lease=10.0, redis_read_timeout=2.0, redis_write_timeout=2.0)
    broker, token, queue = RedisBroker(url, config), unique("worker"), unique("math")
    broker.renew([token])
    consumer = broker.consumer([queue], ["add"], token)
    consumer.fetch(1)
    forget = threading.Timer(0.3, proxy.forget)
    forget.start()
    start = time.monotonic()
    with pytest.raises(BrokerUnavailable, match="no answer"):
        consumer.wait(30)
    assert time.monotonic() - start < 4.5
    assert consumer.fetch(1) == []
    consumer.close()
    broker.close()


def test_a_sentinel_that_hangs_costs_a_second_once(sentinels: RedisSentinel):
    secrets = {"redis_master_name": sentinels.master_name, "redis_sentinel_password": sentinels.password}
    broker = RedisBroker(sentinels.url, config_with(lease=10.0, **secrets))
    with stopped(sentinels.sentinels[0]):
        assert 0.9 < opening(broker.client) < 1.9
        assert opening(broker.client) < 0.9
    broker.close()


def opening(client: Client) -> float:
    """Seconds that a new connection takes."""
    start = time.monotonic()
    client.line("q").close()
    return time.monotonic() - start


def tracking(server: Redis) -> int:
    """How many want to be told what becomes of keys there."""
    count: int = server.client().info("clients")["tracking_clients"]
    return count


def written(backend: RedisBackend, signature: Any) -> bool:
    try:
        return backend.set_states([success(signature)]) == [True]
    except BackendUnavailable:
        return False
