"""Broker contract: how messages are handed out, settled and given back."""

from functools import partial

import pytest

from django_machinery.protocol.codec import decode_signature
from django_machinery.protocol.signature import Signature
from django_machinery.seams.broker import Broker, Consumer
from tests.contracts.broker_base import BrokerTopic, Connect, Publish, names_of
from tests.contracts.support import collect, needs, nothing_comes, race, unique, uuids
from tests.waiting import wait_until


class Claiming(BrokerTopic):
    def test_an_empty_queue_hands_out_nothing(self, consumer: Consumer):
        assert consumer.fetch(10) == []

    def test_no_more_is_handed_out_than_asked_for(self, consumer: Consumer, publish: Publish):
        sent = publish(*range(5))
        first = collect(consumer, 1)
        assert len(consumer.fetch(2)) <= 2
        assert names_of(first) == uuids(sent)[:1]

    def test_a_consumer_may_hold_as_many_as_it_asked_for(self, consumer: Consumer, publish: Publish):
        sent = publish(*range(40))
        assert names_of(collect(consumer, 40)) == uuids(sent)

    def test_urgent_messages_come_first_and_of_equals_the_oldest(
        self, broker: Broker, consumer: Consumer, publish: Publish
    ):
        needs(broker, "supports_priority")
        low = publish(1, 2)
        high = publish(3, 4, priority=9)
        middle = publish(5, priority=4)
        assert names_of(collect(consumer, 5)) == uuids([*high, *middle, *low])

    def test_earlier_queues_of_a_consumer_come_first(self, broker: Broker, connect: Connect):
        urgent, ordinary = unique("urgent"), unique("ordinary")
        queues = (ordinary, urgent, ordinary, urgent)
        sent = [Signature.of("add", uuid=unique("task"), queue=queue) for queue in queues]
        broker.publish(sent)
        found = names_of(collect(connect(queues=[urgent, ordinary]), 4))
        assert found == uuids([sent[1], sent[3], sent[0], sent[2]])

    @pytest.mark.parametrize("config", [{"queue_weights": {"heavy": 10**9}}], indirect=True, ids=["heavy"])
    def test_with_weights_the_heavier_queue_is_more_often_the_first(self, broker: Broker, connect: Connect):
        sent = [Signature.of("add", uuid=unique("task"), queue=queue) for queue in ("heavy", "light") for _ in range(5)]
        broker.publish(sent)
        found = names_of([delivery for _ in range(10) for delivery in collect(connect(queues=["light", "heavy"]), 1)])
        assert found == uuids(sent)

    @pytest.mark.parametrize("config", [{"queue_weights": {"one": 2, "two": 2}}], indirect=True, ids=["equal"])
    def test_queues_of_one_weight_take_turns(self, broker: Broker, connect: Connect):
        broker.publish([Signature.of("add", uuid=unique("task"), queue=q) for q in ("one", "two") for _ in range(30)])
        consumer = connect(queues=["one", "two"])
        found = [delivery.queue for _ in range(30) for delivery in collect(consumer, 1)]
        assert set(found) == {"one", "two"}
        collect(consumer, 30)

    def test_a_message_that_one_holds_is_not_handed_to_another(
        self, consumer: Consumer, other: Consumer, publish: Publish
    ):
        publish(1)
        collect(consumer, 1)
        assert nothing_comes(other)
        assert nothing_comes(consumer)

    def test_racing_consumers_get_each_message_once(self, connect: Connect, publish: Publish):
        sent = publish(*range(120))
        taken: list[str] = []

        def work(consumer: Consumer) -> None:
            deliveries = consumer.fetch(5)
            while deliveries or len(taken) < len(sent):
                taken.extend(names_of(deliveries))
                assert consumer.settle(deliveries) == [True] * len(deliveries)
                deliveries = consumer.fetch(5)
                if not deliveries:
                    consumer.wait(0.05)

        race([partial(work, connect()) for _ in range(4)])
        assert sorted(taken) == sorted(uuids(sent))

    def test_any_thread_may_settle(self, consumer: Consumer, publish: Publish):
        publish(*range(6))
        deliveries = collect(consumer, 6)
        halves = race([lambda: consumer.settle(deliveries[:3]), lambda: consumer.settle(deliveries[3:])])
        assert halves == [[True] * 3, [True] * 3]

    def test_an_undecodable_body_is_handed_out_as_it_is_and_can_be_settled(
        self, broker: Broker, consumer: Consumer, queue: str
    ):
        self.inject(broker, queue, b'{"UUID":')
        (delivery,) = collect(consumer, 1)
        assert delivery.body == b'{"UUID":'
        assert delivery.queue == queue
        assert consumer.settle([delivery]) == [True]


class Settling(BrokerTopic):
    def test_a_settled_message_never_comes_again(
        self, broker: Broker, consumer: Consumer, other: Consumer, token: str, publish: Publish
    ):
        publish(1)
        kept = publish(2)
        first, _ = collect(consumer, 2)
        assert consumer.settle([first]) == [True]
        assert names_of(self.after_crash(broker, (consumer, token), other)) == uuids(kept)
        assert nothing_comes(other)

    def test_settling_nothing_is_nothing(self, consumer: Consumer):
        assert consumer.settle([]) == []

    def test_a_message_is_settled_once(self, consumer: Consumer, publish: Publish):
        publish(1)
        deliveries = collect(consumer, 1)
        assert consumer.settle(deliveries) == [True]
        assert consumer.settle(deliveries) == [False]

    def test_for_each_message_settle_tells_whether_it_was_still_ours(self, consumer: Consumer, publish: Publish):
        publish(1, 2, 3)
        first, second, third = collect(consumer, 3)
        consumer.release([second])
        assert consumer.settle([first, second, third]) == [True, False, True]


class GivingBack(BrokerTopic):
    def test_a_released_message_comes_again_and_its_claim_does_not_count(self, consumer: Consumer, publish: Publish):
        sent = publish(1)
        for _ in range(3):
            (delivery,) = collect(consumer, 1)
            consumer.release([delivery])
        (delivery,) = collect(consumer, 1)
        assert names_of([delivery]) == uuids(sent)
        assert (delivery.crashes, delivery.suspect) == (0, False)
        assert self.counts_released or (delivery.claim == 1 and not delivery.redelivered)

    def test_a_released_message_keeps_its_place(self, consumer: Consumer, publish: Publish):
        if not self.keeps_places:
            pytest.skip("keeps_places")
        sent = publish(1, 2, 3, 4)
        consumer.release(collect(consumer, 2))
        assert names_of(collect(consumer, 4)) == uuids(sent)

    def test_a_released_message_goes_to_whoever_asks(self, consumer: Consumer, other: Consumer, publish: Publish):
        sent = publish(1, 2)
        held = collect(consumer, 2)
        consumer.release(held[1:])
        assert names_of(collect(other, 1)) == uuids(sent)[1:]
        assert consumer.settle(held) == [True, False]

    def test_what_was_released_is_not_released_again(self, consumer: Consumer, other: Consumer, publish: Publish):
        publish(1)
        held = collect(consumer, 1)
        consumer.release(held)
        taken = collect(other, 1)
        consumer.release(held)
        assert nothing_comes(consumer)
        assert other.settle(taken) == [True]

    def test_a_parked_message_neither_spins_nor_blocks_others(self, consumer: Consumer, publish: Publish):
        publish(1, name="unknown")
        consumer.park(collect(consumer, 1))
        sent = publish(2)
        assert names_of(collect(consumer, 1)) == uuids(sent)
        assert nothing_comes(consumer)

    def test_a_parked_message_is_listed_counted_and_purged(
        self, broker: Broker, consumer: Consumer, publish: Publish, queue: str
    ):
        needs(broker, "supports_listing")
        sent = publish(1, name="unknown")
        consumer.park(collect(consumer, 1))
        assert [decode_signature(waiting.body) for waiting in broker.pending(queue)] == sent
        assert broker.depth(queue) == 1
        assert [backlog.ready for backlog in broker.backlogs([queue])] == [1]
        assert broker.purge(queue) == 1
        assert broker.depth(queue) == 0

    def test_a_parked_message_goes_to_a_worker_that_knows_its_task(
        self, consumer: Consumer, connect: Connect, publish: Publish
    ):
        sent = publish(1, name="unknown")
        held = collect(consumer, 1)
        consumer.park(held)
        assert consumer.settle(held) == [False]
        (delivery,) = collect(connect(names=["unknown"]), 1)
        assert decode_signature(delivery.body) == sent[0]
        assert (delivery.crashes, delivery.suspect) == (0, False)
        assert self.counts_released or delivery.claim == 1

    def test_closing_gives_back_what_is_held_uncounted(self, consumer: Consumer, other: Consumer, publish: Publish):
        sent = publish(1, 2)
        collect(consumer, 2)
        consumer.close()
        consumer.close()
        deliveries = collect(other, 2)
        assert names_of(deliveries) == uuids(sent)
        assert self.counts_released or [delivery.claim for delivery in deliveries] == [1, 1]

    def test_what_a_closed_consumer_held_is_not_its_own_any_more(
        self, consumer: Consumer, other: Consumer, publish: Publish
    ):
        publish(1)
        held = collect(consumer, 1)
        consumer.close()
        taken = collect(other, 1)
        assert consumer.settle(held) == [False]
        assert other.settle(taken) == [True]


class Purging(BrokerTopic):
    def test_depth_counts_what_is_ready(self, broker: Broker, consumer: Consumer, queue: str, publish: Publish):
        assert broker.depth(queue) == 0
        publish(1, 2, 3)
        wait_until(lambda: broker.depth(queue) == 3)
        collect(consumer, 1)
        assert broker.depth(queue) <= 2

    def test_purge_deletes_what_is_ready_on_that_queue_alone(
        self, broker: Broker, connect: Connect, queue: str, publish: Publish
    ):
        elsewhere = unique("elsewhere")
        kept = publish(1, queue=elsewhere)
        publish(2, 3, 4)
        assert broker.purge(queue) == 3
        assert broker.depth(queue) == 0
        assert names_of(collect(connect(queues=[queue, elsewhere]), 1)) == uuids(kept)

    def test_purge_spares_what_is_claimed(self, broker: Broker, consumer: Consumer, queue: str, publish: Publish):
        publish(1)
        held = collect(consumer, 1)
        assert broker.purge(queue) == 0
        assert consumer.settle(held) == [True]
