"""Broker contract: what becomes of the messages of a process that died, is late, or ends in good order."""

from __future__ import annotations

import time

from django_machinery.seams.broker import Broker, Consumer, Delivery, Lease
from tests.contracts.broker_base import BrokerTopic, Connect, Publish, names_of
from tests.contracts.support import LEASE, collect, needs, nothing_comes, race, unique, uuids
from tests.waiting import wait_until


class Crashes(BrokerTopic):
    """Whatever the lease hangs on."""

    def test_what_a_crashed_process_held_comes_again_as_a_suspect(
        self, broker: Broker, consumer: Consumer, other: Consumer, token: str, publish: Publish
    ):
        sent = publish(1, 2)
        collect(consumer, 2)
        deliveries = self.after_crash(broker, (consumer, token), other, 2)
        assert sorted(names_of(deliveries)) == sorted(uuids(sent))
        for delivery in deliveries:
            assert delivery.redelivered
            assert (delivery.claim, delivery.suspect, delivery.crashes) == (2, True, 0)

    def test_a_crashed_process_settles_nothing_any_more(
        self, broker: Broker, consumer: Consumer, other: Consumer, token: str, publish: Publish
    ):
        publish(1)
        held = collect(consumer, 1)
        taken = self.after_crash(broker, (consumer, token), other)
        assert consumer.holds(held) == [False]
        assert other.holds(taken) == [True]
        assert consumer.settle(held) == [False]
        consumer.release(held)
        consumer.park(held)
        assert other.settle(taken) == [True]

    def test_a_message_that_crashed_the_process_which_ran_it_alone_is_blamed(
        self, broker: Broker, connect: Connect, publish: Publish
    ):
        sent = publish(1)
        token = unique("worker")
        consumer = connect(token)
        (delivery,) = collect(consumer, 1)
        for crashes in range(3):
            heir_token = unique("worker")
            heir = connect(heir_token)
            (delivery,) = self.after_crash(broker, (consumer, token), heir)
            assert (delivery.crashes, delivery.suspect) == (crashes, True)
            consumer, token = heir, heir_token
        assert names_of([delivery]) == uuids(sent)
        assert consumer.settle([delivery]) == [True]

    def test_a_released_suspect_stays_one_and_is_not_blamed(
        self, broker: Broker, consumer: Consumer, other: Consumer, token: str, publish: Publish
    ):
        publish(1)
        collect(consumer, 1)
        other.release(self.after_crash(broker, (consumer, token), other))
        (delivery,) = collect(other, 1, alone=broker.supports_isolation)
        assert (delivery.crashes, delivery.suspect) == (0, True)
        assert self.counts_released or delivery.claim == 2

    def test_a_process_that_lives_keeps_its_messages_beyond_the_lease(
        self, broker: Broker, consumer: Consumer, other: Consumer, token: str, publish: Publish
    ):
        publish(1)
        held = collect(consumer, 1)
        end = time.monotonic() + 2 * LEASE
        while time.monotonic() < end:
            assert broker.renew([token]) == {token}
            assert consumer.renew(held) == []
            broker.sweep()
            assert other.fetch(1) == []
            other.wait(LEASE / 10)
        assert consumer.settle(held) == [True]


class Isolation(BrokerTopic):
    def test_suspects_are_fetched_apart_from_the_rest(
        self, broker: Broker, consumer: Consumer, other: Consumer, token: str, queue: str, publish: Publish
    ):
        needs(broker, "supports_isolation")
        suspect = publish(1)
        collect(consumer, 1)
        self.crash(broker, consumer, token)
        ordinary = publish(2)
        assert broker.suspects([queue]) == 1
        assert names_of(collect(other, 1)) == uuids(ordinary)
        assert nothing_comes(other)
        assert names_of(collect(other, 1, alone=True)) == uuids(suspect)
        assert nothing_comes(other, alone=True)

    def test_suspects_are_counted_for_the_queues_asked_for_while_nobody_holds_them(
        self, broker: Broker, consumer: Consumer, other: Consumer, token: str, queue: str, publish: Publish
    ):
        needs(broker, "supports_isolation")
        publish(1)
        collect(consumer, 1)
        assert broker.suspects([queue]) == 0
        self.crash(broker, consumer, token)
        assert (broker.suspects([queue]), broker.suspects([unique("math")])) == (1, 0)
        collect(other, 1, alone=True)
        assert broker.suspects([queue]) == 0

    def test_nor_is_one_whose_process_was_ended_by_somebody_else(
        self, broker: Broker, consumer: Consumer, connect: Connect, token: str, publish: Publish
    ):
        needs(broker, "supports_isolation")
        publish(1)
        collect(consumer, 1)
        second_token = unique("worker")
        second = connect(second_token)
        self.after_crash(broker, (consumer, token), second)
        assert broker.reclaim(second_token, blame=False) == 1
        (delivery,) = collect(connect(), 1, alone=True)
        assert (delivery.crashes, delivery.suspect) == (0, True)

    def test_a_suspect_that_did_not_run_alone_is_not_blamed(
        self, broker: Broker, consumer: Consumer, connect: Connect, token: str, publish: Publish
    ):
        needs(broker, "supports_isolation")
        publish(1, 2)
        collect(consumer, 2)
        second_token = unique("worker")
        second = connect(second_token)
        self.after_crash(broker, (consumer, token), second, 2)
        deliveries = self.after_crash(broker, (second, second_token), connect(), 2)
        assert [(delivery.crashes, delivery.suspect) for delivery in deliveries] == [(0, True)] * 2


class WorkerLeases(BrokerTopic):
    """`Lease.WORKER`: tokens that are renewed."""

    def test_tokens_that_are_renewed_are_held(self, broker: Broker):
        self.needs_lease(broker, Lease.WORKER)
        tokens = {unique("worker"), unique("worker")}
        assert broker.renew(tokens) == tokens
        assert broker.renew(tokens) == tokens
        assert broker.renew([]) == set()

    def test_reclaim_tells_how_many_messages_there_were_and_takes_the_token(
        self, broker: Broker, consumer: Consumer, token: str, publish: Publish
    ):
        self.needs_lease(broker, Lease.WORKER)
        publish(1, 2, 3)
        collect(consumer, 2)
        assert broker.reclaim(token) == 2
        assert broker.reclaim(token) == 0
        assert broker.renew([token]) == set()

    def test_sweep_reclaims_what_is_not_renewed_and_nothing_else(
        self, broker: Broker, consumer: Consumer, other: Consumer, token: str, publish: Publish
    ):
        self.needs_lease(broker, Lease.WORKER)
        sent = publish(1, 2)
        held = collect(consumer, 2)
        live = unique("worker")
        assert (broker.sweep(), broker.renew([live])) == (0, {live})

        def swept() -> int:
            assert broker.renew([live]) == {live}
            return broker.sweep()

        assert wait_until(swept, interval=LEASE / 6) == 2
        assert broker.renew([token, live]) == {live}
        found = collect(other, 2, alone=broker.supports_isolation)
        assert sorted(names_of(found)) == sorted(uuids(sent))
        assert consumer.settle(held) == [False, False]

    def test_sweeps_at_the_same_instant_count_each_message_once(
        self, broker: Broker, consumer: Consumer, publish: Publish
    ):
        self.needs_lease(broker, Lease.WORKER)
        publish(*range(8))
        collect(consumer, 8)
        swept = 0

        def all_swept() -> bool:
            nonlocal swept
            swept += sum(race([broker.sweep] * 3))
            return swept >= 8

        wait_until(all_swept)
        assert swept == 8

    def test_a_lost_process_keeps_nothing_that_it_still_claims(
        self, broker: Broker, consumer: Consumer, other: Consumer, token: str, publish: Publish
    ):
        self.needs_lease(broker, Lease.WORKER)
        broker.reclaim(token)
        sent = publish(1)
        stray = consumer.fetch(1)
        found: list[Delivery] = []

        def came() -> bool:
            broker.sweep()
            found.extend(other.fetch(1) or other.fetch(1, alone=broker.supports_isolation))
            return bool(found)

        wait_until(came)
        assert names_of(found) == uuids(sent)
        assert consumer.settle(stray) == [False] * len(stray)
        assert other.settle(found) == [True]

    def test_a_process_that_resigns_gives_back_uncounted(
        self, broker: Broker, consumer: Consumer, other: Consumer, token: str, publish: Publish
    ):
        self.needs_lease(broker, Lease.WORKER)
        sent = publish(1, 2)
        held = collect(consumer, 2)
        broker.resign(token)
        deliveries = collect(other, 2)
        assert names_of(deliveries) == uuids(sent)
        assert [(delivery.claim, delivery.suspect) for delivery in deliveries] == [(1, False)] * 2
        assert consumer.settle(held) == [False, False]

    def test_unknown_tokens_hold_nothing(self, broker: Broker):
        self.needs_lease(broker, Lease.WORKER)
        assert broker.reclaim(unique("worker")) == 0
        broker.resign(unique("worker"))


class MessageLeases(BrokerTopic):
    """`Lease.MESSAGE`: each message has its own time."""

    def test_renew_prolongs_each_message_and_tells_which_are_lost(
        self, broker: Broker, consumer: Consumer, other: Consumer, publish: Publish
    ):
        self.needs_lease(broker, Lease.MESSAGE)
        publish(1, 2)
        kept, lost = collect(consumer, 2)
        taken: list[Delivery] = []

        def other_took_one() -> bool:
            assert consumer.renew([kept]) == []
            taken.extend(other.fetch(2))
            return bool(taken)

        wait_until(other_took_one, interval=LEASE / 6)
        assert names_of(taken) == names_of([lost])
        assert consumer.renew([kept, lost]) == [lost]
        assert consumer.settle([kept, lost]) == [True, False]
