"""What actions do, say and leave behind."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_machinery import control, servers
from django_machinery.admin import actions
from django_machinery.exceptions import BackendUnavailable
from django_machinery.models import DeadLetter, Message, TaskState
from django_machinery.server import Server
from django_machinery.testing import run_tasks
from tests.admin.conftest import MakeUser
from tests.app.tasks import add, fail

pytestmark = pytest.mark.django_db

TASKS = "admin:machinery_taskstate_changelist"


def send_failing(count: int = 1) -> list[TaskState]:
    for _ in range(count):
        fail.send("on purpose")
    run_tasks()
    return list(TaskState.objects.filter(state="FAILURE").order_by("id"))


def act(client: Client, action: str, *tasks: TaskState, query: str = "", **form: str) -> str:
    """Post an action and return the page that follows."""
    data = {"action": action, "_selected_action": [task.pk for task in tasks], **form}
    return client.post(reverse(TASKS) + query, data, follow=True).content.decode()


def test_retrying_starts_tasks_anew_and_says_how_many(operator: Client):
    tasks = send_failing(2)
    page = act(operator, "retry", *tasks)
    assert "Run again: done for 2 of 2." in page
    assert set(TaskState.objects.values_list("state", "generation")) == {("PENDING", 1)}


def test_an_action_leaves_an_audit_row_for_each_object(operator: Client):
    tasks = send_failing(2)
    act(operator, "retry", *tasks)
    entries = LogEntry.objects.order_by("object_id")
    assert [(entry.user.get_username(), entry.object_id, entry.change_message) for entry in entries] == [
        ("ada", str(task.pk), "Run again") for task in tasks
    ]
    history = operator.get(reverse("admin:machinery_taskstate_history", args=[tasks[0].pk]))
    assert "Run again" in history.content.decode()


def test_what_could_not_be_done_is_counted(operator: Client):
    add.send(1, 2)
    (waiting,) = TaskState.objects.all()
    (failed,) = send_failing()[-1:]
    TaskState.objects.filter(pk=waiting.pk).update(state="STARTED", finished_at=None)
    assert "Run again: done for 1 of 2." in act(operator, "retry", waiting, failed)


def test_cancelling_ends_a_task_that_waits(operator: Client):
    add.send(1, 2)
    (task,) = TaskState.objects.all()
    act(operator, "cancel", task, confirmed="yes")
    task.refresh_from_db()
    assert (task.state, task.reason) == ("FAILURE", "cancelled")


def test_deleting_spares_tasks_that_have_not_ended(operator: Client):
    (failed,) = send_failing()
    add.send(1, 2)
    waiting = TaskState.objects.get(state="PENDING")
    page = act(operator, "remove", failed, waiting, confirmed="yes")
    assert "Delete: done for 1 of 2." in page
    assert TaskState.objects.get() == waiting


def test_running_now_moves_a_delayed_task_up(operator: Client):
    add.using(eta=timezone.now() + timedelta(hours=1)).send(1, 2)
    act(operator, "run_now", TaskState.objects.get())
    assert Message.objects.get().due_at <= timezone.now()


def test_an_action_on_the_page_of_a_task_comes_back_to_it(operator: Client):
    (task,) = send_failing()
    data = {"action": "retry", "_selected_action": task.pk, "_detail": "1"}
    answer = operator.post(reverse(TASKS), data)
    assert answer["Location"] == reverse("admin:machinery_taskstate_change", args=[task.pk])


def test_the_page_of_a_task_offers_what_makes_sense(operator: Client):
    (failed,) = send_failing()
    add.send(1, 2)
    waiting = TaskState.objects.get(state="PENDING")
    started = TaskState.objects.create(uuid="s", server="default", state="STARTED", created_at=timezone.now())
    pages = [
        operator.get(reverse("admin:machinery_taskstate_change", args=[task.pk])) for task in (failed, waiting, started)
    ]
    offered = [[action.name for action in page.context["actions"]] for page in pages]
    assert offered == [["retry", "remove"], ["run_now", "cancel"], ["cancel", "cancel_hard"]]


def test_an_action_on_the_whole_filter_asks_first_and_takes_what_the_filter_shows(operator: Client):
    tasks = send_failing(3)
    other = TaskState.objects.filter(pk=tasks[0].pk)
    other.update(name="other")
    query = "?name=tests.app.tasks.fail"
    asked = act(operator, "retry", tasks[1], query=query, select_across="1")
    assert "everything that the list shows" in asked
    assert not TaskState.objects.filter(state="PENDING").exists()
    page = act(operator, "retry", tasks[1], query=query, select_across="1", confirmed="yes")
    assert "Run again: done for 2 of 2." in page
    assert other.get().state == "FAILURE"


def test_a_large_filter_is_left_to_a_background_task(operator: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(actions, "IN_REQUEST", 2)
    monkeypatch.setattr("django_machinery.admin.bulk.CHUNK", 2)
    tasks = send_failing(5)
    page = act(operator, "retry", tasks[0], query="?state=FAILURE", select_across="1", confirmed="yes")
    bulk = TaskState.objects.get(name="machinery.admin.act_on_filter")
    assert f"uuid={bulk.uuid}" in page
    assert not TaskState.objects.filter(generation=1).exists()
    run_tasks()
    bulk.refresh_from_db()
    assert bulk.state == "SUCCESS"
    assert bulk.results == '[{"Type":"int64","Value":5}]'
    assert TaskState.objects.filter(generation=1).count() == 5
    assert LogEntry.objects.get().object_repr == f"all that match state=FAILURE, by task {bulk.uuid}"


def test_a_background_action_is_refused_without_the_permission(staff: MakeUser, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(actions, "IN_REQUEST", 0)
    tasks = send_failing(2)
    client = staff("view_taskstate", "retry_taskstate")
    act(client, "retry", *tasks, query="?state=FAILURE", select_across="1", confirmed="yes")
    User.objects.get().user_permissions.clear()
    run_tasks()
    bulk = TaskState.objects.get(name="machinery.admin.act_on_filter")
    assert bulk.state == "FAILURE"
    assert "PermissionDenied" in bulk.error + bulk.traceback
    assert not TaskState.objects.filter(generation=1).exists()


def test_a_store_that_fails_on_the_way_is_told_and_noted(operator: Client, monkeypatch: pytest.MonkeyPatch):
    (task,) = send_failing()

    def unreachable(self: Server, signatures: object) -> None:
        raise BackendUnavailable("the store is away")

    monkeypatch.setattr(Server, "start_anew", unreachable)
    page = act(operator, "retry", task)
    assert "Run again: the store is away" in page
    assert "done for" not in page.replace("done for 0 of 1", "")
    assert [entry.change_message for entry in LogEntry.objects.all()] == ["Run again: it failed on the way"]


def test_one_server_that_is_gone_keeps_no_other_from_its_tasks(operator: Client):
    (task,) = send_failing()
    gone = TaskState.objects.create(uuid="gone", server="gone", state="FAILURE", created_at=timezone.now())
    page = act(operator, "retry", task, gone)
    task.refresh_from_db()
    assert task.state == "PENDING"
    assert "Run again: done for 1 of 2." in page
    assert "Run again: there is no server" in page or "gone" in page
    assert [entry.object_id for entry in LogEntry.objects.all()] == [str(task.pk)]


def test_a_task_that_runs_is_only_asked_to_end(operator: Client):
    add.send(1, 2)
    add.send(1, 2)
    waiting, runs = TaskState.objects.order_by("id")
    Message.objects.filter(uuid=runs.uuid).delete()
    TaskState.objects.filter(pk=runs.pk).update(state="STARTED")
    page = act(operator, "cancel", waiting, runs, confirmed="yes")
    assert "Cancel: asked for 2 of 2; 1 have not ended yet." in page


def test_whoever_says_no_comes_back_to_where_they_were(operator: Client):
    (task,) = send_failing()
    asked = act(operator, "remove", task, query="?state=FAILURE&id__lt=999")
    assert f'href="{reverse(TASKS)}?state=FAILURE&amp;id__lt=999"' in asked
    detail = reverse("admin:machinery_taskstate_change", args=[task.pk])
    assert f'href="{detail}">No, go back' in act(operator, "remove", task, _detail="1")


def test_what_is_asked_is_told_in_words(operator: Client):
    tasks = send_failing(2)
    assert "<strong>Delete</strong> is asked for 1 task state." in act(operator, "remove", tasks[0])
    assert "<strong>Delete</strong> is asked for 2 task states." in act(operator, "remove", *tasks)


def confirmed_form(page: str) -> tuple[str, dict[str, Any]]:
    """Where the form that asks leads, and what it sends."""
    form = page.split('<form method="post" action="?')[1].split("</form>")[0]
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form):
        fields.setdefault(name, []).append(html.unescape(value))
    return "?" + html.unescape(form.split('"')[0]), fields


def test_a_whole_filter_is_acted_on_as_it_was_when_it_was_asked_for(operator: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(actions, "IN_REQUEST", 0)
    tasks = send_failing(3)
    now = timezone.now()
    TaskState.objects.update(created_at=now - timedelta(minutes=14))
    asked = act(operator, "retry", tasks[0], query="?sent=15m&name=tests.app.tasks.fail", select_across="1")
    assert "is asked for 3 task states" in asked
    newer = send_failing()[-1]
    query, form = confirmed_form(asked)
    answer = operator.post(reverse(TASKS) + query, form)
    assert answer["Location"] == f"{reverse(TASKS)}?sent=15m&name=tests.app.tasks.fail"
    # The queue is busy for two minutes.
    monkeypatch.setattr("django_machinery.admin.time_filters.timezone.now", lambda: now + timedelta(minutes=2))
    run_tasks()
    again = TaskState.objects.filter(generation=1)
    assert set(again) == set(tasks)
    assert newer not in again


def test_a_whole_filter_takes_all_pages_wherever_it_was_chosen(operator: Client):
    tasks = send_failing(60)
    second_page = f"?name=tests.app.tasks.fail&id__lt={tasks[10].pk}"
    page = operator.get(reverse(TASKS) + second_page).content.decode()
    assert "Select all that match (60)" in page
    assert 'name="id__lt"' not in page, "a search looks on all pages"
    assert [link for link in re.findall(r'href="([^"]*)"', page) if "id__lt" in link] == []
    asked = act(operator, "retry", tasks[0], query=second_page, select_across="1")
    assert "is asked for 60 task states" in asked
    query, form = confirmed_form(asked)
    assert "done for 60 of 60" in operator.post(reverse(TASKS) + query, form, follow=True).content.decode()


def test_a_background_task_whose_queue_is_paused_is_told(operator: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(actions, "IN_REQUEST", 0)
    tasks, server = send_failing(2), servers["default"]
    ask = {"query": "?state=FAILURE", "select_across": "1", "confirmed": "yes"}
    assert "is paused" not in act(operator, "retry", tasks[0], **ask)
    control.pause(server, server.config.default_queue)
    assert f"its queue {server.config.default_queue} (default) is paused" in act(operator, "retry", tasks[0], **ask)


def test_dead_letters_are_sent_again(operator: Client):
    add.send(2, 3)
    message = Message.objects.get()
    letter = DeadLetter.objects.create(
        server="default", queue=message.queue, uuid=message.uuid, name=message.name, body=message.body.encode(),
        reason="crashes", died_at=timezone.now(),
    )  # fmt: skip
    Message.objects.all().delete()
    data = {"action": "requeue", "_selected_action": letter.pk}
    page = operator.post(reverse("admin:machinery_deadletter_changelist"), data, follow=True).content.decode()
    assert "Send again: done for 1 of 1." in page
    assert Message.objects.count() == 1


def test_a_dead_letter_that_cannot_be_read_keeps_no_other_from_being_sent(operator: Client):
    add.send(2, 3)
    message = Message.objects.get()
    letters = [
        DeadLetter.objects.create(server="default", queue=message.queue, body=body, reason="x", died_at=timezone.now())
        for body in (b"\xff\xfe", message.body.encode())
    ]
    Message.objects.all().delete()
    data = {"action": "requeue", "_selected_action": [letter.pk for letter in letters]}
    page = operator.post(reverse("admin:machinery_deadletter_changelist"), data, follow=True).content.decode()
    assert "Send again: done for 1 of 2." in page
    assert Message.objects.count() == 1
    details = [operator.get(reverse("admin:machinery_deadletter_change", args=[letter.pk])) for letter in letters]
    assert [[action.name for action in page.context["actions"]] for page in details] == [["remove"], ["remove"]]


def test_numbers_are_left_as_they_are_where_they_are_keys(operator: Client, settings: Any):
    settings.USE_THOUSAND_SEPARATOR = True
    (task,) = send_failing()
    TaskState.objects.filter(pk=task.pk).update(id=12345)
    letter = DeadLetter.objects.create(
        id=12345, server="default", queue="q", body=b"{}", reason="x", died_at=timezone.now()
    )
    for row, model in ((task, "taskstate"), (letter, "deadletter")):
        page = operator.get(reverse(f"admin:machinery_{model}_change", args=[12345])).content.decode()
        assert set(re.findall(r'name="_selected_action" value="([^"]*)"', page)) == {"12345"}, row


def test_a_queue_is_paused_resumed_and_purged(operator: Client):
    add.send(1, 2)
    queue = Message.objects.get().queue
    url, server = reverse("admin:machinery_queuecontrol_act"), servers["default"]
    form = {"server": "default", "queue": queue}
    assert "is paused" in operator.post(url, {**form, "deed": "pause"}, follow=True).content.decode()
    assert control.paused(server) == {queue}
    assert "goes on" in operator.post(url, {**form, "deed": "resume"}, follow=True).content.decode()
    assert control.paused(server) == set()
    purge = {**form, "deed": "purge", "confirmed": "yes"}
    assert "purged of 1" in operator.post(url, purge, follow=True).content.decode()
    assert not Message.objects.exists()
    assert LogEntry.objects.count() == 3


def test_purging_says_how_much_it_throws_away(operator: Client):
    for _ in range(3):
        add.send(1, 2)
    add.using(eta=timezone.now() + timedelta(hours=1)).send(1, 2)
    form = {"server": "default", "queue": Message.objects.all()[0].queue, "deed": "purge"}
    page = operator.post(reverse("admin:machinery_queuecontrol_act"), form).content.decode()
    assert "Ready now: 3. Delayed, and spared: 1." in page
    purged = operator.post(reverse("admin:machinery_queuecontrol_act"), {**form, "confirmed": "yes"}, follow=True)
    assert "purged of 3" in purged.content.decode()
    assert Message.objects.count() == 1


@pytest.mark.parametrize("queue", ["no-such-queue", "a\0b", "x" * 300, ""])
@pytest.mark.parametrize("deed", ["pause", "resume", "purge"])
def test_a_queue_that_nobody_knows_is_refused(deed: str, queue: str, operator: Client):
    form = {"server": "default", "queue": queue, "deed": deed}
    page = operator.post(reverse("admin:machinery_queuecontrol_act"), form, follow=True).content.decode()
    assert "There is no such queue." in page
    assert not LogEntry.objects.exists()


def test_a_queue_of_an_unknown_server_is_refused(operator: Client):
    form = {"server": "nowhere", "queue": "mail", "deed": "pause"}
    page = operator.post(reverse("admin:machinery_queuecontrol_act"), form, follow=True).content.decode()
    assert "There is no such queue." in page
