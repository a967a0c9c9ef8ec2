"""What the page of one task tells of its history."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_machinery import control, servers
from django_machinery.admin import looks
from django_machinery.models import Attempt, Message, TaskState
from django_machinery.testing import run_tasks
from tests.admin.test_actions import send_failing
from tests.app.tasks import add, fail_times, retry_later

pytestmark = pytest.mark.django_db


def page_of(client: Client, task: TaskState) -> Any:
    return client.get(reverse("admin:machinery_taskstate_change", args=[task.pk]))


def steps_of(client: Client, task: TaskState) -> list[str]:
    return [step.label for step in page_of(client, task).context["steps"]]


def run_due() -> None:
    """Let what waits for its next attempt run at once."""
    uuids = list(Message.objects.values_list("uuid", flat=True))
    control.run_now(servers["default"], uuids)
    run_tasks()


def test_each_attempt_that_was_retried_is_a_step(operator: Client):
    fail_times.using(retry_count=2).send(2)
    run_tasks()
    run_due()
    run_due()
    task = TaskState.objects.get()
    assert task.state == "SUCCESS"
    assert steps_of(operator, task) == [
        *("Sent", "Started", "Attempt 1 failed", "Started", "Attempt 2 failed"),
        *("Received", "Started", "Succeeded"),
    ]


def test_a_task_that_waits_for_its_next_attempt_says_when_it_is_due(operator: Client):
    fail_times.using(retry_count=2).send(2)
    run_tasks()
    task, message = TaskState.objects.get(), Message.objects.get()
    assert task.state == "RETRY"
    steps = page_of(operator, task).context["steps"]
    assert [(step.label, step.note) for step in steps[-1:]] == [("Due", "attempt 2")]
    assert steps[-1].at == message.due_at
    assert [step.label for step in steps] == ["Sent", "Started", "Attempt 1 failed", "Due"]


def test_it_is_known_when_an_attempt_was_due_that_has_run(operator: Client):
    fail_times.using(retry_count=2).send(2)
    run_tasks()
    run_due()
    run_due()
    task = TaskState.objects.get()
    ended = [attempt.ended_at for attempt in Attempt.objects.order_by("number")]
    later = timezone.now() + timedelta(seconds=60)
    TaskState.objects.update(started_at=later, finished_at=later + timedelta(seconds=5))
    due = [step.at for step in page_of(operator, task).context["steps"] if step.label == "Due"]
    assert due == [ended[1] + timedelta(seconds=2)], "the second number of Fibonacci above 0"
    assert waited(operator, task) == pytest.approx((later - due[0]).total_seconds(), abs=1)


def waited(client: Client, task: TaskState) -> float:
    """Seconds."""
    text = page_of(client, task).context["waited"]
    number, unit = text.split()
    return float(number) * {"ms": 0.001, "s": 1}[unit]


def test_a_task_that_asks_to_be_run_later_says_so(operator: Client):
    retry_later.send(1, 60)
    run_tasks()
    task = TaskState.objects.get()
    assert steps_of(operator, task) == ["Sent", "Started", "Attempt 1 asked to be run later", "Due"]
    run_due()
    task.refresh_from_db()
    assert page_of(operator, task).context["waited"] == looks.MISSING
    assert steps_of(operator, task)[-1] == "Succeeded"


def test_a_task_that_was_run_again_waits_from_then_on(operator: Client):
    (task,) = send_failing()
    long_ago = timezone.now() - timedelta(days=3)
    TaskState.objects.update(**dict.fromkeys(("created_at", "received_at", "started_at", "finished_at"), long_ago))
    control.retry(servers["default"], [task.uuid])
    run_tasks()
    page = page_of(operator, task)
    assert [step.label for step in page.context["steps"]] == ["Sent", "Received", "Started", "Failed"]
    assert waited(operator, task) < 60
    labels = [attempt["label"] for attempt in page.context["attempts"]]
    assert labels == ["Attempt 1 of run 2", "Attempt 1 of run 1"]
    assert all(label in page.content.decode() for label in labels)


def test_a_task_that_ran_once_has_no_number_of_a_run(operator: Client):
    (task,) = send_failing()
    assert [attempt["label"] for attempt in page_of(operator, task).context["attempts"]] == ["Attempt 1"]


def test_the_list_tells_no_wait_that_includes_earlier_attempts(operator: Client):
    add.send(1, 2)
    run_tasks()
    moment = datetime(2026, 1, 2, tzinfo=timezone.get_default_timezone())
    times = {"created_at": moment, "started_at": moment + timedelta(seconds=90)}
    TaskState.objects.update(**times)
    url = reverse("admin:machinery_taskstate_changelist")
    assert "1 min 30 s" in operator.get(url).content.decode()
    TaskState.objects.update(attempt=2)
    assert "1 min 30 s" not in operator.get(url).content.decode()
