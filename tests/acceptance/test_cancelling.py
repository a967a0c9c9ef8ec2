"""Running tasks that somebody wants to end."""

import os
import signal

import pytest

from django_machinery import TaskFailed, cancel_task
from django_machinery.models import Attempt, TaskState
from tests.acceptance.conftest import Gate, StartWorker, wait_for
from tests.app.tasks import hold, recorded, recorded_pids, sleep_long, until_cancelled


def test_a_task_that_looks_is_told(database: str, start_worker: StartWorker):
    worker = start_worker()
    result = until_cancelled.using(server=database).send()
    wait_for(lambda: recorded() == ["started"], worker)
    cancel_task(result.uuid, server=database, by="somebody")
    assert result.get(timeout=20) == "told"


def test_an_async_task_is_ended(database: str, start_worker: StartWorker):
    worker = start_worker()
    result = sleep_long.using(server=database, retry_count=3).send()
    wait_for(lambda: recorded() == ["asleep"], worker)
    cancel_task(result.uuid, server=database)
    with pytest.raises(TaskFailed):
        result.get(timeout=20)
    state = TaskState.objects.using(database).get(uuid=result.uuid)
    assert (state.state, state.reason) == ("FAILURE", "cancelled")
    assert recorded() == ["asleep"]


def test_a_hard_cancel_ends_the_process_and_spares_its_neighbours(database: str, start_worker: StartWorker, gate: Gate):
    worker = start_worker()
    stubborn = hold.using(server=database, retry_count=3).send("stubborn", "/nowhere")
    neighbour = hold.using(server=database).send("neighbour", gate.path)
    wait_for(lambda: len(recorded()) == 2, worker)
    cancel_task(stubborn.uuid, server=database, by="me", hard=True)
    with pytest.raises(TaskFailed, match="cancelled by me, and its process ended"):
        stubborn.get(timeout=20)
    wait_for(lambda: len(recorded_pids()) == 2, worker)
    gate.open()
    neighbour.get(timeout=20)
    assert TaskState.objects.using(database).get(uuid=stubborn.uuid).reason == "cancelled"
    assert sorted(recorded()) == ["neighbour", "neighbour", "stubborn"]
    assert Attempt.objects.using(database).get().outcome == "cancel"


def test_a_request_survives_the_worker_that_did_not_get_round_to_it(database: str, start_worker: StartWorker):
    worker = start_worker()
    result = until_cancelled.using(server=database).send()
    wait_for(lambda: recorded() == ["started"], worker)
    pids = [worker.pid, *worker.children()]
    cancel_task(result.uuid, server=database)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    start_worker()
    with pytest.raises(TaskFailed):
        result.get(timeout=30)
    assert recorded() == ["started"]
