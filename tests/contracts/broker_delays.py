"""Broker contract: delays, and what operators see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from django_machinery.exceptions import BrokerUnavailable
from django_machinery.protocol.codec import decode_signature
from django_machinery.protocol.signature import Signature
from django_machinery.seams.broker import Broker, Consumer, Waiting
from tests.contracts.broker_base import BrokerTopic, Publish, names_of
from tests.contracts.support import collect, needs, nothing_comes, race, uuids
from tests.waiting import wait_until

SOON = timedelta(seconds=0.6)
LATER = timedelta(hours=1)


class Delays(BrokerTopic):
    def test_a_message_is_held_back_until_its_eta(self, broker: Broker, consumer: Consumer, publish: Publish):
        needs(broker, "supports_delay")
        (sent,) = publish(1, eta=SOON)
        assert sent.eta is not None
        while not (deliveries := consumer.fetch(1)):
            consumer.wait(0.02)
            broker.promote()
            assert datetime.now(UTC) < sent.eta + timedelta(seconds=10)
        assert datetime.now(UTC) >= sent.eta
        assert names_of(deliveries) == [sent.uuid]

    def test_it_tells_when_the_next_message_is_due(self, broker: Broker, publish: Publish):
        needs(broker, "supports_delay")
        assert not broker.next_due()
        publish(1, eta=timedelta(hours=2))
        publish(2, eta=timedelta(minutes=20))
        assert 1100 < (broker.next_due() or 0) <= 1200
        publish(3, eta=SOON)
        wait_until(lambda: (broker.next_due() or 0) <= 0)
        assert wait_until(broker.promote) == 1
        assert 1000 < (broker.next_due() or 0) <= 1200

    def test_an_eta_that_is_past_delays_nothing(self, consumer: Consumer, publish: Publish):
        sent = publish(1, eta=-LATER)
        assert names_of(collect(consumer, 1)) == uuids(sent)

    def test_a_broker_that_cannot_delay_hands_out_at_once(self, broker: Broker, consumer: Consumer, publish: Publish):
        if broker.supports_delay:
            pytest.skip("supports_delay")
        sent = publish(1, eta=LATER)
        assert names_of(collect(consumer, 1)) == uuids(sent)

    def test_promotions_at_the_same_instant_count_each_message_once(self, broker: Broker, publish: Publish):
        needs(broker, "supports_delay")
        publish(*range(10), eta=SOON / 4)
        promoted = 0

        def all_promoted() -> bool:
            nonlocal promoted
            promoted += sum(race([broker.promote] * 3))
            return promoted >= 10

        wait_until(all_promoted)
        assert (promoted, broker.promote()) == (10, 0)

    def test_what_is_due_is_promoted_oldest_first(self, broker: Broker, consumer: Consumer, publish: Publish):
        needs(broker, "supports_delay")
        (late,) = publish(1, eta=SOON / 2)
        (soon,) = publish(2, eta=SOON / 3)
        wait_until(lambda: late.eta is not None and datetime.now(UTC) > late.eta)
        wait_until(lambda: broker.promote() == 0)
        assert names_of(collect(consumer, 2)) == [soon.uuid, late.uuid]

    def test_a_delayed_message_is_replaced_by_one_of_the_same_uuid(
        self, broker: Broker, consumer: Consumer, publish: Publish
    ):
        needs(broker, "supports_delay")
        if not self.replaces_waiting:
            pytest.skip("replaces_waiting")
        (first,) = publish(1, eta=LATER)
        (second,) = publish(2, uuid=first.uuid)
        assert decode_signature(collect(consumer, 1)[0].body) == second
        assert nothing_comes(consumer)

    def test_delayed_messages_are_listed_soonest_first(self, broker: Broker, queue: str, publish: Publish):
        self.needs_delay_and_listing(broker)
        (late,) = publish(1, eta=2 * LATER)
        (soon,) = publish(2, eta=LATER)
        waiting = [message for message in broker.delayed() if message.queue == queue]
        assert bodies(waiting) == [soon, late]
        for message, signature in zip(waiting, [soon, late], strict=True):
            assert message.due_at is not None
            assert signature.eta is not None
            assert abs(message.due_at - signature.eta) < timedelta(milliseconds=1)
        assert len(broker.delayed(limit=1)) == 1

    def test_delayed_messages_are_neither_pending_nor_purged(self, broker: Broker, queue: str, publish: Publish):
        self.needs_delay_and_listing(broker)
        publish(1, eta=LATER)
        assert (broker.depth(queue), broker.pending(queue), broker.purge(queue)) == (0, [], 0)
        assert [message.queue for message in broker.delayed()].count(queue) == 1


class Listing(BrokerTopic):
    def test_pending_messages_are_listed_in_the_order_of_handing_out(
        self, broker: Broker, queue: str, publish: Publish
    ):
        needs(broker, "supports_listing")
        ordinary = publish(1, 2)
        urgent = publish(3, priority=9)
        expected = [*urgent, *ordinary] if broker.supports_priority else [*ordinary, *urgent]
        pending = broker.pending(queue)
        assert bodies(pending) == expected
        assert {(message.queue, message.due_at) for message in pending} == {(queue, None)}
        assert bodies(broker.pending(queue, limit=2)) == expected[:2]

    def test_listing_claims_nothing(self, broker: Broker, consumer: Consumer, queue: str, publish: Publish):
        needs(broker, "supports_listing")
        sent = publish(1, 2)
        broker.pending(queue)
        assert names_of(collect(consumer, 2)) == uuids(sent)

    def test_what_is_claimed_is_not_pending(self, broker: Broker, consumer: Consumer, queue: str, publish: Publish):
        needs(broker, "supports_listing")
        sent = publish(1, 2)
        collect(consumer, 1)
        assert bodies(broker.pending(queue)) == sent[1:]
        assert broker.depth(queue) == 1


class Unreachable(BrokerTopic):
    def test_every_call_says_that_the_store_cannot_be_reached(self, unreachable: Broker, queue: str):
        signature = Signature.of("add", 1, uuid="task_unreachable", queue=queue)
        for call in (
            lambda: unreachable.publish([signature]),
            lambda: unreachable.depth(queue),
            lambda: unreachable.purge(queue),
            lambda: unreachable.consumer([queue], ["add"], "worker").fetch(1),
        ):
            with pytest.raises(BrokerUnavailable):
                call()


def bodies(messages: list[Waiting]) -> list[Signature]:
    return [decode_signature(message.body) for message in messages]
