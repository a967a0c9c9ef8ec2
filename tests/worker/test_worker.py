"""`Worker`: tasks run in the calling process, on a real database."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from django_machinery import TaskContext, Worker, send_task, signals
from django_machinery.models import Cancellation, Message, Progress, TaskState, WorkerProcess
from django_machinery.server import Server
from tests.databases import on_databases
from tests.waiting import wait_until
from tests.worker.support import database_server, heard, running

pytestmark = on_databases("default", "postgres")


@pytest.fixture
def server(database: str) -> Iterator[Server]:
    with database_server(database) as server:
        yield server


class Gate:
    """A task that waits until it may end."""

    def __init__(self, server: Server, name: str = "hold") -> None:
        self.runs = 0
        self._open = threading.Event()
        server.register_task(name, self._hold)

    def _hold(self) -> None:
        self.runs += 1
        assert self._open.wait(20)

    def open(self) -> None:
        self._open.set()


def test_drain_runs_all_that_is_ready_and_leaves_nothing_behind(server: Server, database: str):
    server.register_task("add", lambda x, y: x + y)
    sent = [send_task("add", args=[number, 1]) for number in range(30)]
    Worker(server, concurrency=2).run(drain=True)
    assert [result.get(timeout=0) for result in sent] == [number + 1 for number in range(30)]
    assert not Message.objects.using(database).exists()
    assert not WorkerProcess.objects.using(database).exists()


def test_it_runs_until_it_is_stopped(server: Server, database: str):
    server.register_task("add", lambda x, y: x + y)
    worker = Worker(server, tag="mine", concurrency=1, queues=["math", "machinery_tasks"])
    with running(worker) as future:
        assert send_task("add", args=[1, 2]).get(timeout=10) == 3
        assert send_task("add", args=[1, 3], queue="math").get(timeout=10) == 4
        row = WorkerProcess.objects.using(database).get()
        assert (row.tag, row.concurrency, row.queues.split(), "add" in row.names) == (
            "mine",
            1,
            ["math", "machinery_tasks"],
            True,
        )
        assert not future.done()


def test_a_worker_that_was_stopped_before_does_not_begin(server: Server):
    server.register_task("add", lambda x, y: x + y)
    result = send_task("add", args=[1, 2])
    worker = Worker(server)
    worker.stop()
    worker.run()
    assert result.state == "PENDING"


def test_its_handlers_are_called(server: Server):
    def fail() -> None:
        raise ValueError("no")

    server.register_task("fail", fail)
    called: list[Any] = []
    worker = Worker(server, concurrency=1)

    def may_consume(asked: Worker) -> bool:
        called.append(asked)
        return True

    worker.set_pre_consume_handler(may_consume)
    worker.set_pre_task_handler(lambda signature: called.append(f"pre {signature.name}"))
    worker.set_post_task_handler(lambda signature: called.append(f"post {signature.name}"))
    worker.set_error_handler(lambda error: called.append(str(error)))
    send_task("fail")
    worker.run(drain=True)
    assert worker in called
    assert [call for call in called if call is not worker] == ["pre fail", "post fail", "no"]


def test_its_life_is_told(server: Server):
    with heard(signals.worker_started, signals.worker_stopping, signals.worker_stopped) as told:
        Worker(server, tag="mine").run(drain=True)
    assert [event["signal"] for event in told] == [
        signals.worker_started,
        signals.worker_stopping,
        signals.worker_stopped,
    ]
    assert {event["worker"].partition("@")[0] for event in told} == {"mine"}


def test_after_a_lost_lease_it_drops_what_it_holds_and_goes_on(server: Server, database: str):
    gate = Gate(server)
    result = send_task("hold")
    with heard(signals.lease_lost) as told, running(Worker(server, concurrency=1)):
        wait_until(lambda: gate.runs == 1)
        token = WorkerProcess.objects.using(database).get().token
        server.broker.reclaim(token)
        wait_until(lambda: gate.runs == 2, message="the task should come again under a new token")
        gate.open()
        result.get(timeout=10)
        wait_until(lambda: not Message.objects.using(database).exists())
    assert token in {event["token"] for event in told}
    assert TaskState.objects.using(database).get().state == "SUCCESS"


def test_a_suspect_runs_alone(server: Server):
    running_now: list[str] = []
    seen: list[int] = []

    def watch(word: str) -> None:
        running_now.append(word)
        time.sleep(0.01)
        if word == "suspect":
            seen.append(len(running_now))
        running_now.remove(word)

    server.register_task("watch", watch)
    suspect = send_task("watch", args=["suspect"])
    server.broker.renew(["dead"])
    crashed = server.broker.consumer(["machinery_tasks"], [], "dead")
    assert crashed.fetch(1)
    server.broker.reclaim("dead")
    crashed.close()
    for _ in range(10):
        send_task("watch", args=["plain"])
    Worker(server, concurrency=4).run(drain=True)
    assert suspect.state == "SUCCESS"
    assert seen == [1]


def test_progress_is_stored_while_the_task_runs_and_at_its_end(server: Server, database: str):
    go = threading.Event()

    def crawl(context: TaskContext) -> None:
        context.progress(1, 3, "first")
        assert go.wait(20)
        context.progress(3, 3, "last")

    server.register_task("crawl", crawl, takes_context=True)
    rows = TaskState.objects.using(database)
    with running(Worker(server)):
        result = send_task("crawl")
        wait_until(lambda: rows.get().progress_note == "first")
        assert (rows.get().progress_done, rows.get().progress_total) == (1, 3)
        go.set()
        result.get(timeout=10)
        wait_until(lambda: rows.get().progress_note == "last")
    assert not Progress.objects.using(database).exists()


def test_a_cancelled_task_is_told_and_an_async_one_is_interrupted(server: Server, database: str):
    import asyncio

    def heed(context: TaskContext) -> str:
        wait_until(lambda: context.cancelled, timeout=15)
        return "gave up"

    async def sleep() -> None:
        await asyncio.sleep(60)

    server.register_task("heed", heed, takes_context=True)
    server.register_task("sleep", sleep)
    with running(Worker(server, concurrency=2)):
        results = [send_task("heed"), send_task("sleep")]
        wait_until(lambda: {result.state for result in results} == {"STARTED"})
        for result in results:
            Cancellation.objects.using(database).create(
                server="default", uuid=result.uuid, requested_at="2026-01-01T00:00:00Z"
            )
        assert results[0].get(timeout=10) == "gave up"
        wait_until(lambda: results[1].is_completed)
    state = TaskState.objects.using(database).get(uuid=results[1].uuid)
    assert (state.state, state.reason) == ("FAILURE", "cancelled")
