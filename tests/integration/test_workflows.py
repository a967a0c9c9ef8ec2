"""Tasks and workflows from end to end, on every broker with every result backend."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from django_machinery import (
    AsyncResult,
    Chain,
    Chord,
    Group,
    TaskFailed,
    send_chain,
    send_chord,
    send_group,
)
from django_machinery.seams.backend import GroupProgress
from django_machinery.server import Server
from tests.app.tasks import (
    add,
    add_async,
    concat,
    divide,
    echo,
    fail,
    fail_times,
    greet,
    multiply,
    noop,
    record,
    record_all,
    recorded,
    retry_later,
    total,
)
from tests.integration.matrix import pairs
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.parametrize(("database", "broker", "backend"), pairs(), indirect=["database"]),
    pytest.mark.usefixtures("worker"),
]

TIMEOUT = 30.0


def test_a_task_returns_what_it_computes(server: Server):
    sent: list[tuple[AsyncResult[Any], Any]] = [
        (add.send(1, 2), 3),
        (noop.send(), None),
        (divide.send(7, 2), (3, 1)),
        (greet.send("Ada", greeting="bye", marks=2), "bye Ada!!"),
        (add_async.send(2**62, -(2**62)), 0),
        (echo.send({"a": [1, None, "é"]}), {"a": [1, None, "é"]}),
    ]
    assert [result.get(TIMEOUT) for result, _ in sent] == [expected for _, expected in sent]
    assert {result.state for result, _ in sent} == {"SUCCESS"}
    wait_until(lambda: server.broker.depth(server.config.default_queue) == 0)


def test_a_group_returns_the_results_of_its_members_in_order():
    result = send_group(Group(*[multiply.signature(i, i) for i in range(20)]), send_concurrency=10)
    assert result.get(TIMEOUT) == [i * i for i in range(20)]
    assert result.progress == GroupProgress(20, 0, 20)


def test_a_chord_calls_back_with_all_results():
    chord = Chord(Group(*[concat.signature(word) for word in "abcdefgh"]), concat.partial(">"))
    results = [send_chord(chord) for _ in range(2)]
    assert [result.get(TIMEOUT) for result in results] == [">abcdefgh"] * 2


def test_a_chord_with_a_failed_member_fails_at_once_and_runs_its_error_callback_once():
    members = Group(add.signature(1, 1), fail.signature("broken"), fail.signature("too"))
    result = send_chord(Chord(members, total.partial(), on_error=[record_all.partial("alarm")]))
    with pytest.raises(TaskFailed, match=r"broken|too") as caught:
        result.get(TIMEOUT)
    wait_until(lambda: result.group.is_completed, timeout=TIMEOUT)
    assert {str(failure) for failure in result.failures} == {"broken", "too"}
    wait_until(recorded, timeout=TIMEOUT)
    assert set(recorded()) == {f"{caught.value.error}+alarm"}


def test_a_chain_hands_each_result_on():
    result = send_chain(Chain(add.signature(1, 1), multiply.partial(4), divide.partial(3), total.partial(100)))
    assert result.get(TIMEOUT) == 100 + sum(divmod(3, 8))


def test_a_chain_that_breaks_fails_its_later_steps():
    first = add.using(immutable=True).signature(1, 1)
    result = send_chain(Chain(first, fail.signature("broken"), noop.signature()))
    with pytest.raises(TaskFailed, match="broken"):
        result.get(TIMEOUT)
    with pytest.raises(TaskFailed):
        result.results[-1].get(TIMEOUT)


def test_a_failure_reaches_the_sender_and_the_error_callbacks():
    result = fail.using(on_error=[record_all.partial("first"), record_all.partial("second")]).send("broken")
    with pytest.raises(TaskFailed, match=r"^broken$"):
        result.get(TIMEOUT)
    assert result.state == "FAILURE"
    wait_until(lambda: set(recorded()) == {"broken+first", "broken+second"}, timeout=TIMEOUT)


def test_delays_and_retries(server: Server):
    eta = datetime.now(UTC) + timedelta(seconds=0.5)
    delayed = echo.using(eta=eta).send("late")
    retried = fail_times.using(retry_count=2).send(1)
    later = retry_later.send(1, 0.1)
    failing = fail_times.using(retry_count=1).send(5)
    assert delayed.get(TIMEOUT) == "late"
    assert datetime.now(UTC) >= eta or server.broker.executes_inline
    assert (retried.get(TIMEOUT), later.get(TIMEOUT)) == (2, 2)
    with pytest.raises(TaskFailed, match="run 2 of 6"):
        failing.get(TIMEOUT)


def test_tasks_leave_with_the_transaction_that_sends_them(database: str):
    with transaction.atomic(using=database):
        kept = record.send("kept")
    with transaction.atomic(using=database):
        record.send("lost")
        transaction.set_rollback(True, using=database)
    assert kept.get(TIMEOUT) == "kept"
    assert record.send("after").get(TIMEOUT) == "after"
    assert set(recorded()) == {"kept", "after"}


def test_success_callbacks_get_the_results_unless_the_task_is_immutable():
    add.using(on_success=[record_all.partial("sum")]).send(1, 2).get(TIMEOUT)
    wait_until(lambda: "sum+3" in recorded(), timeout=TIMEOUT)
    add.using(on_success=[record_all.partial("done")], immutable=True).send(1, 2).get(TIMEOUT)
    wait_until(lambda: "done" in recorded(), timeout=TIMEOUT)
