"""Unit contract: the callback of a chord is triggered once, whatever happens around its last members."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from django_machinery.protocol.codec import decode_signature
from django_machinery.protocol.followups import abandoned
from django_machinery.protocol.signature import Arg, Signature
from django_machinery.protocol.states import FAILURE, PENDING, SUCCESS
from django_machinery.seams.backend import GroupProgress, ResultBackend, StateChange
from django_machinery.seams.broker import Broker, Consumer
from django_machinery.seams.unit import Outcome, Unit, Verdict
from tests.contracts.backend_base import get_state, result, set_state, states_of
from tests.contracts.broker_base import Connect
from tests.contracts.support import collect, nothing_comes, race, unique
from tests.contracts.unit_base import MakeUnit, UnitTopic, fail, succeed, take, untold

COMMITTED = Verdict.COMMITTED
SendChord = Callable[..., tuple[Signature, list[Signature]]]


class Chords(UnitTopic):
    @pytest.fixture
    def send_chord(self, broker: Broker, backend: ResultBackend, queue: str) -> SendChord:
        def send_chord(count: int, **fields: Any) -> tuple[Signature, list[Signature]]:
            """A callback and the members of a chord that is sent; `fields` are the callback's."""
            callback = self.task(queue, name="multiply", **fields)
            group = unique("group")
            members = [
                self.task(queue, group_uuid=group, group_task_count=count, chord_callback=callback)
                for _ in range(count)
            ]
            backend.init_group(group, [member.uuid for member in members], callback)
            changes = [StateChange(member, PENDING, group_index=index) for index, member in enumerate(members)]
            changes += [StateChange(step, PENDING) for step in (callback, *abandoned(callback))]
            broker.send(backend, changes, members)
            return callback, members

        return send_chord

    def test_the_last_member_sends_the_callback_with_all_results_in_order(
        self, backend: ResultBackend, unit: Unit, consumer: Consumer, send_chord: SendChord
    ):
        callback, members = send_chord(3)
        outcomes = [untold(delivery) for delivery in collect(consumer, 3)]
        for index in (2, 0):
            assert unit.commit([succeed(outcomes[index], str(index))]) == [COMMITTED]
            assert nothing_comes(consumer)
        assert unit.commit([succeed(outcomes[1], "1")]) == [COMMITTED]
        (sent,) = received(consumer, 1)
        assert sent.uuid == callback.uuid
        assert numbers(sent) == [b"1", b"0", b"1", b"2"]
        assert get_state(backend, callback).state == PENDING
        group = backend.get_group(members[0].group_uuid)
        assert group is not None
        assert group.chord_triggered

    def test_members_that_end_in_one_batch_send_it_once(self, unit: Unit, consumer: Consumer, send_chord: SendChord):
        callback, _ = send_chord(4)
        outcomes = [succeed(untold(delivery), str(index)) for index, delivery in enumerate(collect(consumer, 4))]
        assert unit.commit(outcomes) == [COMMITTED] * 4
        (sent,) = received(consumer, 1)
        assert (sent.uuid, numbers(sent)) == (callback.uuid, [b"1", b"0", b"1", b"2", b"3"])
        assert nothing_comes(consumer)

    def test_the_last_two_members_at_the_same_instant_send_it_once(
        self, unit_of: MakeUnit, connect: Connect, send_chord: SendChord
    ):
        consumers = [connect(), connect()]
        for _ in range(6):
            callback, _members = send_chord(2)
            commits = [partial(unit_of(each).commit, [succeed(take(each), "4")]) for each in consumers]
            assert race(commits) == [[COMMITTED], [COMMITTED]]
            (delivery,) = collect(consumers[0], 1)
            assert decode_signature(delivery.body).uuid == callback.uuid
            assert consumers[0].settle([delivery]) == [True]
            assert all(nothing_comes(each) for each in consumers)

    def test_an_immutable_callback_gets_no_results(self, unit: Unit, consumer: Consumer, send_chord: SendChord):
        callback, _ = send_chord(1, immutable=True)
        unit.commit([succeed(take(consumer))])
        assert received(consumer, 1) == [callback]

    def test_a_failed_member_fails_the_callback_and_all_below_it_at_once(
        self, backend: ResultBackend, unit: Unit, consumer: Consumer, send_chord: SendChord, queue: str
    ):
        next_step, alarm = self.task(queue), self.task(queue, args=["alarm"])
        callback, members = send_chord(3, on_success=[next_step], on_error=[alarm])
        outcomes = [untold(delivery) for delivery in collect(consumer, 3)]
        assert unit.commit([fail(outcomes[1], "broken")]) == [COMMITTED]
        assert states_of(backend, [callback, next_step]) == [FAILURE, FAILURE]
        assert get_state(backend, callback).error == "broken"
        (sent,) = received(consumer, 1)
        assert (sent.uuid, sent.args) == (alarm.uuid, (Arg.of("broken"), Arg.of("alarm")))
        assert unit.commit([fail(outcomes[0], "too"), succeed(outcomes[2])]) == [COMMITTED] * 2
        assert nothing_comes(consumer)
        assert get_state(backend, callback).error == "broken"
        assert backend.group_progress(members[0].group_uuid) == GroupProgress(3, 2, 3)

    def test_a_failure_and_the_last_success_in_one_batch_fail_the_callback_once(
        self, backend: ResultBackend, unit: Unit, consumer: Consumer, send_chord: SendChord, queue: str
    ):
        alarm = self.task(queue)
        callback, _ = send_chord(2, on_error=[alarm])
        first, second = (untold(delivery) for delivery in collect(consumer, 2))
        assert unit.commit([succeed(first), fail(second, "broken")]) == [COMMITTED] * 2
        assert [signature.uuid for signature in received(consumer, 1)] == [alarm.uuid]
        assert get_state(backend, callback).error == "broken"
        assert nothing_comes(consumer)

    def test_a_member_that_crashed_between_its_state_and_the_callback_sends_it_when_it_comes_again(
        self,
        broker: Broker,
        backend: ResultBackend,
        unit_of: MakeUnit,
        consumer: Consumer,
        other: Consumer,
        token: str,
        send_chord: SendChord,
    ):
        callback, (member,) = send_chord(1)
        take(consumer)
        assert set_state(backend, member, SUCCESS, results=(result("8"),))
        backend.trigger_chord(member.group_uuid, member.uuid)
        (delivery,) = self.after_crash(broker, (consumer, token), other)
        completion = Outcome(delivery, member, final=get_state(backend, member))
        assert unit_of(other).commit([completion]) == [COMMITTED]
        (sent,) = received(other, 1)
        assert (sent.uuid, numbers(sent)) == (callback.uuid, [b"1", b"8"])

    def test_a_member_that_comes_again_after_all_is_done_sends_nothing_new(
        self, backend: ResultBackend, unit: Unit, consumer: Consumer, send_chord: SendChord, broker: Broker
    ):
        callback, members = send_chord(2)
        outcomes = [succeed(untold(delivery)) for delivery in collect(consumer, 2)]
        assert unit.commit(outcomes) == [COMMITTED] * 2
        assert [signature.uuid for signature in received(consumer, 1)] == [callback.uuid]
        assert set_state(backend, callback, SUCCESS, results=())
        broker.publish(members[:1])
        again = Outcome(take(consumer).delivery, members[0], final=get_state(backend, members[0]))
        assert unit.commit([again]) == [COMMITTED]
        assert get_state(backend, callback).state == SUCCESS
        assert backend.group_progress(members[0].group_uuid) == GroupProgress(2, 0, 2)

    def test_a_group_without_a_callback_is_counted_and_sends_nothing(
        self, backend: ResultBackend, broker: Broker, unit: Unit, consumer: Consumer, queue: str
    ):
        group = unique("group")
        members = [self.task(queue, group_uuid=group, group_task_count=2) for _ in range(2)]
        backend.init_group(group, [member.uuid for member in members])
        changes = [StateChange(member, PENDING, group_index=index) for index, member in enumerate(members)]
        broker.send(backend, changes, members)
        unit.commit([succeed(untold(delivery)) for delivery in collect(consumer, 2)])
        assert backend.group_progress(group) == GroupProgress(2, 0, 2)
        assert nothing_comes(consumer)


def received(consumer: Consumer, count: int) -> Sequence[Signature]:
    """The next messages, which are settled."""
    deliveries = collect(consumer, count)
    assert consumer.settle(deliveries) == [True] * count
    return [decode_signature(delivery.body) for delivery in deliveries]


def numbers(signature: Signature) -> list[bytes]:
    """The JSON of the arguments."""
    return [bytes(arg.value) for arg in signature.args or ()]
