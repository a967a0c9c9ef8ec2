"""What an operator does, click by click."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from django_machinery import Signature
from django_machinery.admin import audit
from django_machinery.models import Message, QueueControl, Schedule, TaskState
from django_machinery.protocol.codec import encode_signature
from django_machinery.testing import run_tasks
from tests.admin.hostile import TEXTS
from tests.admin.rows import make_rows
from tests.admin.test_hostile import make_schedule
from tests.app.tasks import add, fail
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.django_db(transaction=True)
OpenPage = Callable[..., "Page"]
DASHBOARD = "/admin/machinery/"
EVERY = 5_500
"""Milliseconds: somewhat longer than the dashboard waits between two requests."""


def page_of(task: TaskState) -> str:
    return reverse("admin:machinery_taskstate_change", args=[task.pk])


def test_a_task_is_watched_until_it_ends_without_a_reload(open_page: OpenPage, start_worker: Callable[..., Any]):
    add.send(20, 22)
    page = open_page(page_of(TaskState.objects.get()))
    page.evaluate("window.notReloaded = true")
    assert page.locator(".mq-head .mq-pill").inner_text() == "PENDING"
    start_worker()
    page.locator(".mq-head .mq-success").wait_for(timeout=30_000)
    assert page.locator(".mq-values pre").all_inner_texts() == ["20", "22", "42"]
    assert page.evaluate("window.notReloaded")


def test_the_traceback_of_the_newest_failure_is_two_clicks_away_and_it_is_retried_there(
    open_page: OpenPage, start_worker: Callable[..., Any]
):
    fail.send("on purpose")
    start_worker()
    wait_until(TaskState.objects.filter(state="FAILURE").exists, timeout=30)
    page = open_page("/admin/")
    page.get_by_role("link", name="Machinery", exact=True).first.click()
    page.locator(".mq-newest a").click()
    assert "ValueError: on purpose" in page.locator("pre").first.inner_text()
    page.get_by_role("button", name="Run again").click()
    page.get_by_text("Run again: done for 1 of 1.").wait_for()
    page.get_by_text("Started anew").wait_for()
    page.locator(".mq-head .mq-failure").wait_for(timeout=30_000)
    assert TaskState.objects.get().generation == 1


def test_a_queue_is_paused_and_resumed(open_page: OpenPage, start_worker: Callable[..., Any]):
    paused = add.send(1, 2).uuid
    page = open_page(reverse("admin:machinery_queuecontrol_changelist"))
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("is paused").wait_for()
    assert QueueControl.objects.get().paused_by == "ada"
    start_worker("--queues", "machinery_tasks,open")
    for _ in range(3):  # a worker that took from the paused queue would have had its turn meanwhile
        other = add.using(queue="open").send(3, 4).uuid
        wait_until(TaskState.objects.filter(state="SUCCESS", uuid=other).exists, timeout=30)
    assert TaskState.objects.get(uuid=paused).state == "PENDING"
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("goes on").wait_for()
    wait_until(TaskState.objects.filter(state="SUCCESS", uuid=paused).exists, timeout=30)


def test_a_schedule_is_run_now(open_page: OpenPage, start_worker: Callable[..., Any]):
    signature = encode_signature(Signature.of("tests.app.tasks.add", 20, 22)).decode()
    Schedule.objects.create(
        server="default", name="nightly", kind="task", spec="0 6 * * *", signatures=f"[{signature}]"
    )
    start_worker()
    page = open_page(reverse("admin:machinery_schedule_changelist"))
    page.locator(".action-select").check()
    page.locator("select[name=action]").select_option("run_now")
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("1 schedule was run.").wait_for()
    wait_until(TaskState.objects.filter(state="SUCCESS", name="tests.app.tasks.add").exists, timeout=30)


def test_the_dashboard_refreshes_itself_but_not_while_it_is_hidden(open_page: OpenPage):
    page = open_page(DASHBOARD)
    page.clock.install()  # so that the test can let time pass
    page.goto(DASHBOARD)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    add.send(1, 2)
    page.clock.run_for(EVERY)
    page.locator(".mq-card.mq-pending .mq-card-number", has_text="1").wait_for()
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.locator(".mq-pulse", has_text="Paused").wait_for()
    before = len(asked)
    assert before
    page.clock.run_for(4 * EVERY)
    page.evaluate("fetch('/static/machinery/admin.css')")  # what was asked before has been heard of when this is
    wait_until(lambda: page.evaluate("1") and any(url.endswith("admin.css") for url in asked), timeout=10)
    assert len(asked) == before + 1
    page.evaluate("delete document.hidden")
    with page.expect_request(lambda request: "/dashboard/" in request.url):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.locator(".mq-pulse", has_text="Live").wait_for()


def test_everything_works_without_scripts(open_page: OpenPage):
    fail.send("on purpose")
    run_tasks()
    page = open_page(DASHBOARD, scripts=False)
    assert page.locator(".mq-card.mq-failure .mq-card-number").inner_text() == "1"
    page.locator(".mq-newest a").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Yes, do it").click()
    assert page.get_by_text("Delete: done for 1 of 1.").is_visible()
    assert not TaskState.objects.exists()


PURGE = """queue => [...document.querySelectorAll('button[value=purge]')]
    .find(each => each.form.elements.queue.value == queue).click()"""


@pytest.mark.parametrize("part", range(3))
def test_no_text_of_a_message_is_executed(part: int, open_page: OpenPage):
    for number, text in enumerate(TEXTS[part * 56 : part * 56 + 56]):
        task = make_rows(text, number=number)["taskstate"]
        audit.record(User.objects.get_or_create(username="ada", is_superuser=True, is_staff=True)[0], TaskState, text,
                     [(task.pk, text)])  # fmt: skip
    make_schedule(text, 1)
    page = open_page(DASHBOARD)
    schedule = reverse("admin:machinery_schedule_change", args=[Schedule.objects.get().pk])
    lists = [reverse(f"admin:machinery_{model}_changelist") for model in ("taskstate", "deadletter", "queuecontrol")]
    history = [reverse("admin:machinery_taskstate_history", args=[task.pk])]
    tasks = [page_of(task) for task in TaskState.objects.order_by("id")[part::12]]
    for path in [DASHBOARD, "/admin/", schedule, *lists, *history, *tasks]:
        page.goto(path)
        assert page.evaluate("window.xss") is None, path
    queues = Message.objects.values_list("queue", flat=True)
    hostile = next(queue for queue in queues if queue.isprintable() and "<" in queue)  # which a form sends as it is
    for button in ("Purge", "Delete"):
        page.goto(lists[-1] if button == "Purge" else tasks[0])
        if button == "Purge":
            page.evaluate(PURGE, hostile)
        else:
            page.get_by_role("button", name=button).first.click()
        page.get_by_role("button", name=re.compile("^Yes")).wait_for()
        assert page.evaluate("window.xss") is None, button
