"""How the Redis driver holds messages: what no contract can ask of every store."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

from django_machinery.drivers.redis.backend import RedisBackend
from django_machinery.drivers.redis.broker import RedisBroker
from django_machinery.drivers.redis.consumer import RedisConsumer
from django_machinery.drivers.redis.keys import queue_keys
from django_machinery.exceptions import BrokerError, BrokerUnavailable
from django_machinery.protocol.codec import decode_signature, encode_signature
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import PENDING, STARTED, SUCCESS
from django_machinery.seams.backend import StateChange
from django_machinery.seams.unit import Outcome, Verdict
from tests.contracts.backend_base import success
from tests.contracts.broker_base import names_of
from tests.contracts.support import collect, nothing_comes, unique, uuids
from tests.drivers.redis.conftest import Connect
from tests.services.redis_stores import RedisStore
from tests.waiting import wait_until

pytestmark = pytest.mark.parametrize("redis_store", ["tcp", "cluster"], indirect=True)

Publish = Callable[..., list[Signature]]


def test_a_queue_holds_messages_that_go_can_read_and_nothing_else(
    broker: RedisBroker, connect: Connect, publish: Publish, client: Any, queue: str
):
    sent = publish(1, 2, 3, 4)
    token = unique("worker")
    consumer = connect(token)
    connect().fetch(0)  # for whom the other one stays parked
    crashed, parked, released = collect(consumer, 3)
    consumer.park([parked])
    consumer.release([released])
    broker.reclaim(token)
    assert client.lrange(queue, 0, -1) == [encode_signature(sent[2]), encode_signature(sent[3])]
    assert broker.suspects([queue]) == 1
    assert broker.depth(queue) == 4
    assert names_of([crashed]) == uuids(sent[:1])


def test_a_claim_is_one_round_trip_however_many_messages_it_takes(connect: Connect, publish: Publish, client: Any):
    publish(*range(300))
    consumer = connect()
    consumer.fetch(0)
    before = client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)
    assert len(consumer.fetch(300)) == 300
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 1


def test_what_a_lost_answer_claimed_is_given_back(
    connect: Connect, publish: Publish, monkeypatch: pytest.MonkeyPatch, broker: RedisBroker
):
    sent = publish(1, 2)
    consumer = connect()
    call = broker.client.call

    def lose_the_answer(key, command):
        call(key, command)
        raise BrokerUnavailable("the connection broke")

    consumer.fetch(0)
    monkeypatch.setattr(broker.client, "call", lose_the_answer)
    with pytest.raises(BrokerUnavailable):
        consumer.fetch(2)
    monkeypatch.undo()
    assert names_of(collect(consumer, 2)) == uuids(sent)
    assert nothing_comes(consumer)


def test_a_claim_that_arrives_late_is_found_while_others_are_held(
    connect: Connect, publish: Publish, broker: RedisBroker, queue: str
):
    """As from a connection that was given up while its command was on the way."""
    publish(1)
    token = unique("worker")
    consumer = connect(token)
    held = collect(consumer, 1)
    late = publish(2)
    on_the_way = RedisConsumer(broker.client, [queue_keys(queue)], token, broker.config)
    assert len(list(on_the_way._claim(1))) == 1
    assert names_of(collect(consumer, 1)) == uuids(late)
    assert consumer.settle(held) == [True]


def test_a_message_that_landed_with_a_process_that_dies_is_not_lost_and_not_counted(
    broker: RedisBroker, connect: Connect, publish: Publish, queue: str, client: Any
):
    token = unique("worker")
    consumer = connect(token)
    assert consumer.fetch(1) == []
    sent = wait_and_publish(consumer, publish)
    assert client.llen(queue_keys(queue).landing(token)) == 1
    assert broker.reclaim(token) == 0
    (delivery,) = collect(connect(), 1)
    assert names_of([delivery]) == uuids(sent)
    assert (delivery.claim, delivery.suspect) == (1, False)


def test_a_message_that_lands_after_a_process_was_lost_is_found_by_sweeps(
    broker: RedisBroker, connect: Connect, publish: Publish, queue: str
):
    token = unique("worker")
    consumer = connect(token)
    assert consumer.fetch(1) == []
    broker.reclaim(token)
    sent = wait_and_publish(consumer, publish)
    other = connect()
    assert other.fetch(1) == []
    broker.sweep()
    assert names_of(collect(other, 1)) == uuids(sent)


def test_a_message_that_a_living_process_lets_lie_goes_to_others(
    broker: RedisBroker, connect: Connect, publish: Publish
):
    token = unique("worker")
    consumer, other = connect(token), connect()
    consumer.fetch(1)
    sent = wait_and_publish(consumer, publish)
    assert broker.sweep() == 0
    assert other.fetch(1) == []
    broker.renew([token])
    assert broker.sweep() == 0
    assert names_of(collect(other, 1)) == uuids(sent)


def test_who_asks_for_suspects_alone_takes_nothing_else_while_waiting(
    connect: Connect, publish: Publish, client: Any, queue: str
):
    consumer = connect()
    assert consumer.fetch(1, alone=True) == []
    publish(1)
    consumer.wait(0.05)
    assert client.llen(queue) == 1


def test_one_waits_for_all_its_queues(broker: RedisBroker, connect: Connect):
    queues = [unique("first"), unique("second"), unique("third")]
    consumer = connect(queues=queues)
    for name in queues:
        consumer.fetch(1)
        sent = Signature.of("add", uuid=unique("task"), queue=name)
        timer = threading.Timer(0.1, broker.publish, [[sent]])
        timer.start()
        start = time.monotonic()
        consumer.wait(20)
        assert time.monotonic() - start < 5
        timer.join()
        assert names_of(collect(consumer, 1)) == [sent.uuid]


def test_a_parked_message_is_tried_at_most_once_a_second(connect: Connect, publish: Publish):
    (sent,) = publish(1, name="unknown")
    consumer = connect()
    tries: list[float] = []

    def tried() -> bool:
        for delivery in consumer.fetch(5):
            assert decode_signature(delivery.body) == sent
            tries.append(time.monotonic())
            consumer.park([delivery])
        return len(tries) == 3

    wait_until(tried)
    assert all(later - earlier > 0.95 for earlier, later in pairwise(tries))


def test_parked_messages_come_back_behind_others_and_not_all_at_once(
    connect: Connect, publish: Publish, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("django_machinery.drivers.redis.parking.CROWD", 20)
    publish(*range(60), name="unknown")
    consumer = connect()
    consumer.park(collect(consumer, 60))
    time.sleep(1.1)  # until all of them may be tried again
    ordinary = publish(*range(30))
    assert names_of(collect(consumer, 30)) == uuids(ordinary)
    parked = collect(consumer, 60)
    assert len({delivery.handle for delivery in parked}) == 60


def test_messages_of_a_task_that_is_not_known_are_left_to_others_for_a_while(
    connect: Connect, publish: Publish, client: Any, queue: str
):
    """Where a Go worker looks, and out of the way of what can be run here."""
    publish(0, name="unknown")
    consumer = connect()
    consumer.park(collect(consumer, 1))
    others = publish(1, 2, name="unknown")
    first = publish(3)
    others += publish(4, name="unknown")
    second = publish(5)
    assert names_of(consumer.fetch(10)) == uuids(first + second)
    assert client.lrange(queue, 0, -1) == [encode_signature(signature) for signature in others]
    assert consumer.fetch(10) == []
    start = time.monotonic()
    consumer.wait(30)
    assert time.monotonic() - start < 5, "new messages are looked for"
    tried = collect(consumer, 4)
    assert {decode_signature(delivery.body).name for delivery in tried} == {"unknown"}


def test_one_that_is_to_be_ignored_where_it_is_not_known_is_left_to_nobody(connect: Connect, publish: Publish):
    publish(0, name="unknown")
    consumer = connect()
    consumer.park(collect(consumer, 1))
    ignored = publish(1, name="unknown", ignore_when_task_not_registered=True)
    assert names_of(consumer.fetch(10)) == uuids(ignored)


def test_a_crowd_of_messages_that_are_left_to_others_hides_nothing(
    broker: RedisBroker, connect: Connect, publish: Publish, queue: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("django_machinery.drivers.redis.parking.CROWD", 20)
    publish(0, name="unknown")
    consumer = connect()
    consumer.park(collect(consumer, 1))
    publish(*range(500), name="unknown")
    known = publish(1)
    assert names_of(collect(consumer, 1, timeout=1.5)) == uuids(known)
    assert broker.depth(queue) == 501


@pytest.mark.parametrize("config", [{"redis_priorities": True}], indirect=True)
def test_a_queue_whose_key_another_program_has_taken_loses_nothing(
    broker: RedisBroker, connect: Connect, publish: Publish, client: Any, queue: str
):
    (sent,) = publish(1, priority=5)
    client.set(queue, "text")
    consumer = connect()
    with pytest.raises(BrokerError, match="WRONGTYPE"):
        consumer.fetch(5)
    client.delete(queue)
    assert names_of(collect(consumer, 1)) == [sent.uuid]


def test_what_was_sent_before_redis_was_full_is_worked_on(
    broker: RedisBroker, backend: RedisBackend, connect: Connect, publish: Publish, redis_store: RedisStore
):
    sent = publish(1, 2, 3)
    backend.set_states([StateChange(signature, PENDING) for signature in sent])
    with full(redis_store):
        consumer = connect()
        ended, crashed, parked = collect(consumer, 3)
        unit = broker.unit(consumer, backend, broker.publish, lambda outcome: None)
        outcome = Outcome(ended, sent[0], success(sent[0]))
        assert unit.commit([outcome]) == [Verdict.COMMITTED]
        assert backend.set_states([StateChange(sent[1], STARTED)]) == [True]
        consumer.park([parked])
        assert broker.reclaim(crashed.token) == 1
        assert names_of(collect(connect(), 1)) == [sent[2].uuid]
        assert broker.suspects([sent[1].queue]) == 1
    states = [state.state for state in backend.get_states(uuids(sent)) if state]
    assert states == [SUCCESS, STARTED, PENDING]


@contextmanager
def full(store: RedisStore) -> Iterator[None]:
    """Redis has no memory left."""
    clients = [server.client() for server in store.servers()]
    for client in clients:
        client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        for client in clients:
            client.config_set("maxmemory", 0)
            client.close()


@pytest.mark.parametrize("end", ["resign", "reclaim"])
def test_what_is_parked_goes_back_to_the_queue_when_nobody_consumes_it_any_more(
    broker: RedisBroker, connect: Connect, publish: Publish, client: Any, queue: str, end: str
):
    """Where Go workers look, which the message may be for."""
    sent = publish(1, 2, 3, name="unknown")
    first, last = unique("worker"), unique("worker")
    consumers = [connect(first), connect(last)]
    consumers[1].fetch(0)
    consumers[0].park(collect(consumers[0], 3))
    getattr(broker, end)(first)
    assert client.lrange(queue, 0, -1) == []
    getattr(broker, end)(last)
    assert client.lrange(queue, 0, -1) == [encode_signature(signature) for signature in sent]
    assert broker.depth(queue) == 3


def test_what_dead_workers_have_parked_goes_back_by_any_worker_of_that_redis(
    broker: RedisBroker, connect: Connect, publish: Publish, client: Any, queue: str
):
    publish(1, 2, 3, name="unknown")
    consumer, elsewhere = connect(), connect(queues=[unique("elsewhere")])
    consumer.park(collect(consumer, 3))
    elsewhere.fetch(0)
    wait_until(lambda: broker.sweep() == 0 and client.llen(queue) == 3)


@pytest.mark.parametrize("config", [{"lease": 60.0}], indirect=True)
def test_what_busy_workers_have_parked_goes_back_by_sweeps(
    broker: RedisBroker, connect: Connect, publish: Publish, client: Any, queue: str
):
    publish(1, 2, 3, name="unknown")
    consumer = connect()
    consumer.park(collect(consumer, 3))
    broker.sweep()
    assert client.llen(queue) == 0
    wait_until(lambda: broker.sweep() == 0 and client.llen(queue) == 3)


def test_a_lost_process_that_wakes_up_is_lost_for_ever(broker: RedisBroker):
    token = unique("worker")
    broker.renew([token])
    broker.reclaim(token)
    broker.sweep()
    assert broker.renew([token]) == set()


def test_a_name_with_braces_may_name_a_queue(broker: RedisBroker, connect: Connect):
    for name in ("{" + unique("tag") + "}.math", unique("a{b")):
        sent = Signature.of("add", uuid=unique("task"), queue=name)
        broker.publish([sent])
        consumer = connect(queues=[name])
        (delivery,) = collect(consumer, 1)
        assert consumer.settle([delivery]) == [True]


def wait_and_publish(consumer: RedisConsumer, publish: Publish) -> list[Signature]:
    """Let a message come to a consumer that waits, without its being fetched."""
    waiter = threading.Thread(target=consumer.wait, args=[20])
    waiter.start()
    time.sleep(0.1)
    sent = publish(1)
    waiter.join(5)
    assert not waiter.is_alive()
    return sent


@pytest.mark.parametrize("config", [{"redis_priorities": True}], indirect=True)
def test_the_bell_for_urgent_messages_does_not_ring_on_when_there_are_none(
    broker: RedisBroker, connect: Connect, publish: Publish, client: Any, queue: str
):
    """Who was busy did not hear it, and would be woken by each ring in vain."""
    consumer, bell = connect(), queue_keys(queue).bell
    for _ in range(3):
        publish(*range(50), priority=5)
        assert client.llen(bell) == 50
        assert len(consumer.fetch(20)) == 20
        publish(*range(10), priority=5)
        assert client.llen(bell) == 50
        consumer.release(consumer.fetch(40))
        assert client.llen(bell) == 50
        assert consumer.settle(consumer.fetch(50)) == [True] * 40
        assert client.llen(bell) == 0
    publish(1, priority=5)
    assert (broker.purge(queue), client.llen(bell)) == (1, 0)
