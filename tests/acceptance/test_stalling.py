"""Tasks that keep Python's lock, so that nothing else of their process runs: it cannot say that it lives."""

import pytest

from django_machinery import TaskFailed
from django_machinery.models import DeadLetter, Message, TaskState
from tests.acceptance.conftest import LEASE, StartWorker, wait_for
from tests.app import tasks
from tests.databases import on_databases


@on_databases("default")
def test_a_task_that_computes_without_a_pause_is_neither_ended_nor_run_elsewhere(
    start_worker: StartWorker, database: str
):
    worker = start_worker("--processes=2")
    children = set(worker.children())
    seconds = tasks.computes.using(server=database).send(4 * LEASE).get(timeout=60)
    assert seconds > 2 * LEASE, "it has not tried the worker's patience"
    assert tasks.recorded() == ["computes"]
    assert set(worker.children()) == children, worker.output
    assert worker.terminate() == 0


@on_databases("default", "postgres")
def test_a_process_that_stands_still_is_ended_and_nothing_is_blamed(start_worker: StartWorker, database: str):
    worker = start_worker(MAX_CRASHES=1)
    result = tasks.stalls.using(server=database).send(2)
    wait_for(lambda: result.is_completed, worker, timeout=20 * LEASE)
    assert result.get() == "moves", worker.output
    assert tasks.recorded() == ["stalls"] * 3
    assert worker.output.count("is killed: its fetch loop does not move, and nothing computes") == 2
    assert worker.terminate() == 0


@on_databases("default")
def test_a_hard_limit_ends_a_task_that_keeps_the_watchdog_from_running(start_worker: StartWorker, database: str):
    worker = start_worker(MAX_CRASHES=1)
    with pytest.raises(TaskFailed, match="the task ended its worker process 1 times"):
        tasks.computes_too_long.using(server=database).send().get(timeout=60)
    assert worker.output.count("is killed: a task runs longer than its hard timeout") == 2
    assert TaskState.objects.using(database).get().reason == "crash"
    assert DeadLetter.objects.using(database).get().reason == "poison"
    assert not Message.objects.using(database).exists()
    assert worker.terminate() == 0
