"""A worker obeys what operators want: pauses, cancellations, also of what runs; and what that costs it."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from django.db.backends.signals import connection_created
from django.test.utils import CaptureQueriesContext

from django_machinery import Signature, TaskContext, Worker, control, send_task
from django_machinery.models import Cancellation, Message, TaskState
from django_machinery.protocol import headers
from django_machinery.protocol.states import FAILURE, SUCCESS
from django_machinery.seams.broker import Consumer
from django_machinery.server import Server
from django_machinery.worker.attempts import Attempts
from django_machinery.worker.controls import Controls
from django_machinery.worker.reporter import Reporter
from django_machinery.worker.tally import Tally
from django_machinery.worker.tidying import Tidying
from tests.databases import on_databases
from tests.waiting import wait_until
from tests.worker.support import database_server, running
from tests.worker.test_tally import outcome as ended

pytestmark = on_databases("default", "postgres")


@pytest.fixture
def server(database: str) -> Iterator[Server]:
    with database_server(database) as server:
        server.register_task("add", lambda x, y: x + y)
        yield server


def waits(server: Server) -> list[str]:
    return list(Message.objects.using(server.config.database).values_list("uuid", flat=True))


def cancel_in_secret(server: Server, *uuids: str, generation: int = 0) -> None:
    """The request alone, as it stands for what no broker can find."""
    cancellations = Cancellation.objects.db_manager(server.config.database)
    cancellations.request(server.alias, dict.fromkeys(uuids, generation), "me", hard=False)


def test_a_worker_that_starts_finds_the_pause(server: Server):
    control.pause(server, "machinery_tasks")
    paused = send_task("add", args=[1, 2])
    other = send_task("add", args=[3, 4], queue="math")
    Worker(server, concurrency=1, queues=["machinery_tasks", "math"]).run(drain=True)
    assert other.get(timeout=0) == 7
    assert waits(server) == [paused.uuid]


def test_a_worker_that_runs_heeds_a_pause_and_its_end(server: Server):
    with running(Worker(server, concurrency=1)):
        assert send_task("add", args=[1, 2]).get(timeout=10) == 3
        control.pause(server, "machinery_tasks")
        wait_until(lambda: _rests(server), timeout=5)
        result = send_task("add", args=[1, 2])
        assert threading.Event().wait(0.3) is False
        assert result.state == "PENDING"
        control.resume(server, "machinery_tasks")
        assert result.get(timeout=10) == 3


def test_what_is_claimed_after_it_was_cancelled_does_not_run(server: Server):
    cancelled = send_task("add", args=[1, 2], on_error=[Signature(name="sorry", uuid="sorry", queue="else")])
    other = send_task("add", args=[3, 4])
    cancel_in_secret(server, cancelled.uuid)
    Worker(server, concurrency=1).run(drain=True)
    row = TaskState.objects.using(server.config.database).get(uuid=cancelled.uuid)
    assert (row.state, row.reason, row.error) == (FAILURE, "cancelled", "the task was cancelled by me before it ran")
    assert row.started_at is None
    assert other.get(timeout=0) == 7
    assert waits(server) == ["sorry"]


def test_a_cancellation_does_not_hold_for_a_later_generation(server: Server):
    signature = headers.next_generation(Signature.of("add", 1, 2, uuid="task_again"))
    cancel_in_secret(server, "task_again")
    result = server.send_task(signature)
    Worker(server, concurrency=1).run(drain=True)
    assert result.get(timeout=0) == 3


def test_a_run_that_fails_after_it_was_told_is_not_retried(server: Server):
    def stubborn(context: TaskContext) -> None:
        wait_until(lambda: context.cancelled, timeout=15)
        raise RuntimeError("enough")

    server.register_task("stubborn", stubborn, takes_context=True)
    result = send_task("stubborn", retry_count=3)
    with running(Worker(server, concurrency=1)):
        wait_until(lambda: result.state == "STARTED")
        control.cancel(server, [result.uuid])
        wait_until(lambda: result.state == "RETRY")
        assert control.run_now(server, [result.uuid]) == 1
        wait_until(lambda: result.is_completed)
    row = TaskState.objects.using(server.config.database).get(uuid=result.uuid)
    assert (row.state, row.reason) == (FAILURE, "cancelled")


def test_cancellations_are_closed_once_their_tasks_have_ended(server: Server):
    ended, waiting = send_task("add", args=[1, 2]), send_task("add", args=[1, 2], queue="else")
    cancel_in_secret(server, ended.uuid, waiting.uuid)
    Worker(server, concurrency=1).run(drain=True)
    Tidying(server).look()
    standing = Cancellation.objects.using(server.config.database).filter(applied_at=None)
    assert [cancellation.uuid for cancellation in standing] == [waiting.uuid]


def test_many_cancellations_are_looked_through_a_part_at_a_time(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("django_machinery.worker.tidying.AT_ONCE", 2)
    open_, done = [f"task_{number}" for number in range(4)], send_task("add", args=[1, 2])
    Worker(server, concurrency=1).run(drain=True)
    cancel_in_secret(server, *open_)
    cancel_in_secret(server, done.uuid)
    tidying = Tidying(server)
    for _ in range(3):
        tidying.look()
    standing = Cancellation.objects.using(server.config.database).filter(applied_at=None)
    assert {cancellation.uuid for cancellation in standing} == set(open_)


class TestControls:
    def test_cancellations_are_read_only_when_they_have_changed(self, server: Server, database: str):
        cancel_in_secret(server, "task_1")
        controls = Controls(server)
        with CaptureQueriesContext(connections[database]) as first:
            controls.refresh()
        with CaptureQueriesContext(connections[database]) as again:
            controls.refresh()
        assert (len(first), len(again)) == (3, 2)
        assert set(controls.cancelled) == {"task_1"}
        cancel_in_secret(server, "task_2")
        controls.refresh()
        assert set(controls.cancelled) == {"task_1", "task_2"}
        Cancellation.objects.db_manager(database).settle(server.alias, ["task_1", "task_2"])
        controls.refresh()
        assert controls.cancelled == {}

    def test_it_tells_when_other_queues_are_paused(self, server: Server):
        controls = Controls(server)
        assert controls.refresh() is False
        control.pause(server, "math")
        assert controls.refresh() is True
        assert controls.refresh() is False
        assert controls.paused == {"math"}


class TestCost:
    @pytest.fixture(autouse=True)
    def _rarely(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is recorded but at the end, so that what is counted here belongs to tasks."""
        monkeypatch.setattr("django_machinery.worker.reporter.RECORD", 3600.0)

    def statements(self, server: Server, count: int) -> list[str]:
        """What a worker's fetch loop and committer execute for so many tasks."""
        seen: list[str] = []

        def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            if threading.current_thread().name in ("MainThread", "machinery-committer"):
                seen.append(sql)
            return execute(sql, params, many, context)

        def wrap(connection: Any, **_: Any) -> None:
            connection.execute_wrappers.append(watch)

        for number in range(count):
            send_task("add", args=[number, 1])
        connections.close_all()
        connection_created.connect(wrap)
        try:
            Worker(server, concurrency=1).run(drain=True)
        finally:
            connection_created.disconnect(wrap)
            connections.close_all()
        return seen

    def test_neither_a_claim_nor_an_outcome_costs_a_statement_more(self, server: Server):
        seen = self.statements(server, 40)
        assert any("machinery_message" in sql for sql in seen)
        assert any("machinery_task_state" in sql for sql in seen)
        tables = ("machinery_stat", "machinery_cancellation", "machinery_queue_control")
        assert [sql for sql in seen if any(table in sql for table in tables)] == []

    def test_figures_are_one_statement_every_10_seconds(
        self, server: Server, database: str, monkeypatch: pytest.MonkeyPatch
    ):
        now = 1000.0
        monkeypatch.setattr("django_machinery.worker.reporter.RECORD", 10.0)
        monkeypatch.setattr("django_machinery.worker.reporter.monotonic", lambda: now)
        tally = Tally(server, "token")
        reporter = Reporter(server, Consumer(), [], Controls(server), tally, Attempts(server), lambda: None, None)
        with CaptureQueriesContext(connections[database]) as queries:
            for _ in range(62):
                tally.ended(ended())
                reporter._make_round()
                now += 0.5
        written = [query["sql"] for query in queries if "INSERT" in query["sql"] and "machinery_stat" in query["sql"]]
        assert len(written) == 3


def _rests(server: Server) -> bool:
    """Does a message that comes now stay where it is?"""
    probe = send_task("add", args=[0, 0])
    try:
        wait_until(lambda: probe.state == SUCCESS, timeout=0.5)
    except TimeoutError:
        control.cancel(server, [probe.uuid])
        return True
    return False
