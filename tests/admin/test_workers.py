"""A worker's page and the filter by worker, with a worker at work."""

import threading

import pytest
from django.test import Client
from django.urls import reverse

from django_machinery import Worker, send_task, servers
from django_machinery.models import TaskState, WorkerProcess
from tests.admin.test_search import found
from tests.waiting import wait_until
from tests.worker.support import running

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("tag", ["", "mail"])
def test_what_a_worker_runs_is_found_by_it(tag: str, operator: Client):
    may_end = threading.Event()
    server = servers["default"]

    def wait() -> None:
        assert may_end.wait(60)

    server.register_task("wait", wait)
    uuid = send_task("wait").uuid
    with running(Worker(server, tag=tag, concurrency=1)):
        try:
            wait_until(lambda: TaskState.objects.get(uuid=uuid).state == "STARTED")
            worker = WorkerProcess.objects.get()
            page = operator.get(reverse("admin:machinery_workerprocess_change", args=[worker.pk]))
            assert [task.uuid for task in page.context["tasks"]] == [uuid]
            choices = operator.get(reverse("admin:machinery_taskstate_changelist")).context["cl"].filter_specs
            (offered,) = (spec.lookup_choices for spec in choices if getattr(spec, "parameter_name", "") == "worker")
            assert found(operator, worker=offered[0][0]) == {uuid}
        finally:
            may_end.set()
        wait_until(lambda: TaskState.objects.get(uuid=uuid).state == "SUCCESS")
