"""Unit contract: what becomes durable with an outcome."""

from collections.abc import Callable
from datetime import timedelta

from django_machinery.protocol.codec import decode_signature
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import FAILURE, PENDING, RECEIVED, RETRY, STARTED, SUCCESS
from django_machinery.seams.backend import ResultBackend, StateChange
from django_machinery.seams.broker import Broker, Consumer
from django_machinery.seams.unit import Burial, Outcome, Unit, Verdict
from tests.contracts.backend_base import get_state, result, set_state, states_of
from tests.contracts.broker_base import names_of
from tests.contracts.support import collect, nothing_comes, uuids
from tests.contracts.unit_base import Send, UnitTopic, fail, note, succeed, take, untold

COMMITTED = Verdict.COMMITTED


class Outcomes(UnitTopic):
    def test_a_success_is_stored_and_its_message_gone(
        self, broker: Broker, backend: ResultBackend, unit: Unit, consumer: Consumer, token: str, send: Send, queue: str
    ):
        sent = send()
        assert unit.commit([succeed(take(consumer), "7")]) == [COMMITTED]
        state = get_state(backend, sent)
        assert (state.state, state.results, state.task_name) == (SUCCESS, (result("7"),), "add")
        broker.reclaim(token)
        assert broker.depth(queue) == 0

    def test_a_failure_is_stored_with_its_error(
        self, backend: ResultBackend, unit: Unit, consumer: Consumer, send: Send
    ):
        sent = send()
        assert unit.commit([fail(take(consumer), "é <no>")]) == [COMMITTED]
        assert (get_state(backend, sent).state, get_state(backend, sent).error) == (FAILURE, "é <no>")
        assert nothing_comes(consumer)

    def test_follow_ups_are_pending_and_sent(
        self, backend: ResultBackend, unit: Unit, consumer: Consumer, send: Send, queue: str
    ):
        send()
        outcome = succeed(take(consumer))
        outcome.follow_ups = (self.task(queue), self.task(queue, name="multiply"))
        assert unit.commit([outcome]) == [COMMITTED]
        assert states_of(backend, outcome.follow_ups) == [PENDING, PENDING]
        deliveries = collect(consumer, 2)
        assert [decode_signature(delivery.body) for delivery in deliveries] == list(outcome.follow_ups)
        assert [(delivery.claim, delivery.suspect) for delivery in deliveries] == [(1, False)] * 2

    def test_a_follow_up_that_ran_before_keeps_its_state(
        self, backend: ResultBackend, unit: Unit, consumer: Consumer, send: Send, queue: str
    ):
        send()
        outcome = succeed(take(consumer))
        outcome.follow_ups = (self.task(queue),)
        set_state(backend, outcome.follow_ups[0], SUCCESS, results=(result("9"),))
        assert unit.commit([outcome]) == [COMMITTED]
        assert get_state(backend, outcome.follow_ups[0]).results == (result("9"),)

    def test_a_retry_stays_retry_and_takes_the_place_of_the_message(
        self, backend: ResultBackend, unit: Unit, consumer: Consumer, send: Send
    ):
        sent = send(retry_count=2)
        outcome = take(consumer)
        again = sent.replace(retry_count=1)
        outcome.change, outcome.retry = StateChange(sent, RETRY, error="not yet"), again
        assert unit.commit([outcome]) == [COMMITTED]
        assert get_state(backend, sent).state == RETRY
        (delivery,) = collect(consumer, 1)
        assert decode_signature(delivery.body) == again
        assert not delivery.suspect
        assert nothing_comes(consumer)
        assert unit.commit([succeed(untold(delivery))]) == [COMMITTED]
        assert get_state(backend, sent).state == SUCCESS

    def test_a_retry_with_an_eta_waits_for_it(
        self,
        broker: Broker,
        backend: ResultBackend,
        unit: Unit,
        consumer: Consumer,
        send: Send,
        outbox: list[Signature],
        queue: str,
    ):
        sent = send(retry_count=1)
        outcome = take(consumer)
        outcome.change = StateChange(sent, RETRY, error="not yet")
        outcome.retry = sent.replace(retry_count=0, eta=timedelta(hours=1))
        assert unit.commit([outcome]) == [COMMITTED]
        assert nothing_comes(consumer)
        assert get_state(backend, sent).state == RETRY
        if broker.supports_delay and broker.supports_listing:
            waiting = [decode_signature(each.body) for each in broker.delayed() if each.queue == queue]
            assert waiting == [outcome.retry]
        elif not broker.supports_delay:
            assert outbox == [outcome.retry]

    def test_what_cannot_run_any_more_fails_with_the_error_of_its_parent(
        self, backend: ResultBackend, unit: Unit, consumer: Consumer, send: Send, queue: str
    ):
        send()
        outcome = fail(take(consumer), "broken")
        outcome.abandoned = (self.task(queue), self.task(queue))
        backend.set_states([StateChange(outcome.abandoned[0], PENDING)])
        set_state(backend, outcome.abandoned[1], SUCCESS, results=())
        assert unit.commit([outcome]) == [COMMITTED]
        lost, finished = (get_state(backend, signature) for signature in outcome.abandoned)
        assert (lost.state, lost.error) == (FAILURE, "broken")
        assert (finished.state, finished.error) == (SUCCESS, "")
        assert nothing_comes(consumer)

    def test_an_undecodable_message_is_buried_and_taken_off_the_queue(
        self, broker: Broker, unit: Unit, consumer: Consumer, queue: str, buried: Callable[[], list[str]]
    ):
        self.inject(broker, queue, b"[not a message")
        (delivery,) = collect(consumer, 1)
        burial = Burial("undecodable", "expected an object", "host:1")
        assert unit.commit([Outcome(delivery, burial=burial)]) == [COMMITTED]
        assert buried() == ["undecodable"]
        assert nothing_comes(consumer)

    def test_the_task_of_an_undecodable_message_fails_where_it_is_known(
        self,
        broker: Broker,
        backend: ResultBackend,
        unit: Unit,
        consumer: Consumer,
        send: Send,
        queue: str,
        buried: Callable[[], list[str]],
    ):
        task = self.task(queue)
        set_state(backend, task, PENDING)
        self.inject(broker, queue, b"[not a message")
        (delivery,) = collect(consumer, 1)
        change = StateChange(Signature(uuid=task.uuid), FAILURE, error="cannot be read", reason="dead")
        outcome = Outcome(delivery, change=change, burial=Burial("undecodable", "expected an object"))
        assert unit.commit([outcome]) == [COMMITTED]
        assert buried() == ["undecodable"]
        state = get_state(backend, task)
        assert (state.state, state.error, state.task_name) == (FAILURE, "cannot be read", "add")
        assert nothing_comes(consumer)

    def test_a_poisonous_message_is_buried_and_its_task_fails(
        self,
        backend: ResultBackend,
        unit: Unit,
        consumer: Consumer,
        send: Send,
        queue: str,
        buried: Callable[[], list[str]],
    ):
        sent = send()
        outcome = fail(take(consumer), "crashed its worker 3 times")
        outcome.follow_ups = (self.task(queue),)
        outcome.burial = Burial("poison", "crashed its worker 3 times", "host:1")
        assert unit.commit([outcome]) == [COMMITTED]
        assert buried() == ["poison"]
        assert get_state(backend, sent).state == FAILURE
        assert names_of(collect(consumer, 1)) == uuids(outcome.follow_ups)


class Batches(UnitTopic):
    def test_many_outcomes_are_committed_at_once(
        self, backend: ResultBackend, unit: Unit, consumer: Consumer, send: Send, queue: str
    ):
        sent = [send() for _ in range(30)]
        outcomes = [untold(delivery) for delivery in collect(consumer, 30)]
        for index, outcome in enumerate(outcomes):
            succeed(outcome, str(index)) if index % 3 else fail(outcome, str(index))
            outcome.follow_ups = (self.task(queue),)
        assert unit.commit(outcomes) == [COMMITTED] * 30
        assert states_of(backend, sent) == [SUCCESS if index % 3 else FAILURE for index in range(30)]
        expected = [outcome.follow_ups[0].uuid for outcome in outcomes]
        assert sorted(names_of(collect(consumer, 30))) == sorted(expected)

    def test_an_empty_batch_is_nothing(self, unit: Unit):
        assert unit.commit([]) == []

    def test_notes_show_how_far_a_task_is(self, backend: ResultBackend, unit: Unit, consumer: Consumer, send: Send):
        first, second = send(), send()
        (running, finished) = (take(consumer), take(consumer))
        assert unit.commit([], [note(running, RECEIVED), note(finished, RECEIVED)]) == []
        assert states_of(backend, [first, second]) == [RECEIVED, RECEIVED]
        assert unit.commit([succeed(finished)], [note(running, STARTED)]) == [COMMITTED]
        assert states_of(backend, [first, second]) == [STARTED, SUCCESS]

    def test_a_note_that_comes_late_changes_nothing(
        self, backend: ResultBackend, unit: Unit, consumer: Consumer, send: Send
    ):
        sent = send()
        outcome = take(consumer)
        assert unit.commit([succeed(outcome)], [note(outcome, STARTED)]) == [COMMITTED]
        assert get_state(backend, sent).state == SUCCESS
        assert unit.commit([], [note(outcome, STARTED)]) == []
        assert get_state(backend, sent).state == SUCCESS

    def test_a_note_that_comes_after_a_retry_changes_nothing(
        self, backend: ResultBackend, unit: Unit, consumer: Consumer, send: Send
    ):
        sent = send(retry_count=1)
        outcome = take(consumer)
        outcome.change, outcome.retry = StateChange(sent, RETRY), sent.replace(retry_count=0)
        assert unit.commit([outcome]) == [COMMITTED]
        assert unit.commit([], [note(outcome, STARTED)]) == []
        assert get_state(backend, sent).state == RETRY
