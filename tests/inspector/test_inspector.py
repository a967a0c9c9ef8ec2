"""What operators see, on a real database, and of a backend that lists nothing."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from django_machinery import Signature, Worker, control, servers
from django_machinery.drivers.null.backend import NullBackend
from django_machinery.drivers.orm import counting
from django_machinery.histogram import Histogram
from django_machinery.inspector import Inspector, QueueLook
from django_machinery.models import Attempt, Message, Stat, TaskState, WorkerProcess
from django_machinery.protocol.states import FAILURE, PENDING, STATES, SUCCESS
from django_machinery.seams.backend import StateChange
from django_machinery.server import Server
from tests.contracts.support import unique
from tests.toys.leasing import LeasingBroker
from tests.worker.support import database_server

LATER = timedelta(hours=1)
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)


@pytest.fixture
def server(database: str) -> Iterator[Server]:
    with database_server(database, QUEUES=["urgent"]) as server:
        yield server


@pytest.fixture
def inspector(server: Server) -> Inspector:
    return Inspector(server)


def send(server: Server, **fields: Any) -> str:
    return server.send_task(Signature.of("add", 1, 2, **fields)).uuid


def make(database: str, states: list[str], server: str = "default") -> None:
    """A task in each of these states."""
    now = datetime.now(UTC)
    TaskState.objects.using(database).bulk_create(
        TaskState(uuid=unique("task"), server=server, name="add", queue="math", state=state, created_at=now)
        for state in states
    )


def figure(database: str, ago: timedelta, outcome: str = "succeeded", name: str = "add", *runs: float) -> None:
    hist, waits = str(Histogram.of(runs)), str(Histogram.of([0.1] * len(runs)))
    Stat.objects.using(database).create(
        minute=datetime.now(UTC) - ago,
        server="default",
        queue="math",
        name=name,
        outcome=outcome,
        worker_id=Stat.objects.using(database).count(),
        count=len(runs),
        run_hist=hist,
        wait_hist=waits,
    )


class TestCounts:
    def test_every_state_is_counted(self, server: Server, inspector: Inspector):
        uuids = [send(server) for _ in range(3)]
        server.backend.set_states([StateChange(Signature(name="add", uuid=uuids[0]), SUCCESS)])
        assert inspector.counts() == {**dict.fromkeys(STATES, 0), PENDING: 2, SUCCESS: 1}

    def test_few_of_many_are_counted_and_the_rest_is_estimated(
        self, server: Server, inspector: Inspector, database: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(counting, "EXACT", 40)
        monkeypatch.setattr(counting, "BOUND", 40)
        make(database, ([SUCCESS] * 9 + [FAILURE]) * 40)
        counts = inspector.counts()
        assert counts[FAILURE] == 40
        assert counts[SUCCESS] == 360
        assert counts[PENDING] == 0
        assert Inspector(server).counts() == counts

    def test_of_several_that_are_many_each_has_its_share(
        self, inspector: Inspector, database: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(counting, "EXACT", 20)
        monkeypatch.setattr(counting, "BOUND", 20)
        make(database, [SUCCESS, SUCCESS, FAILURE] * 100 + [PENDING])
        counts = inspector.counts()
        assert counts[PENDING] == 1
        assert counts[SUCCESS] + counts[FAILURE] == pytest.approx(300, abs=2)
        assert counts[SUCCESS] == pytest.approx(200, rel=0.15)

    def test_tasks_of_another_server_in_the_same_database_are_not_counted(
        self, database: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(counting, "EXACT", 20)
        monkeypatch.setattr(counting, "BOUND", 20)
        config = settings.MACHINERY[database]
        with override_settings(MACHINERY={"default": config, "other": config}):
            make(database, [SUCCESS] * 30 + [FAILURE] * 10)
            make(database, [PENDING] * 10, server="other")
            counts = Inspector(servers["default"]).counts()
            assert (counts[FAILURE], counts[PENDING]) == (10, 0)
            assert Inspector(servers["other"]).counts()[PENDING] == 10

    def test_of_a_backend_that_lists_nothing_there_are_none(self, server: Server, inspector: Inspector):
        server.backend = NullBackend("null://", server.config)
        assert (inspector.counts(), inspector.states(10)) == ({}, [])


class TestQueues:
    def test_each_is_shown_with_what_waits(self, server: Server, inspector: Inspector, database: str):
        server.register_task("mailed", lambda: None, queue="mail")
        old = send(server, queue="math")
        send(server, queue="math")
        send(server, queue="math", eta=LATER)
        hour_ago = datetime.now(UTC) - HOUR
        Message.objects.using(database).filter(uuid=old).update(due_at=hour_ago)
        control.pause(server, "resting")
        looks = {look.name: look for look in inspector.queues()}
        assert looks.keys() == {"urgent", "machinery_tasks", "mail", "math", "resting"}
        assert looks["mail"] == QueueLook("mail", 0, 0, None, False)
        assert looks["resting"].paused
        math = looks["math"]
        assert (math.ready, math.delayed, math.paused) == (2, 1, False)
        assert math.oldest_age == pytest.approx(3600, abs=60)

    def test_delays_in_the_outbox_are_counted_too(self, server: Server, inspector: Inspector, tmp_path: Any):
        server.broker = LeasingBroker(f"leasing://{tmp_path}/messages", server.config)
        messages = Message.objects.db_manager(server.config.database)
        messages.outbox_put(server.alias, [Signature.of("add", uuid="task_1", queue="math", eta=LATER)])
        look = next(look for look in inspector.queues() if look.name == "math")
        assert (look.ready, look.delayed) == (0, 1)
        server.broker.close()

    def test_few_queries_whatever_the_number_of_queues(self, server: Server, inspector: Inspector, database: str):
        for number in range(20):
            send(server, queue=f"queue-{number}")
        with CaptureQueriesContext(connections[database]) as queries:
            assert len(inspector.queues()) >= 20
        assert len(queries) <= 3


class TestWorkers:
    def test_the_living_come_first_and_the_silent_are_marked(self, inspector: Inspector, database: str):
        now = datetime.now(UTC)
        for token, host, beat in (("a", "a", now - HOUR), ("b", "b", now)):
            WorkerProcess.objects.using(database).create(
                token=token, server="default", host=host, started_at=now, beat_at=beat, queues="math\nmail"
            )
        WorkerProcess.objects.using(database).create(token="c", server="other", started_at=now, beat_at=now)
        assert [(worker.host, worker.stale) for worker in inspector.workers()] == [("b", False), ("a", True)]
        assert {"math", "mail"} <= {look.name for look in inspector.queues()}


class TestFigures:
    def test_throughput_has_a_point_for_every_step(self, inspector: Inspector, database: str):
        figure(database, timedelta(), "succeeded", "add", 1.0, 1.0)
        figure(database, timedelta(), "failed", "add", 1.0)
        figure(database, timedelta(minutes=90), "retried", "add", 1.0)
        for window, step, count in (
            (HOUR, timedelta(minutes=1), 60),
            (DAY, timedelta(minutes=15), 96),
            (WEEK, timedelta(hours=2), 84),
        ):
            points = inspector.throughput(window)
            assert len(points) == count
            assert {later.at - at.at for at, later in itertools.pairwise(points)} == {step}
            assert sum(point.succeeded for point in points) == 2
            assert sum(point.failed for point in points) == 1
            assert sum(point.retried for point in points) == (0 if window == HOUR else 1)
        assert points[-1].at <= datetime.now(UTC) < points[-1].at + step

    def test_latencies_are_percentiles_of_all(self, inspector: Inspector, database: str):
        figure(database, timedelta(), "succeeded", "add", *[0.5] * 96, *[8.0] * 4)
        figure(database, DAY * 2, "succeeded", "add", *[100.0] * 100)
        latency = inspector.latency(HOUR)
        assert latency.run is not None
        assert latency.wait is not None
        assert latency.run == pytest.approx((0.5, 0.5, 8.0), rel=0.1)
        assert latency.wait == pytest.approx((0.1, 0.1, 0.1), rel=0.1)

    def test_without_figures_there_is_no_latency(self, inspector: Inspector):
        latency = inspector.latency(HOUR)
        assert (latency.wait, latency.run) == (None, None)
        assert inspector.slow(HOUR) == []

    def test_slow_tasks_come_slowest_first(self, inspector: Inspector, database: str):
        figure(database, timedelta(), "succeeded", "quick", 0.01, 0.02)
        figure(database, timedelta(), "succeeded", "slow", *[2.0] * 10, 7.0)
        figure(database, timedelta(), "failed", "slow", 2.0)
        first, second = inspector.slow(HOUR)
        assert (first.name, first.count, second.name, second.count) == ("slow", 12, "quick", 2)
        assert first.longest >= 7.0

    def test_figures_are_read_once_a_window(self, inspector: Inspector, database: str):
        figure(database, timedelta(), "succeeded", "add", 1.0)
        with CaptureQueriesContext(connections[database]) as queries:
            inspector.latency(HOUR)
            inspector.slow(HOUR)
        assert len(queries) == 1


class TestFailures:
    def failure(self, database: str, uuid: str, ago: timedelta, exception: str = "ValueError", **fields: Any) -> None:
        Attempt.objects.using(database).create(
            uuid=uuid,
            number=1,
            ended_at=datetime.now(UTC) - ago,
            exception=exception,
            **{"name": "add", "outcome": "error", **fields},
        )

    def test_they_are_grouped_by_task_and_exception(self, inspector: Inspector, database: str):
        minute = timedelta(minutes=1)
        for uuid, ago in (("1", 8 * DAY), ("2", 2 * DAY), ("3", 2 * HOUR), ("4", minute)):
            self.failure(database, uuid, ago)
        for uuid in ("5", "6"):
            self.failure(database, uuid, minute, "KeyError")
        self.failure(database, "7", minute, "", name="crash", outcome="crash")
        self.failure(database, "8", minute, outcome="cancel")
        self.failure(database, "9", minute, outcome="retry")
        self.failure(database, "4", 2 * minute, generation=1)
        rows = [tuple(row) for row in inspector.failures()]
        assert rows == [
            ("add", "KeyError", 2, 2, 2, "6"),
            ("add", "ValueError", 1, 2, 3, "4"),
            ("crash", "", 1, 1, 1, "7"),
        ]

    def test_a_failing_task_is_found(self, server: Server, inspector: Inspector):
        server.register_task("add", lambda x, y: x // 0)
        uuid = send(server, queue="urgent")
        Worker(server, concurrency=1).run(drain=True)
        (row,) = inspector.failures()
        assert tuple(row) == ("add", "ZeroDivisionError", 1, 1, 1, uuid)


def test_a_state_is_found_by_its_uuid_and_the_newest_are_listed(server: Server, inspector: Inspector):
    uuids = [send(server) for _ in range(3)]
    state = inspector.state(uuids[0])
    assert state is not None
    assert state.state == PENDING
    assert inspector.state("task_unknown") is None
    assert [state.task_uuid for state in inspector.states(2)] == uuids[:0:-1]
