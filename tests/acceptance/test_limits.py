"""Time limits."""

import pytest

from django_machinery import TaskFailed
from django_machinery.models import Attempt, TaskState
from tests.acceptance.conftest import Gate, StartWorker, wait_for
from tests.app import tasks
from tests.databases import on_databases


@on_databases("default")
def test_a_soft_limit_ends_the_task_alone(start_worker: StartWorker, database: str):
    worker = start_worker()
    children = worker.children()
    with pytest.raises(TaskFailed, match=r"longer than its timeout of 0\.2 s"):
        tasks.times_out.using(server=database).send().get(timeout=20)
    assert worker.children() == children
    assert worker.terminate() == 0


@on_databases("postgres")
def test_a_hard_limit_ends_the_process_and_blames_the_task_alone(start_worker: StartWorker, database: str, gate: Gate):
    worker = start_worker()
    children = worker.children()
    neighbour = tasks.hold.using(server=database).send("neighbour", gate.path)
    wait_for(lambda: tasks.recorded() == ["neighbour"], worker)
    with pytest.raises(TaskFailed, match=r"longer than its hard timeout of 0\.5 s"):
        tasks.hangs.using(server=database).send().get(timeout=20)
    wait_for(lambda: worker.children() and worker.children() != children, worker)
    gate.open()
    assert neighbour.get(timeout=20) == "neighbour"
    state = TaskState.objects.using(database).get(name="tests.app.tasks.hangs")
    assert (state.state, state.reason) == ("FAILURE", "timeout")
    assert list(Attempt.objects.using(database).values_list("uuid", "outcome")) == [(state.uuid, "timeout")]
    assert worker.terminate() == 0
