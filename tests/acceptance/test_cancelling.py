"""Running tasks that somebody wants to end."""

import pytest

from django_machinery import TaskFailed, cancel_task
from django_machinery.models import TaskState
from tests.acceptance.conftest import StartWorker, wait_for
from tests.app.tasks import recorded, sleep_long, until_cancelled


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
