"""Delayed messages in Redis: Go's scores, moves that lose nothing, and what cannot be moved."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from django_machinery.drivers.redis import delays
from django_machinery.drivers.redis.broker import RedisBroker
from django_machinery.drivers.redis.keys import queue_keys
from django_machinery.exceptions import BrokerError
from django_machinery.protocol.codec import encode_signature
from django_machinery.protocol.signature import Signature
from tests.contracts.broker_base import names_of
from tests.contracts.support import collect, unique, uuids
from tests.drivers.redis.conftest import Connect
from tests.services.redis_stores import RedisStore
from tests.waiting import wait_until

pytestmark = pytest.mark.parametrize("redis_store", ["tcp", "cluster"], indirect=True)

Publish = Callable[..., list[Signature]]
LATER = timedelta(hours=1)


@pytest.fixture
def delayed(redis_store: RedisStore) -> Any:
    """A client of the server that has the delayed messages."""
    return redis_store.client_of("delayed_tasks")


def test_a_score_is_the_eta_in_nanoseconds(publish: Publish, delayed: Any):
    eta = datetime(2100, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    (sent,) = publish(1, eta=eta)
    assert delayed.zrange("delayed_tasks", 0, -1, withscores=True) == [
        (encode_signature(sent), float(4102542245678901000))
    ]


@pytest.mark.parametrize("config", [{"redis_delayed_tasks_key": "later"}], indirect=True)
def test_the_key_is_a_setting(publish: Publish, redis_store: RedisStore):
    publish(1, eta=LATER)
    assert redis_store.client_of("later").zcard("later") == 1


def test_all_that_are_due_move_at_once_oldest_first(broker: RedisBroker, connect: Connect, delayed: Any, queue: str):
    count = delays.BATCH + 50
    sent = [Signature.of("add", number, uuid=unique("task"), queue=queue) for number in range(count)]
    now = int(datetime.now(UTC).timestamp() * 1e9)
    delayed.zadd("delayed_tasks", {encode_signature(s): now - 10**9 + 1000 * n for n, s in enumerate(sent)})
    assert broker.promote() == count
    assert names_of(collect(connect(), count)) == uuids(sent)
    assert delayed.zcard("delayed_tasks") == 0


def test_a_message_goes_to_the_queue_that_it_names_or_to_the_default_one(
    broker: RedisBroker, connect: Connect, delayed: Any
):
    elsewhere = unique("elsewhere")
    named = Signature.of("add", uuid=unique("task"), queue=elsewhere)
    unnamed = Signature.of("add", uuid=unique("task"))
    delayed.zadd("delayed_tasks", {encode_signature(named): 1, encode_signature(unnamed): 2})
    assert broker.promote() == 2
    assert names_of(collect(connect(queues=[elsewhere]), 1)) == [named.uuid]
    assert names_of(collect(connect(queues=[broker.config.default_queue]), 1)) == [unnamed.uuid]


def test_what_cannot_be_decoded_goes_where_one_of_ours_will_bury_it_and_no_go_worker_meets_it(
    broker: RedisBroker, connect: Connect, delayed: Any
):
    delayed.zadd("delayed_tasks", {b"{no message": 1})
    assert broker.promote() == 1
    assert broker.promote() == 0
    default = broker.config.default_queue
    consumer = connect(queues=[default])
    assert consumer.fetch(1) == []
    (delivery,) = collect(consumer, 1, alone=True)
    assert (delivery.body, delivery.queue, delivery.crashes) == (b"{no message", default, 0)
    assert consumer.settle([delivery]) == [True]


def test_a_message_whose_queue_is_no_queue_is_put_aside_and_holds_up_no_other(
    broker: RedisBroker, connect: Connect, delayed: Any, redis_store: RedisStore
):
    """Its routing key names what another program keeps, or the delayed messages themselves."""
    taken, good = unique("session"), unique("queue")
    redis_store.client_of(taken).set(taken, "of another program")
    sent = {name: Signature.of("add", uuid=unique("task"), queue=name) for name in (taken, "delayed_tasks", good)}
    delayed.zadd("delayed_tasks", {encode_signature(each): n + 1 for n, each in enumerate(sent.values())})
    assert broker.promote() == 3
    assert delayed.zcard("delayed_tasks") == 0
    assert names_of(collect(connect(queues=[good]), 1)) == [sent[good].uuid]
    aside = connect(queues=[broker.config.default_queue])
    assert aside.fetch(5) == []
    assert set(names_of(collect(aside, 2, alone=True))) == {sent[taken].uuid, sent["delayed_tasks"].uuid}


def test_a_message_that_cannot_be_put_aside_stays(
    broker: RedisBroker, connect: Connect, delayed: Any, redis_store: RedisStore
):
    suspects = queue_keys(broker.config.default_queue).suspects
    redis_store.client_of(suspects).set(suspects, "of another program")
    good = unique("queue")
    sent = Signature.of("add", uuid=unique("task"), queue=good)
    delayed.zadd("delayed_tasks", {b"{no message": 1, encode_signature(sent): 2})
    with pytest.raises(BrokerError, match="WRONGTYPE"):
        broker.promote()
    assert delayed.zscore("delayed_tasks", b"{no message") is not None
    if not broker.client.one_slot:
        assert names_of(collect(connect(queues=[good]), 1)) == [sent.uuid]
        assert delayed.zcard("delayed_tasks") == 1


@pytest.mark.parametrize("config", [{"redis_delayed_tasks_poll_period": 400}], indirect=True)
@pytest.mark.parametrize("look", [RedisBroker.promote, RedisBroker.next_due])
def test_a_period_that_is_set_is_kept_to(
    broker: RedisBroker, delayed: Any, queue: str, look: Callable[[RedisBroker], float | None]
):
    assert not look(broker)
    delayed.zadd("delayed_tasks", {encode_signature(Signature.of("add", uuid=unique("task"), queue=queue)): 1})
    assert broker.promote() == 0
    assert 0 < (broker.next_due() or 0) <= 0.4
    wait_until(broker.promote)


def test_a_move_that_a_crash_cuts_in_two_is_made_again(
    broker: RedisBroker,
    connect: Connect,
    delayed: Any,
    queue: str,
    monkeypatch: pytest.MonkeyPatch,
):
    if broker.client.one_slot:
        pytest.skip("a move is one step")
    monkeypatch.setattr(delays, "PUT_OFF", 10**9)
    sent = Signature.of("add", uuid=unique("task"), queue=queue)
    delayed.zadd("delayed_tasks", {encode_signature(sent): 1})
    monkeypatch.setattr(delays.Delays, "_send_and_remove", lambda self, moves: 0)
    assert broker.promote() == 0
    monkeypatch.undo()
    assert broker.promote() == 0
    assert wait_until(broker.promote) == 1
    assert names_of(collect(connect(), 1)) == [sent.uuid]
    assert delayed.zcard("delayed_tasks") == 0
