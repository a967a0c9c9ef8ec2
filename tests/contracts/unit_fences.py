"""Unit contract: outcomes of deliveries that were lost, and of tasks that another run has finished."""

from collections.abc import Callable
from functools import partial

import pytest

from django_machinery.protocol.states import FAILURE, PENDING, RECEIVED, RETRY, STARTED, SUCCESS
from django_machinery.seams.backend import ResultBackend, StateChange
from django_machinery.seams.broker import Broker, Consumer
from django_machinery.seams.unit import Burial, Outcome, Unit, Verdict
from tests.contracts.backend_base import get_state, result, set_state, states_of
from tests.contracts.broker_base import names_of
from tests.contracts.support import collect, nothing_comes, race, uuids
from tests.contracts.unit_base import MakeUnit, Send, UnitTopic, fail, note, succeed, take, untold

COMMITTED, FENCED, OVERTAKEN = Verdict.COMMITTED, Verdict.FENCED, Verdict.OVERTAKEN


class Fences(UnitTopic):
    @pytest.fixture
    def lost_and_kept(
        self, broker: Broker, consumer: Consumer, other: Consumer, token: str, send: Send
    ) -> tuple[Outcome, Outcome]:
        """One message in two hands: of a process that is taken for dead but goes on, and of its heir."""
        send()
        lost = take(consumer)
        (delivery,) = self.after_crash(broker, (consumer, token), other)
        return lost, untold(delivery)

    def test_the_outcome_of_a_lost_delivery_is_fenced(self, unit: Unit, lost_and_kept: tuple[Outcome, Outcome]):
        assert unit.commit([succeed(lost_and_kept[0])]) == [FENCED]

    def test_a_note_of_a_lost_delivery_changes_nothing(
        self, backend: ResultBackend, unit: Unit, unit_of: MakeUnit, other: Consumer, lost_and_kept: tuple[Outcome, ...]
    ):
        lost, kept = lost_and_kept
        assert kept.signature is not None
        assert unit.commit([], [note(lost, STARTED)]) == []
        assert get_state(backend, kept.signature).state == PENDING
        assert unit_of(other).commit([], [note(kept, RECEIVED)]) == []
        assert unit.commit([], [note(lost, STARTED)]) == []
        assert get_state(backend, kept.signature).state == RECEIVED

    def test_nor_does_one_that_comes_when_the_task_waits_to_be_run_again(
        self, backend: ResultBackend, unit: Unit, unit_of: MakeUnit, other: Consumer, lost_and_kept: tuple[Outcome, ...]
    ):
        lost, kept = lost_and_kept
        assert kept.signature is not None
        kept.change, kept.retry = StateChange(kept.signature, RETRY), kept.signature.replace(retry_count=1)
        assert unit_of(other).commit([kept]) == [COMMITTED]
        assert unit.commit([], [note(lost, STARTED)]) == []
        assert get_state(backend, kept.signature).state == RETRY

    def test_a_note_of_a_lost_delivery_harms_no_outcome_of_its_batch(
        self, backend: ResultBackend, unit: Unit, consumer: Consumer, lost_and_kept: tuple[Outcome, ...], send: Send
    ):
        lost, kept = lost_and_kept
        sent = send()
        assert kept.signature is not None
        assert unit.commit([succeed(take(consumer))], [note(lost, STARTED)]) == [COMMITTED]
        assert states_of(backend, [kept.signature, sent]) == [PENDING, SUCCESS]

    def test_nothing_of_a_fenced_outcome_counts(
        self,
        broker: Broker,
        backend: ResultBackend,
        unit: Unit,
        unit_of: MakeUnit,
        other: Consumer,
        lost_and_kept: tuple[Outcome, Outcome],
        queue: str,
        buried: Callable[[], list[str]],
    ):
        if not self.is_atomic(broker, backend):
            pytest.skip("store")
        lost, kept = fail(lost_and_kept[0], "late"), succeed(lost_and_kept[1], "5")
        lost.follow_ups, lost.abandoned = (self.task(queue),), (self.task(queue),)
        lost.burial = Burial("poison", "late")
        signature = kept.signature
        assert signature is not None
        assert unit.commit([lost]) == [FENCED]
        assert get_state(backend, signature).state == PENDING
        assert backend.get_states(uuids([*lost.follow_ups, *lost.abandoned])) == [None, None]
        assert buried() == []
        assert unit_of(other).commit([kept]) == [COMMITTED]
        assert get_state(backend, signature).results == (result("5"),)
        assert nothing_comes(other)

    def test_whoever_comes_first_the_task_has_one_final_state(
        self,
        backend: ResultBackend,
        unit: Unit,
        unit_of: MakeUnit,
        other: Consumer,
        lost_and_kept: tuple[Outcome, Outcome],
    ):
        lost, kept = succeed(lost_and_kept[0], "1"), succeed(lost_and_kept[1], "2")
        signature = kept.signature
        assert signature is not None
        assert unit.commit([lost]) == [FENCED]
        (verdict,) = unit_of(other).commit([kept])
        stored = get_state(backend, signature)
        assert stored.results == (result("2" if verdict is COMMITTED else "1"),)
        if verdict is OVERTAKEN:
            assert unit_of(other).commit([Outcome(kept.delivery, signature, final=stored)]) == [COMMITTED]
        assert nothing_comes(other)

    def test_an_outcome_that_is_given_again_counts_once(
        self, backend: ResultBackend, unit: Unit, consumer: Consumer, send: Send, queue: str
    ):
        sent = send()
        outcome = succeed(take(consumer))
        outcome.follow_ups = (self.task(queue),)
        assert unit.commit([outcome]) == [COMMITTED]
        assert unit.commit([outcome]) != [COMMITTED]
        assert get_state(backend, sent).state == SUCCESS
        assert names_of(collect(consumer, 1)) == uuids(outcome.follow_ups)
        assert nothing_comes(consumer)

    def test_a_fenced_outcome_harms_no_other_of_its_batch(
        self, backend: ResultBackend, unit: Unit, consumer: Consumer, other: Consumer, send: Send
    ):
        sent = [send() for _ in range(3)]
        outcomes = [succeed(untold(delivery)) for delivery in collect(consumer, 3)]
        consumer.release([outcomes[1].delivery])
        assert unit.commit(outcomes) == [COMMITTED, FENCED, COMMITTED]
        assert states_of(backend, [sent[0], sent[2]]) == [SUCCESS, SUCCESS]
        assert names_of(collect(other, 1)) == [sent[1].uuid]
        assert nothing_comes(consumer)


class Overtaken(UnitTopic):
    @pytest.fixture
    def overtaken(self, backend: ResultBackend, consumer: Consumer, send: Send) -> Outcome:
        """The outcome of a run whose task another run has failed meanwhile."""
        sent = send()
        outcome = succeed(take(consumer), "5")
        assert set_state(backend, sent, FAILURE, error="first")
        return outcome

    def test_the_first_final_state_stands_and_nothing_else_of_the_outcome_is_written(
        self, backend: ResultBackend, unit: Unit, consumer: Consumer, overtaken: Outcome, queue: str
    ):
        overtaken.follow_ups = (self.task(queue),)
        assert overtaken.signature is not None
        assert unit.commit([overtaken]) == [OVERTAKEN]
        state = get_state(backend, overtaken.signature)
        assert (state.state, state.error, state.results) == (FAILURE, "first", None)
        assert backend.get_states(uuids(overtaken.follow_ups)) == [None]
        assert nothing_comes(consumer)

    def test_the_message_is_still_held(self, unit: Unit, consumer: Consumer, overtaken: Outcome):
        assert unit.commit([overtaken]) == [OVERTAKEN]
        assert consumer.settle([overtaken.delivery]) == [True]

    def test_it_is_completed_from_the_stored_state(
        self, backend: ResultBackend, unit: Unit, consumer: Consumer, overtaken: Outcome, queue: str
    ):
        signature = overtaken.signature
        assert signature is not None
        assert unit.commit([overtaken]) == [OVERTAKEN]
        follow_up = self.task(queue)
        completion = Outcome(
            overtaken.delivery, signature, follow_ups=(follow_up,), final=get_state(backend, signature)
        )
        assert unit.commit([completion]) == [COMMITTED]
        assert get_state(backend, signature).error == "first"
        assert names_of(collect(consumer, 1)) == [follow_up.uuid]
        assert nothing_comes(consumer)

    def test_others_of_the_batch_are_committed(
        self, backend: ResultBackend, unit: Unit, consumer: Consumer, overtaken: Outcome, send: Send
    ):
        sent = send(), send()
        first, second = succeed(take(consumer)), fail(take(consumer))
        assert unit.commit([first, overtaken, second]) == [COMMITTED, OVERTAKEN, COMMITTED]
        assert states_of(backend, sent) == [SUCCESS, FAILURE]

    def test_of_racing_commits_of_one_outcome_at_most_one_is_told_that_it_counts(
        self, backend: ResultBackend, unit_of: MakeUnit, consumer: Consumer, send: Send, queue: str
    ):
        for _ in range(5):
            sent = send()
            delivery = take(consumer).delivery
            outcomes = [succeed(untold(delivery), str(number)) for number in range(3)]
            commits = [partial(unit_of(consumer).commit, [outcome]) for outcome in outcomes]
            verdicts = [verdict for [verdict] in race(commits)]
            assert verdicts.count(COMMITTED) == 1
            winner = verdicts.index(COMMITTED)
            assert get_state(backend, sent).results == (result(str(winner)),)
