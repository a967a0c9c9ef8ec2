"""Broker contract: what operators do to queues and messages, and what they see of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

from django.db import connections

from django_machinery.protocol.codec import decode_signature
from django_machinery.seams.broker import Backlog, Broker, Consumer
from tests.contracts.broker_base import BrokerTopic, Connect, Publish, names_of
from tests.contracts.support import collect, needs, nothing_comes, unique, uuids
from tests.waiting import wait_until

LATER = timedelta(hours=1)


def in_thread(function: Callable[[float], None], seconds: float) -> threading.Thread:
    def call() -> None:
        try:
            function(seconds)
        finally:
            connections.close_all()

    thread = threading.Thread(target=call)
    thread.start()
    return thread


class Pausing(BrokerTopic):
    def test_a_paused_queue_hands_out_nothing_and_the_others_do(self, connect: Connect, queue: str, publish: Publish):
        elsewhere = unique("elsewhere")
        consumer = connect(queues=[queue, elsewhere])
        consumer.pause({queue, "nobody's"})
        publish(1)
        sent = publish(2, queue=elsewhere)
        assert names_of(collect(consumer, 1)) == uuids(sent)
        assert nothing_comes(consumer)

    def test_a_consumer_whose_queues_are_all_paused_gets_nothing(
        self, consumer: Consumer, queue: str, publish: Publish
    ):
        consumer.pause({queue})
        publish(1)
        assert nothing_comes(consumer)
        assert consumer.fetch(1, alone=True) == []

    def test_what_came_in_the_meantime_is_handed_out_after_the_pause(
        self, broker: Broker, consumer: Consumer, queue: str, publish: Publish
    ):
        consumer.pause({queue})
        sent = publish(1, 2, 3)
        assert nothing_comes(consumer)
        assert broker.depth(queue) == 3
        consumer.pause(())
        assert names_of(collect(consumer, 3)) == uuids(sent)

    def test_what_a_wait_has_caught_before_the_pause_goes_to_others(
        self, broker: Broker, consumer: Consumer, other: Consumer, queue: str, publish: Publish
    ):
        assert consumer.fetch(1) == []
        waiting = in_thread(consumer.wait, 10.0)
        sent = publish(1)
        waiting.join(20)
        consumer.pause({queue})
        assert names_of(collect(other, 1)) == uuids(sent)
        assert nothing_comes(consumer)

    def test_what_was_handed_out_before_the_pause_is_settled_as_ever(
        self, broker: Broker, consumer: Consumer, queue: str, publish: Publish
    ):
        publish(1, 2)
        first, second = collect(consumer, 2)
        consumer.pause({queue})
        assert consumer.settle([first]) == [True]
        consumer.release([second])
        assert broker.depth(queue) == 1

    def test_a_wait_for_paused_queues_ends_in_time_and_by_a_wake(self, consumer: Consumer, queue: str):
        consumer.fetch(1)
        consumer.pause({queue})
        consumer.wait(0.05)
        waiting = in_thread(consumer.wait, 60.0)
        consumer.wake()
        waiting.join(20)
        assert not waiting.is_alive()


class Taking(BrokerTopic):
    def test_waiting_messages_are_taken_by_the_uuids_of_their_tasks(
        self, broker: Broker, consumer: Consumer, other: Consumer, publish: Publish
    ):
        needs(broker, "supports_lookup")
        first, second, third = publish(1, 2, 3)
        (delayed,) = publish(4, eta=LATER)
        taken = consumer.take([second.uuid, delayed.uuid, "task_unknown"])
        assert {decode_signature(delivery.body).uuid for delivery in taken} == {second.uuid, delayed.uuid}
        assert names_of(collect(other, 2)) == uuids([first, third])
        assert nothing_comes(other)
        assert consumer.settle(taken) == [True, True]

    def test_messages_that_are_held_are_not_taken(
        self, broker: Broker, consumer: Consumer, other: Consumer, publish: Publish
    ):
        (sent,) = publish(1)
        held = collect(other, 1)
        assert consumer.take([sent.uuid]) == []
        assert other.settle(held) == [True]

    def test_what_was_taken_can_be_given_back(
        self, broker: Broker, consumer: Consumer, other: Consumer, publish: Publish
    ):
        needs(broker, "supports_lookup")
        (sent,) = publish(1)
        consumer.release(consumer.take([sent.uuid]))
        (delivery,) = collect(other, 1)
        assert (decode_signature(delivery.body).uuid, delivery.claim) == (sent.uuid, 1)


class Hastening(BrokerTopic):
    def test_delayed_messages_become_due(self, broker: Broker, consumer: Consumer, publish: Publish):
        needs(broker, "supports_delay")
        wanted, _ = publish(1, 2, eta=LATER)
        assert broker.hasten([wanted.uuid, "task_unknown"]) == 1
        wait_until(lambda: broker.promote() >= 0)
        assert names_of(collect(consumer, 1)) == [wanted.uuid]
        assert nothing_comes(consumer)

    def test_what_is_ready_already_is_not_hastened(self, broker: Broker, consumer: Consumer, publish: Publish):
        (sent,) = publish(1)
        assert broker.hasten([sent.uuid]) == 0


class Looking(BrokerTopic):
    def test_backlogs_tell_what_waits_on_each_queue(self, broker: Broker, queue: str, publish: Publish):
        empty = unique("empty")
        if not broker.executes_inline:
            publish(1, 2)
        if broker.supports_delay and broker.supports_listing:
            publish(3, eta=LATER)
        found = {backlog.queue: backlog for backlog in broker.backlogs([queue, empty])}
        assert found[empty] == Backlog(empty, 0, 0)
        delayed = int(broker.supports_delay and broker.supports_listing)
        assert (found[queue].ready, found[queue].delayed) == (0 if broker.executes_inline else 2, delayed)
        assert 0 <= (found[queue].oldest or 0.0) < 60
