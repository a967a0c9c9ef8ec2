"""`run_tasks`: in the calling thread and its transaction, with any broker."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import override_settings

from django_machinery import (
    AsyncResult,
    Chord,
    Group,
    Signature,
    TaskFailed,
    send_chain,
    send_chord,
    send_group,
    send_task,
    servers,
)
from django_machinery.exceptions import BackendRefused, BrokerError
from django_machinery.seams.backend import StateChange
from django_machinery.testing import captured_tasks, run_tasks
from tests.app.models import Account
from tests.app.tasks import (
    add,
    add_async,
    deposit,
    deposit_once,
    divide,
    echo,
    fail,
    fail_times,
    greet,
    multiply,
    noop,
    retry_later,
    total,
)
from tests.contracts.backend_base import success
from tests.testing.servers import orm, push
from tests.toys.push import PushBroker

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True, params=[orm, push])
def _server(request: pytest.FixtureRequest) -> Iterator[None]:
    with override_settings(MACHINERY={"default": request.param()}):
        yield


def test_nothing_to_run_is_nothing_run():
    assert run_tasks() == 0


def test_tasks_run_in_this_thread_and_transaction():
    assert connection.in_atomic_block
    results: list[AsyncResult[Any]] = [add.send(1, 2), divide.send(7, 2), greet.send("Ada"), add_async.send(3, 4)]
    account = deposit.send("savings", 5)
    assert account.state == "PENDING"
    assert run_tasks() == 5
    assert [result.get() for result in results] == [3, (3, 1), "hello Ada!", 7]
    assert Account.objects.get(name="savings").balance == 5


def test_what_is_sent_in_a_block_runs_after_it():
    with transaction.atomic():
        result = add.send(1, 2)
    assert run_tasks() == 1
    assert result.get() == 3


def test_what_is_sent_in_a_block_that_is_rolled_back_never_runs():
    with transaction.atomic():
        deposit.send("savings", 5)
        transaction.set_rollback(True)
    assert run_tasks() == 0


def test_workflows_run_to_their_end():
    group = send_group(Group(*[add.signature(i, i) for i in range(12)]))
    chord = send_chord(Chord(Group(add.signature(1, 1), add.signature(2, 2)), total.partial(100)))
    chain = send_chain(add.signature(1, 1), multiply.partial(4))
    assert run_tasks() == 12 + 3 + 2
    assert group.get() == [2 * i for i in range(12)]
    assert (chord.get(), chain.get()) == (106, 8)


def test_a_failure_is_stored_and_its_error_callbacks_run():
    result = fail.using(on_error=[echo.partial()]).send("broken")
    with captured_tasks() as sent:
        assert run_tasks() == 2
    sent.assert_sent(echo, args=["broken"])
    with pytest.raises(TaskFailed, match="broken"):
        result.get()


def test_with_raise_errors_a_failure_is_raised_after_it_was_stored():
    result = fail.send("broken")
    later = add.send(1, 2)
    with pytest.raises(ValueError, match="broken"):
        run_tasks(raise_errors=True)
    assert result.is_failure
    assert run_tasks(raise_errors=True) == 1
    assert later.get() == 3


@pytest.mark.parametrize("word", ["broken", "in-the-secret"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, pytest.fail.Exception])
def test_what_is_no_exception_is_raised_after_the_failure_was_stored(kind: type[BaseException], word: str):
    server = servers["default"]

    def leave(password: str) -> None:
        raise kind(password)

    async def leave_async(password: str) -> None:
        raise kind(password)

    server.register_task("leave", leave)
    server.register_task("leave_async", leave_async)
    left = [send_task("leave", kwargs={"password": word}), send_task("leave_async", kwargs={"password": word})]
    later = add.send(1, 2)
    for result in left:
        with pytest.raises(kind, match=word):
            run_tasks()
        assert result.is_failure
    assert run_tasks() == 1
    assert later.get() == 3


def test_a_task_that_is_cancelled_from_within_has_failed():
    async def cancel() -> None:
        raise asyncio.CancelledError

    servers["default"].register_task("cancel", cancel)
    result = send_task("cancel")
    assert run_tasks() == 1
    assert result.is_failure


def test_delayed_tasks_and_retries_are_left_alone():
    delayed = add.using(eta=timedelta(hours=1)).send(1, 2)
    retried = fail_times.using(retry_count=1).send(1)
    assert run_tasks() == 1
    assert (delayed.state, retried.state) == ("PENDING", "RETRY")


def test_delayed_tasks_and_retries_run_at_once_when_asked_for():
    delayed = add.using(eta=timedelta(hours=1)).send(1, 2)
    retried = fail_times.using(retry_count=2).send(2)
    later = retry_later.send(3, 3600)
    assert run_tasks(delayed=True) == 1 + 3 + 4
    assert (delayed.get(), retried.get(), later.get()) == (3, 3, 4)


def test_a_limit_ends_what_would_go_on_for_ever():
    retry_later.send(1_000_000)
    for _ in range(3):
        noop.send()
    assert run_tasks(limit=7, delayed=True) == 7


def test_queues_that_were_sent_to_are_looked_at_and_further_ones_on_request():
    known = add.using(queue="seldom used").send(1, 2)
    assert run_tasks() == 1
    assert known.get() == 3
    assert run_tasks(queues=["never used"]) == 0


def test_what_tasks_send_to_other_queues_runs_too():
    add.using(on_success=[echo.using(queue="met on the way").partial()]).send(1, 2)
    with captured_tasks() as sent:
        assert run_tasks() == 2
    sent.assert_sent(echo, args=[3], queue="met on the way")


def test_a_task_that_is_not_registered_here_is_left_for_others():
    send_task("elsewhere", args=[1])
    result = add.send(1, 2)
    assert run_tasks() == 1
    assert result.get() == 3
    assert run_tasks() == 0


def test_a_run_that_another_run_has_overtaken_is_completed_from_the_state_of_that_one():
    result = AsyncResult[int]("task_overtaken")

    def overtaken() -> int:
        servers["default"].backend.set_states([success(Signature(uuid=result.uuid, name="overtaken"), "30")])
        return 1

    servers["default"].register_task("overtaken", overtaken)
    send_task("overtaken", uuid=result.uuid, on_success=[echo.partial()])
    with captured_tasks() as sent:
        assert run_tasks() == 2
    assert result.get() == 30
    sent.assert_sent(echo, args=[30])


def test_a_result_that_the_store_cannot_hold_fails_the_task(monkeypatch: pytest.MonkeyPatch):
    backend = servers["default"].backend
    set_states = backend.set_states

    def refusing(changes: Sequence[StateChange]) -> list[bool]:
        if any(change.results for change in changes):
            raise BackendRefused("too precious")
        return set_states(changes)

    if servers["default"].broker.store is not None:
        pytest.skip("store")
    monkeypatch.setattr(backend, "set_states", refusing)
    result = add.send(1, 2)
    assert run_tasks() == 1
    with pytest.raises(TaskFailed, match="cannot be stored: too precious"):
        result.get()


def test_a_message_that_somebody_else_takes_meanwhile_is_an_error():
    broker = servers["default"].broker
    if not isinstance(broker, PushBroker):
        pytest.skip("its connections cannot be dropped")
    servers["default"].register_task("stolen", broker.drop_connections)
    send_task("stolen")
    with pytest.raises(BrokerError, match="does a worker run beside it"):
        run_tasks()


@pytest.mark.django_db(transaction=True)
def test_outside_of_a_transaction_what_tasks_write_is_committed():
    if not servers["default"].broker.supports_transactions:
        pytest.skip("supports_transactions")
    deposit_once.send("savings", 5)
    failing = deposit_once.send("savings", 7, error="no")
    assert run_tasks() == 2
    assert failing.is_failure
    assert Account.objects.get(name="savings").balance == 5
