"""Backend contract: states of tasks, who wins, and waiting for them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.db import connections, transaction

from django_machinery.exceptions import BackendUnavailable
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import FAILURE, PENDING, RECEIVED, RETRY, STARTED, SUCCESS
from django_machinery.seams.backend import ResultBackend, StateChange
from tests.contracts.backend_base import BackendTopic, get_state, result, set_state, states_of, success, task
from tests.contracts.support import OTHER_LIMITS, database_of, needs, race, unique

Sent = Callable[..., list[Signature]]


class States(BackendTopic):
    def test_a_task_that_was_never_sent_has_no_state(self, backend: ResultBackend, sent: Sent):
        (known,) = sent()
        assert backend.get_states([]) == []
        states = backend.get_states([unique("task"), known.uuid, unique("task")])
        assert [state and state.task_uuid for state in states] == [None, known.uuid, None]

    def test_a_pending_state_has_the_name_and_the_time_of_sending(self, backend: ResultBackend, sent: Sent):
        (signature,) = sent()
        state = get_state(backend, signature)
        assert (state.task_uuid, state.task_name, state.state) == (signature.uuid, "add", PENDING)
        assert (state.results, state.error) == (None, "")
        assert abs(datetime.now(UTC) - state.created_at) < timedelta(seconds=10)

    def test_states_come_in_the_order_asked(self, backend: ResultBackend, sent: Sent):
        signatures = sent(20)
        asked = [signature.uuid for signature in reversed(signatures)]
        assert [state and state.task_uuid for state in backend.get_states(asked)] == asked

    @pytest.mark.parametrize("final", [SUCCESS, FAILURE])
    def test_a_task_goes_its_way_and_keeps_its_name_and_time(self, backend: ResultBackend, sent: Sent, final: str):
        (signature,) = sent()
        first = get_state(backend, signature)
        for step in (RECEIVED, STARTED, RETRY, RECEIVED, STARTED, final):
            assert set_state(backend, signature, step)
            state = get_state(backend, signature)
            assert state.state == step
            assert (state.task_name, state.created_at) == (first.task_name, first.created_at)

    def test_results_are_kept_with_their_types(self, backend: ResultBackend, sent: Sent):
        (signature,) = sent()
        results = (result("9223372036854775807"), result("-1"))
        assert set_state(backend, signature, SUCCESS, results=results)
        assert get_state(backend, signature).results == results

    @pytest.mark.parametrize("config", [OTHER_LIMITS], indirect=True)
    def test_the_limits_of_results_are_those_of_the_settings(self, backend: ResultBackend, sent: Sent):
        (signature,) = sent()
        results = (result("[" * 250 + "1" + "]" * 250),)
        assert set_state(backend, signature, SUCCESS, results=results)
        assert get_state(backend, signature).results == results

    def test_no_result_differs_from_no_success(self, backend: ResultBackend, sent: Sent):
        (signature,) = sent()
        assert set_state(backend, signature, SUCCESS, results=())
        assert get_state(backend, signature).results == ()

    def test_errors_are_kept_to_the_letter(self, backend: ResultBackend, sent: Sent):
        (signature,) = sent()
        error = "é \U0001f600 <&> \u2028 'quoted' \\ " + "x" * 100_000
        assert set_state(backend, signature, FAILURE, error=error)
        assert get_state(backend, signature).error == error

    def test_a_task_that_nobody_announced_gets_its_state_all_the_same(self, backend: ResultBackend):
        signature = task()
        assert backend.set_states([success(signature)]) == [True]
        assert get_state(backend, signature).is_success

    def test_many_states_are_set_at_once(self, backend: ResultBackend, sent: Sent):
        signatures = sent(300)
        assert backend.set_states([success(s, str(i)) for i, s in enumerate(signatures)]) == [True] * 300
        states = backend.get_states([s.uuid for s in signatures])
        assert [state and state.results for state in states] == [(result(str(i)),) for i in range(300)]
        assert backend.set_states([]) == []

    def test_of_one_batch_the_last_change_of_a_task_counts(self, backend: ResultBackend, sent: Sent):
        first, second = sent(2)
        steps = [StateChange(first, RECEIVED), StateChange(second, RECEIVED), StateChange(first, STARTED)]
        assert backend.set_states([*steps, success(first)])[-1]
        assert states_of(backend, [first, second]) == [SUCCESS, RECEIVED]

    def test_a_state_takes_part_in_the_transaction_around_it(self, backend: ResultBackend):
        needs(backend, "supports_transactions")
        lost, kept = task(), task()
        with transaction.atomic(using=database_of(backend)):
            backend.set_states([success(lost)])
            transaction.set_rollback(True, using=database_of(backend))
        with transaction.atomic(using=database_of(backend)):
            backend.set_states([success(kept)])
        assert [state and state.state for state in backend.get_states([lost.uuid, kept.uuid])] == [None, SUCCESS]

    def test_a_purged_state_is_gone(self, backend: ResultBackend, sent: Sent):
        first, second = sent(2)
        backend.purge([first.uuid, unique("task")])
        assert [state and state.state for state in backend.get_states([first.uuid, second.uuid])] == [None, PENDING]


class Winning(BackendTopic):
    @pytest.mark.parametrize("later", [SUCCESS, FAILURE, RETRY, STARTED, RECEIVED])
    @pytest.mark.parametrize("first", [SUCCESS, FAILURE])
    def test_the_first_final_state_wins_and_what_lost_leaves_nothing(
        self, backend: ResultBackend, sent: Sent, first: str, later: str
    ):
        (signature,) = sent()
        assert set_state(backend, signature, first, results=(result("1"),) if first == SUCCESS else None, error="one")
        stored = get_state(backend, signature)
        assert not set_state(backend, signature, later, results=(result("2"),), error="two")
        assert get_state(backend, signature) == stored

    def test_each_change_of_a_batch_is_told_whether_it_won(self, backend: ResultBackend, sent: Sent):
        first, second, third = sent(3)
        assert set_state(backend, second, FAILURE, error="before")
        assert backend.set_states([success(first), success(second), success(third)]) == [True, False, True]
        assert states_of(backend, [first, second, third]) == [SUCCESS, FAILURE, SUCCESS]

    def test_pending_starts_a_finished_task_anew(self, backend: ResultBackend, sent: Sent):
        (signature,) = sent()
        assert backend.set_states([success(signature)]) == [True]
        assert set_state(backend, signature, PENDING)
        state = get_state(backend, signature)
        assert (state.state, state.results) == (PENDING, None)
        assert set_state(backend, signature, FAILURE, error="again")

    @pytest.mark.parametrize("present", [PENDING, STARTED, SUCCESS, FAILURE])
    def test_pending_if_absent_changes_no_state(self, backend: ResultBackend, sent: Sent, present: str):
        (signature,) = sent()
        set_state(backend, signature, present)
        stored = get_state(backend, signature)
        assert not set_state(backend, signature, PENDING, if_absent=True)
        assert get_state(backend, signature) == stored

    def test_pending_if_absent_makes_a_state_where_there_is_none(self, backend: ResultBackend):
        signature = task()
        assert set_state(backend, signature, PENDING, if_absent=True)
        assert get_state(backend, signature).state == PENDING

    def test_of_racing_final_states_one_wins(self, backend: ResultBackend, sent: Sent):
        for _ in range(5):
            (signature,) = sent()
            finals = [partial(backend.set_states, [success(signature, str(i))]) for i in range(6)]
            won = [index for index, [won] in enumerate(race(finals)) if won]
            assert len(won) == 1
            assert get_state(backend, signature).results == (result(str(won[0])),)

    def test_of_racing_announcements_one_wins(self, backend: ResultBackend):
        signature = task()
        announce = partial(set_state, backend, signature, PENDING, if_absent=True)
        assert race([announce] * 6).count(True) == 1


class Waiting(BackendTopic):
    def test_waiting_for_finished_tasks_takes_no_time(self, backend: ResultBackend, sent: Sent):
        signatures = sent(3)
        backend.set_states([success(signature) for signature in signatures])
        start = time.monotonic()
        states = backend.wait([signature.uuid for signature in signatures], 60)
        assert time.monotonic() - start < 5
        assert [state and state.state for state in states] == [SUCCESS] * 3

    def test_nobody_waits_for_a_task_without_a_state(self, backend: ResultBackend, sent: Sent):
        (signature,) = sent()
        backend.set_states([success(signature)])
        states = backend.wait([unique("task"), signature.uuid], 60)
        assert [state and state.state for state in states] == [None, SUCCESS]

    def test_a_wait_ends_soon_after_the_last_task(self, backend: ResultBackend, sent: Sent):
        first, second = sent(2)
        with waiting(backend, [first, second]) as waiter:
            backend.set_states([success(first)])
            waiter.join(0.3)
            assert waiter.is_alive()
            set_state(backend, second, FAILURE, error="no")
            waiter.join(self.wakes_within)
            assert not waiter.is_alive()

    def test_a_wait_ends_at_the_latest_after_its_timeout(self, backend: ResultBackend, sent: Sent):
        (signature,) = sent()
        start = time.monotonic()
        (state,) = backend.wait([signature.uuid], 0.3)
        assert 0.2 < time.monotonic() - start < 3
        assert state is not None
        assert state.state == PENDING


class Unreachable(BackendTopic):
    def test_every_call_says_that_the_store_cannot_be_reached(self, unreachable: ResultBackend):
        for call in (
            lambda: unreachable.set_states([success(task())]),
            lambda: unreachable.get_states(["task_unreachable"]),
            lambda: unreachable.wait(["task_unreachable"], 0.1),
            lambda: unreachable.trigger_chord("group_unreachable", "task_unreachable"),
        ):
            with pytest.raises(BackendUnavailable):
                call()


@contextmanager
def waiting(backend: ResultBackend, signatures: list[Signature]) -> Iterator[threading.Thread]:
    """A thread that waits for tasks, which are finished at the end whatever happens."""
    uuids = [signature.uuid for signature in signatures]

    def wait() -> None:
        try:
            backend.wait(uuids, 30)
        finally:
            connections.close_all()

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield thread
    finally:
        backend.set_states([success(signature) for signature in signatures])
        thread.join()
