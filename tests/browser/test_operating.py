"""What an operator does, click by click."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse

from django_machinery import Signature
from django_machinery.models import QueueControl, Schedule, TaskState
from django_machinery.protocol.codec import encode_signature
from django_machinery.testing import run_tasks
from tests.admin.hostile import TEXTS
from tests.admin.rows import make_rows
from tests.app.tasks import add, fail
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.django_db(transaction=True)
OpenPage = Callable[..., "Page"]
DASHBOARD = "/admin/machinery/"


def page_of(task: TaskState) -> str:
    return reverse("admin:machinery_taskstate_change", args=[task.pk])


def test_a_task_is_watched_until_it_ends_without_a_reload(open_page: OpenPage, start_worker: Callable[[], Any]):
    add.send(20, 22)
    page = open_page(page_of(TaskState.objects.get()))
    page.evaluate("window.notReloaded = true")
    assert page.locator(".mq-head .mq-pill").inner_text() == "PENDING"
    start_worker()
    page.locator(".mq-head .mq-success").wait_for(timeout=30_000)
    assert page.locator(".mq-values pre").all_inner_texts() == ["20", "22", "42"]
    assert page.evaluate("window.notReloaded")


def test_the_traceback_of_the_newest_failure_is_two_clicks_away_and_it_is_retried_there(
    open_page: OpenPage, start_worker: Callable[[], Any]
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


def test_a_queue_is_paused_and_resumed(open_page: OpenPage, start_worker: Callable[[], Any]):
    add.send(1, 2)
    page = open_page(reverse("admin:machinery_queuecontrol_changelist"))
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("is paused").wait_for()
    assert QueueControl.objects.get().paused_by == "ada"
    worker = start_worker()
    worker.wait_for_line("READY")
    assert TaskState.objects.get().state == "PENDING"
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("goes on").wait_for()
    wait_until(TaskState.objects.filter(state="SUCCESS").exists, timeout=30)


def test_a_schedule_is_run_now(open_page: OpenPage, start_worker: Callable[[], Any]):
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
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    add.send(1, 2)
    page.locator(".mq-card.mq-pending .mq-card-number", has_text="1").wait_for(timeout=10_000)
    assert len(asked) == 1
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.locator(".mq-pulse", has_text="Paused").wait_for()
    page.wait_for_timeout(6_000)  # longer than it waits between two requests
    assert len(asked) == 1
    page.evaluate("delete document.hidden")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.locator(".mq-pulse", has_text="Live").wait_for()
    assert len(asked) == 2


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


@pytest.mark.parametrize("part", range(3))
def test_no_text_of_a_message_is_executed(part: int, open_page: OpenPage):
    for number, text in enumerate(TEXTS[part * 56 : part * 56 + 56]):
        make_rows(text, number=number)
    page = open_page(DASHBOARD)
    pages = [reverse(f"admin:machinery_{model}_changelist") for model in ("taskstate", "deadletter", "queuecontrol")]
    for task in TaskState.objects.order_by("?")[:5]:
        pages.append(page_of(task))
    for path in [DASHBOARD, *pages]:
        page.goto(path)
        assert page.evaluate("window.xss") is None, path
