"""Redis that is full, read-only, away, paused or refuses: what callers are told, and that nothing is lost by it."""

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from django_machinery.drivers.redis import errors
from django_machinery.drivers.redis.backend import RedisBackend
from django_machinery.drivers.redis.broker import RedisBroker
from django_machinery.drivers.redis.lock import RedisLock
from django_machinery.exceptions import BackendUnavailable, BrokerError, BrokerUnavailable, ConfigurationError
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import PENDING, STARTED, SUCCESS
from django_machinery.seams.backend import StateChange
from django_machinery.seams.unit import Note, Outcome, Verdict
from tests.contracts.backend_base import get_state, success, task
from tests.contracts.broker_base import names_of
from tests.contracts.support import collect, config_with, unique, uuids
from tests.drivers.redis.conftest import Connect
from tests.services import Redis, require, scratch_directory
from tests.services.redis_stores import RedisStore
from tests.waiting import wait_until

Publish = Callable[..., list[Signature]]


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    """A server of these tests alone, which may be stopped."""
    require(Redis)
    with scratch_directory() as directory, Redis(directory / "redis").running() as server:
        yield server


@pytest.fixture
def redis_store(server: Redis) -> Iterator[RedisStore]:
    store = RedisStore(server.url, lambda: [server])
    store.flush()
    yield store
    with server.client() as client:
        client.config_set("maxmemory", 0)
        client.replicaof("NO", "ONE")


def test_a_full_redis_takes_no_message_and_says_so(broker: RedisBroker, publish: Publish, client: Any):
    client.config_set("maxmemory", 1)
    with pytest.raises(BrokerUnavailable, match=r"OOM|maxmemory"):
        publish(1)
    client.config_set("maxmemory", 0)
    assert publish(2)


def test_a_full_redis_can_still_be_drained(
    broker: RedisBroker, backend: RedisBackend, connect: Connect, publish: Publish, client: Any
):
    """Or it would stay full: what takes off more than it adds is allowed, from the first look of a process on."""
    sent = publish(1, 2, 3)
    backend.set_states([StateChange(each, PENDING) for each in sent])
    client.config_set("maxmemory", 1)
    token = unique("worker")
    consumer = connect(token)
    ended, released, parked = collect(consumer, 3)
    unit = broker.unit(consumer, backend, broker.publish, lambda outcome: None)
    assert unit.commit([], [Note(ended, StateChange(sent[0], STARTED))]) == []
    assert unit.commit([Outcome(ended, sent[0], success(sent[0]))]) == [Verdict.COMMITTED]
    assert get_state(backend, sent[0]).state == SUCCESS
    consumer.release([released])
    consumer.park([parked])
    assert broker.renew([token]) == {token}
    assert names_of(collect(consumer, 2)) == uuids(sent[1:])
    assert broker.reclaim(token) == 2
    assert len(collect(connect(), 1, alone=True)) == 1
    assert broker.sweep() == 0


def test_a_chord_ends_in_a_full_redis(
    broker: RedisBroker, backend: RedisBackend, connect: Connect, queue: str, client: Any
):
    group, callback = unique("group"), task(queue=queue)
    members = [task(queue=queue, group_uuid=group, group_task_count=2, chord_callback=callback) for _ in range(2)]
    backend.init_group(group, uuids(members), callback)
    broker.send(backend, [StateChange(member, PENDING) for member in members], members)
    client.config_set("maxmemory", 1)
    consumer = connect()
    unit = broker.unit(consumer, backend, lambda s: broker.send(backend, (), s), lambda outcome: None)
    outcomes = [Outcome(d, m, success(m)) for d, m in zip(collect(consumer, 2), members, strict=True)]
    assert unit.commit(outcomes[:1]) == [Verdict.COMMITTED]
    assert unit.commit(outcomes[1:]) == [Verdict.COMMITTED]
    assert names_of(collect(consumer, 1)) == [callback.uuid]


def test_delayed_messages_come_in_a_full_redis(broker: RedisBroker, connect: Connect, publish: Publish, client: Any):
    (sent,) = publish(1, eta=timedelta(seconds=0.1))
    client.config_set("maxmemory", 1)
    wait_until(broker.promote)
    assert names_of(collect(connect(), 1)) == [sent.uuid]


def test_a_wait_in_a_full_redis_says_so_and_is_short(connect: Connect, publish: Publish, client: Any):
    """A message cannot be moved to who waits, but be claimed."""
    consumer = connect()
    client.config_set("maxmemory", 1)
    assert consumer.fetch(1) == []
    with pytest.raises(BrokerUnavailable):
        consumer.wait(30)
    start = time.monotonic()
    assert consumer.fetch(1) == []
    consumer.wait(30)
    assert time.monotonic() - start < 5
    client.config_set("maxmemory", 0)
    sent = publish(1)
    assert names_of(collect(consumer, 1)) == uuids(sent)


def test_what_came_to_a_process_that_waited_goes_back_in_a_full_redis(
    broker: RedisBroker, connect: Connect, publish: Publish, client: Any, queue: str
):
    token = unique("worker")
    consumer = connect(token)
    assert consumer.fetch(1) == []
    sent = publish(1)
    consumer.wait(5)
    client.config_set("maxmemory", 1)
    consumer.pause({queue})
    assert names_of(collect(connect(), 1)) == uuids(sent)


def test_an_outcome_that_does_not_fit_leaves_nothing_and_can_be_given_again(
    broker: RedisBroker, backend: RedisBackend, connect: Connect, publish: Publish, client: Any, queue: str
):
    """Its follow-up goes to a key that is no list."""
    sent, other = publish(1, 2)
    backend.set_states([StateChange(each, PENDING) for each in (sent, other)])
    client.set("no-list", "text")
    consumer = connect()
    outcomes = [
        Outcome(delivery, signature, success(signature))
        for delivery, signature in zip(collect(consumer, 2), (sent, other), strict=True)
    ]
    outcomes[1].follow_ups = (Signature.of("add", uuid=unique("task"), queue="no-list"),)
    unit = broker.unit(consumer, backend, lambda s: broker.send(backend, (), s), lambda outcome: None)
    with pytest.raises(BrokerError, match="WRONGTYPE"):
        unit.commit(outcomes)
    assert [get_state(backend, each).state for each in (sent, other)] == [PENDING, PENDING]
    outcomes[1].follow_ups = ()
    assert unit.commit(outcomes) == [Verdict.COMMITTED] * 2


def test_a_state_is_not_written_over_another_programs_list(
    backend: RedisBackend, client: Any, publish: Publish, queue: str
):
    publish(1)
    with pytest.raises(Exception, match="WRONGTYPE"):
        backend.set_states([StateChange(Signature.of("add", uuid=queue, queue=queue), PENDING)])
    assert client.llen(queue) == 1


def test_a_master_that_became_a_replica_is_left_for_the_next_one(
    broker: RedisBroker, backend: RedisBackend, publish: Publish, client: Any
):
    publish(1)
    client.replicaof("127.0.0.1", "1")
    with pytest.raises(BrokerUnavailable, match=r"READONLY|read only"):
        publish(2)
    with pytest.raises(BackendUnavailable):
        backend.set_states([StateChange(Signature.of("add", uuid=unique("task"), queue="q"), PENDING)])
    client.replicaof("NO", "ONE")
    assert publish(3)


def test_after_a_restart_the_next_call_works_scripts_and_all(
    broker: RedisBroker, connect: Connect, publish: Publish, server: Redis
):
    sent = publish(1, 2)
    consumer = connect()
    held = collect(consumer, 1)
    server.kill()
    with pytest.raises(BrokerUnavailable):
        publish(3)
    server.start()
    assert consumer.settle(held) == [True]
    assert names_of(collect(consumer, 1)) == uuids(sent[1:])


def test_a_wait_ends_with_an_error_when_redis_goes_away_and_works_again_afterwards(
    connect: Connect, publish: Publish, server: Redis
):
    consumer = connect()
    consumer.fetch(1)
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            consumer.wait(30)
        except BrokerUnavailable as error:
            ended.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    time.sleep(0.2)
    server.kill()
    waiter.join(5)
    assert len(ended) == 1
    server.start()
    sent = publish(1)
    consumer.wait(5)
    assert names_of(collect(consumer, 1)) == uuids(sent)


def test_a_paused_redis_is_given_up_in_time(server: Redis, queue: str):
    broker = RedisBroker(server.url, config_with(redis_read_timeout=0.5, redis_write_timeout=0.5))
    broker.depth(queue)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        start = time.monotonic()
        with pytest.raises(BrokerUnavailable, match=r"[Tt]ime"):
            broker.publish([Signature.of("add", uuid=unique("task"), queue=queue)])
        assert time.monotonic() - start < 3
    finally:
        os.kill(server.pid, signal.SIGCONT)
    wait_until(lambda: broker.depth(queue) >= 0)
    broker.close()


def test_what_a_paused_redis_did_after_it_was_given_up_is_not_lost(
    server: Redis, queue: str, publish: Publish, broker: RedisBroker
):
    """The claim waits in the server's socket, and is carried out when nobody reads its answer any more."""
    sent = publish(1, 2, 3)
    impatient = RedisBroker(server.url, config_with(lease=60.0, redis_read_timeout=0.3, redis_write_timeout=0.3))
    token = unique("worker")
    impatient.renew([token])
    consumer = impatient.consumer([queue], ["add"], token)
    consumer.fetch(0)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(BrokerUnavailable):
            consumer.fetch(2)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    wait_until(lambda: broker.depth(queue) == 1)
    assert sorted(names_of(collect(consumer, 3))) == sorted(uuids(sent))
    consumer.close()
    impatient.close()


def test_a_wrong_password_is_no_outage_and_is_not_shown(server: Redis):
    broker = RedisBroker(f"redis://nobody:hunter2@127.0.0.1:{server.port}", config_with())
    with pytest.raises(BrokerError) as caught:
        broker.depth("q")
    assert not isinstance(caught.value, BrokerUnavailable)
    assert "hunter2" not in str(caught.value)


def test_a_user_a_password_and_a_database_lead_to_their_place(server: Redis, client: Any, queue: str):
    client.execute_command(*["ACL", "SETUSER", "ann", "on", ">p@ss/word", "~*", "&*", "+@all"])
    broker = RedisBroker(f"redis://ann:p%40ss%2Fword@127.0.0.1:{server.port}/3", config_with())
    broker.publish([Signature.of("add", uuid=unique("task"), queue=queue)])
    assert server.client(db=3).llen(queue) == 1
    assert broker.client.call(queue, ("ACL", "WHOAMI")) == b"ann"
    broker.close()


def test_more_connections_than_allowed_are_waited_for(server: Redis, queue: str):
    broker = RedisBroker(server.url, config_with(redis_max_active=1, redis_connect_timeout=5.0))
    threads = [threading.Thread(target=broker.depth, args=[queue]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    impatient = RedisBroker(server.url, config_with(redis_max_active=1, redis_wait=False))
    taken = impatient.client._pool(queue).take()
    with pytest.raises(BrokerUnavailable, match="REDIS_MAX_ACTIVE"):
        impatient.depth(queue)
    impatient.client._pool(queue).give(taken)
    assert impatient.depth(queue) == 0
    broker.close()
    impatient.close()


@pytest.mark.parametrize(("settings", "kept"), [({"redis_max_idle": 2}, 2), ({"redis_idle_timeout": 5}, 1)])
def test_idle_connections_are_closed(
    server: Redis, settings: dict[str, float], kept: int, monkeypatch: pytest.MonkeyPatch
):
    now = itertools.count(step=10)
    clock: Any = SimpleNamespace(seconds=next(now), monotonic=lambda: clock.seconds)
    monkeypatch.setattr("django_machinery.drivers.redis.pool.time", clock)
    broker = RedisBroker(server.url, config_with(redis_client_name=unique("idle"), **settings))
    pool = broker.client._pool("q")
    for connection in [pool.take() for _ in range(4)]:
        pool.give(connection)
        clock.seconds = next(now)
    name = broker.config.redis_client_name

    def named() -> int:
        return sum(each["name"] == name for each in server.client().client_list())

    wait_until(lambda: named() == kept)
    broker.close()
    wait_until(lambda: named() == 0)


def test_a_connection_is_not_shared_with_a_fork(server: Redis, queue: str):
    broker = RedisBroker(server.url, config_with())
    broker.depth(queue)
    inherited = broker.client._pool(queue)._idle[0][1]
    broker.client._pool(queue)._pid = -1  # as if this were another process
    connection = broker.client._pool(queue).take()
    assert connection is not inherited
    connection.disconnect()
    inherited.disconnect()
    broker.close()


def test_a_value_of_a_lock_is_what_go_writes(server: Redis, client: Any):
    lock, key = RedisLock(server.url, config_with()), unique("machinery_lock_")
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=60)
    assert lock.acquire(key, until)
    assert client.get(key) == b"%d" % (int(until.timestamp()) * 10**9 - 1)
    assert 58_000 < client.pttl(key) <= 60_000
    assert lock.release(key)
    lock.close()


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (redis.ConnectionError("refused"), True),
        (redis.TimeoutError("slow"), True),
        (redis.BusyLoadingError("loading"), True),
        (redis.ReadOnlyError("You can't write"), True),
        (redis.OutOfMemoryError("command not allowed"), True),
        (redis.ResponseError("BUSY Redis is busy running a script."), True),
        (redis.ResponseError("MISCONF Errors writing to the AOF file"), True),
        (redis.ResponseError("NOREPLICAS Not enough good replicas to write."), True),
        (redis.ResponseError("UNBLOCKED force unblock"), True),
        (redis.ResponseError("Error running script: -READONLY You can't write"), True),
        (redis.exceptions.ClusterDownError("CLUSTERDOWN Hash slot not served"), True),
        (redis.exceptions.TryAgainError("TRYAGAIN"), True),
        (redis.exceptions.MasterDownError("MASTERDOWN"), True),
        (OSError("gone"), True),
        (redis.AuthenticationError("WRONGPASS"), False),
        (redis.exceptions.NoPermissionError("NOPERM"), False),
        (redis.ResponseError("WRONGTYPE Operation against a key"), False),
        (redis.DataError("invalid"), False),
    ],
    ids=lambda value: str(value).split(" ")[0],
)
def test_errors_that_pass_are_told_from_those_that_last(error: Exception, passes: bool):
    kind = BrokerUnavailable if passes else BrokerError
    assert type(errors.translate(error, errors.BROKER)) is kind


def test_a_url_that_leads_nowhere_is_found_when_the_server_is_built():
    with pytest.raises(ConfigurationError):
        RedisBroker("redis://host:port", config_with())
