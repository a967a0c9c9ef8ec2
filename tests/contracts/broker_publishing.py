"""Broker contract: what `publish` promises."""

import time

import pytest
from django.db import transaction

from django_machinery.exceptions import EncodeError, MessageTooLarge
from django_machinery.protocol.codec import Limits, decode_signature, encode_signature
from django_machinery.protocol.signature import Signature
from django_machinery.seams.broker import Broker, Consumer
from tests.contracts.broker_base import BrokerTopic, Connect, Publish, names_of
from tests.contracts.support import (
    OTHER_LIMITS,
    collect,
    database_of,
    deep,
    needs,
    nothing_comes,
    race,
    unique,
    uuids,
)


class Publishing(BrokerTopic):
    def test_a_message_arrives_as_it_was_sent(self, broker: Broker, consumer: Consumer, queue: str):
        sent = Signature.of(
            "add", 1, "é\u0000\U0001f600 <&>", uuid=unique("task"), queue=queue, headers={"trace": "t"}, retry_count=3
        )
        broker.publish([sent])
        (delivery,) = collect(consumer, 1)
        assert decode_signature(delivery.body) == sent
        assert delivery.queue == queue

    def test_a_first_delivery_says_that_nobody_had_the_message(self, consumer: Consumer, publish: Publish, token: str):
        before = time.monotonic()
        publish(1)
        (delivery,) = collect(consumer, 1)
        assert (delivery.claim, delivery.crashes, delivery.suspect, delivery.redelivered) == (1, 0, False, False)
        assert delivery.token == token
        assert before <= delivery.claimed_at <= time.monotonic()

    def test_messages_of_one_call_arrive_oldest_first(self, consumer: Consumer, publish: Publish):
        sent = publish(*range(7))
        assert names_of(collect(consumer, 7)) == uuids(sent)

    def test_each_message_goes_to_the_queue_it_names(self, broker: Broker, connect: Connect):
        left, right = unique("left"), unique("right")
        consumers = {name: connect(queues=[name]) for name in (left, right)}
        sent = {name: Signature.of("add", uuid=unique("task"), queue=name) for name in (left, right)}
        broker.publish(list(sent.values()))
        for name, consumer in consumers.items():
            assert names_of(collect(consumer, 1)) == [sent[name].uuid]
            assert nothing_comes(consumer)

    def test_publishing_nothing_does_nothing(self, broker: Broker, consumer: Consumer):
        broker.publish([])
        assert nothing_comes(consumer)

    def test_a_waiting_message_is_replaced_by_one_of_the_same_uuid(self, consumer: Consumer, publish: Publish):
        if not self.replaces_waiting:
            pytest.skip("replaces_waiting")
        (first,) = publish(1)
        (second,) = publish(2, uuid=first.uuid)
        (delivery,) = collect(consumer, 1)
        assert decode_signature(delivery.body) == second
        assert nothing_comes(consumer)

    def test_a_message_that_is_too_large_is_refused_before_any_other_is_sent(
        self, broker: Broker, consumer: Consumer, queue: str
    ):
        if broker.max_body is None:
            pytest.skip("max_body")
        small = Signature.of("add", 1, uuid=unique("task"), queue=queue)
        large = Signature.of("add", "x" * broker.max_body, uuid=unique("task"), queue=queue)
        with pytest.raises(MessageTooLarge):
            broker.publish([small, large])
        assert nothing_comes(consumer)

    @pytest.mark.parametrize("config", [OTHER_LIMITS], indirect=True)
    def test_the_limits_are_those_of_the_settings(self, consumer: Consumer, publish: Publish):
        with pytest.raises(EncodeError, match="the limit is 5000"):
            publish(1, "x" * 5000)
        (sent,) = publish(deep())
        assert [delivery.body for delivery in collect(consumer, 1)] == [encode_signature(sent, Limits(max_depth=300))]
        assert nothing_comes(consumer)

    def test_the_largest_message_arrives(self, broker: Broker, consumer: Consumer, queue: str):
        if broker.max_body is None:
            pytest.skip("max_body")
        empty = Signature.of("add", "", uuid=unique("task"), queue=queue)
        full = empty.replace(args=["x" * (broker.max_body - len(encode_signature(empty)))])
        broker.publish([full])
        assert collect(consumer, 1)[0].body == encode_signature(full)

    def test_publishers_in_several_threads_lose_and_double_nothing(self, consumer: Consumer, publish: Publish):
        sent = race([lambda: publish(*range(25))] * 4)
        expected = sorted(uuid for batch in sent for uuid in uuids(batch))
        assert sorted(names_of(collect(consumer, 100))) == expected

    def test_a_message_takes_part_in_the_transaction_of_its_sender(
        self, broker: Broker, consumer: Consumer, publish: Publish
    ):
        needs(broker, "supports_transactions")
        with transaction.atomic(using=database_of(broker)):
            publish(1)
            transaction.set_rollback(True, using=database_of(broker))
        with transaction.atomic(using=database_of(broker)):
            sent = publish(2)
        assert names_of(collect(consumer, 1)) == uuids(sent)
        assert nothing_comes(consumer)

    def test_a_closed_broker_may_be_used_again(self, broker: Broker, consumer: Consumer, publish: Publish):
        broker.close()
        sent = publish(1)
        assert names_of(collect(consumer, 1)) == uuids(sent)

    def test_checks_are_a_list_of_messages(self, broker: Broker):
        assert [message for message in broker.check() if message.is_serious()] == []


class Inline(BrokerTopic):
    """Brokers that have no queue: `publish` runs what it is given."""

    @pytest.fixture
    def ran(self, broker: Broker) -> list[str]:
        """The UUIDs of what was executed, in order."""
        needs(broker, "executes_inline")
        executed: list[str] = []
        broker.execute = lambda delivery: executed.extend(names_of([delivery]))  # type: ignore[attr-defined]
        return executed

    def test_publish_executes_in_order_before_it_returns(self, ran: list[str], publish: Publish):
        sent = publish(1, 2, 3)
        assert ran == uuids(sent)

    @pytest.mark.parametrize("config", [OTHER_LIMITS], indirect=True)
    def test_the_limits_of_what_is_executed_are_those_of_the_settings(self, broker: Broker, publish: Publish):
        needs(broker, "executes_inline")
        executed: list[bytes] = []
        broker.execute = lambda delivery: executed.append(delivery.body)  # type: ignore[attr-defined]
        with pytest.raises(EncodeError, match="the limit is 5000"):
            publish(1, "x" * 5000)
        (sent,) = publish(deep())
        assert executed == [encode_signature(sent, Limits(max_depth=300))]

    def test_nothing_is_ever_left_for_a_consumer(self, broker: Broker, ran: list[str], publish: Publish, queue: str):
        publish(1)
        consumer = broker.consumer([queue], ["add"], unique("worker"))
        assert consumer.fetch(10) == []
        consumer.close()
