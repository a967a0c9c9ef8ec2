"""The background task behind large actions does what this admin asked for, once, and nothing else."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from django_machinery import Signature, control, send_task, servers
from django_machinery.admin import actions
from django_machinery.models import TaskState
from django_machinery.protocol.signature import Arg
from django_machinery.testing import run_tasks
from tests.admin.conftest import MakeUser
from tests.admin.test_actions import act, send_failing

pytestmark = pytest.mark.django_db

NAME = "tests.app.tasks.fail"


@pytest.fixture(autouse=True)
def _in_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "IN_REQUEST", 0)


def act_on_all(client: Client, action: str, query: str = f"?name={NAME}") -> None:
    """Ask for an action on everything that a filter finds."""
    some = TaskState.objects.order_by("id")[0]
    act(client, action, some, query=query, select_across="1", confirmed="yes")


def bulk_task() -> TaskState:
    return TaskState.objects.get(name=actions.ACT_ON_FILTER)


def order_of(task: TaskState) -> Signature:
    """The message of a task."""
    (signature,) = servers["default"].backend.signatures([task.uuid])
    assert signature is not None
    return signature


def test_an_order_that_was_carried_out_is_not_run_again(operator: Client, staff: MakeUser):
    send_failing(2)
    act_on_all(operator, "remove")
    run_tasks()
    precious = send_failing(2)
    act(staff("view_taskstate", "retry_taskstate"), "retry", bulk_task())
    run_tasks()
    assert set(TaskState.objects.filter(name=NAME)) == set(precious)
    assert "is done once" in bulk_task().error
    assert LogEntry.objects.filter(change_message="Delete").count() == 1


@pytest.mark.parametrize("copied", ["seal", "nothing"])
def test_nobody_else_can_order_it(copied: str, operator: Client):
    send_failing(2)
    act_on_all(operator, "retry")
    order = order_of(bulk_task())
    control.cancel(servers["default"], [order.uuid])
    args = [arg.value for arg in order.args or ()]
    forged = [*(bytes(value).decode().strip('"') for value in args[:-1]), "x"]
    fake = order.replace(uuid="task_fake") if copied == "seal" else Signature.of(actions.ACT_ON_FILTER, *forged)
    uuid = send_task(fake).uuid
    run_tasks()
    assert "not asked for in the admin" in TaskState.objects.get(uuid=uuid).error
    assert not TaskState.objects.filter(generation=1).exists()
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("position", range(5))
def test_no_part_of_an_order_can_be_changed(position: int, operator: Client):
    send_failing(2)
    act_on_all(operator, "retry")
    task = bulk_task()
    order = order_of(task)
    changed = list(order.args or ())
    changed[position] = Arg.of("remove")
    control.cancel(servers["default"], [task.uuid])
    TaskState.objects.filter(uuid=task.uuid).delete()
    send_task(order.replace(args=tuple(changed)))
    run_tasks()
    assert "not asked for in the admin" in bulk_task().error


def test_a_schedule_cannot_send_it(operator: Client, staff: MakeUser):
    send_failing(2)
    owner = User.objects.get(username="ada")
    client = staff("view_schedule", "add_schedule", "run_now_schedule")
    url = reverse("admin:machinery_schedule_add")
    assert actions.ACT_ON_FILTER not in client.get(url).content.decode()
    form: dict[str, Any] = {
        "name": "evil", "server": "default", "enabled": "on", "spec": "@daily", "kind": "task", "missed": "one",
        "run_overlap": "allow", "dst_gap": "next", "dst_overlap": "first", "tasks_0": actions.ACT_ON_FILTER,
        "tasks_1": f'["admin", "machinery.taskstate", "remove", "", "{owner.pk}", "x"]',
    }  # fmt: skip
    answer = client.post(url, form)
    assert "not one of the available choices" in str(answer.context["errors"])


def test_it_leaves_itself_alone(operator: Client):
    send_failing(2)
    act_on_all(operator, "cancel_hard", query="")
    run_tasks()
    assert bulk_task().state == "SUCCESS"
    assert bulk_task().results == '[{"Type":"int64","Value":0}]', "nothing else was to be cancelled"


def test_its_audit_row_is_written_when_it_acts(operator: Client):
    send_failing(2)
    act_on_all(operator, "retry")
    assert not LogEntry.objects.exists()
    run_tasks()
    entry = LogEntry.objects.get()
    assert entry.user.get_username() == "ada"
    assert entry.object_repr == f"all that match name={NAME}, by task {bulk_task().uuid}"


def test_its_page_does_not_offer_to_run_it_again(operator: Client):
    send_failing(1)
    act_on_all(operator, "retry")
    run_tasks()
    page = operator.get(reverse("admin:machinery_taskstate_change", args=[bulk_task().pk]))
    assert [action.name for action in page.context["actions"]] == ["remove"]
