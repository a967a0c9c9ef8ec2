"""What the pages show, hide and cost."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib import admin
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_machinery import Signature, servers
from django_machinery.admin import looks
from django_machinery.admin.charts import chart, nice
from django_machinery.admin.paginator import COUNTED, BoundedPaginator
from django_machinery.exceptions import BrokerUnavailable
from django_machinery.inspector import Inspector, Point
from django_machinery.models import Attempt, GroupMeta, Schedule, TaskState, WorkerProcess
from django_machinery.protocol.codec import encode_signature
from django_machinery.protocol.signature import Arg
from django_machinery.protocol.states import PENDING, SUCCESS
from django_machinery.seams.backend import StateChange
from tests.admin import samples
from tests.admin.rows import WHEN, make_rows

pytestmark = pytest.mark.django_db

QUERIES = 12
DASHBOARD = "/admin/machinery/"


@pytest.mark.parametrize(
    "url",
    [
        DASHBOARD,
        "/admin/machinery/?window=7d",
        "/admin/machinery/taskstate/dashboard/",
        "/admin/machinery/taskstate/",
        "/admin/machinery/taskstate/?state=FAILURE",
        "/admin/machinery/taskstate/?queue=mail",
        "/admin/machinery/taskstate/?q=user1",
        "/admin/machinery/taskstate/?q=args.0:1",
        "/admin/machinery/groupmeta/",
        "/admin/machinery/deadletter/",
        "/admin/machinery/queuecontrol/",
        "/admin/machinery/workerprocess/",
        "/admin/machinery/cancellation/",
    ],
)
def test_a_page_takes_few_queries_however_many_rows_there_are(url: str, operator: Client):
    samples.fill(120)
    operator.get(url)  # content types are remembered
    with CaptureQueriesContext(connection) as queries:
        assert operator.get(url).status_code == 200
    assert len(queries) <= QUERIES


def test_the_page_of_a_task_takes_few_queries(operator: Client):
    samples.fill(20)
    task = TaskState.objects.filter(state="FAILURE").latest("id")
    with CaptureQueriesContext(connection) as queries:
        page = operator.get(reverse("admin:machinery_taskstate_change", args=[task.pk]))
    assert len(queries) <= QUERIES
    assert "Traceback (most recent call last)" in page.content.decode()


def failing_run(uuid: str, hours_ago: int, outcome: str, **columns: Any) -> None:
    """A task whose run ended so; it was sent the earlier, the later it ended."""
    ended = timezone.now() - timedelta(hours=hours_ago)
    TaskState.objects.create(
        uuid=uuid, server="default", name=uuid, queue="mail", state="FAILURE", error=uuid, signature="{}",
        created_at=timezone.now() - timedelta(hours=100 - hours_ago), finished_at=ended, **columns,
    )  # fmt: skip
    Attempt.objects.create(uuid=uuid, name=uuid, number=1, ended_at=ended, outcome=outcome, error=f"error of {uuid}")


def test_the_newest_failure_is_the_run_that_failed_last(operator: Client):
    for hours_ago, outcome in ((9, "error"), (5, "crash"), (7, "timeout"), (3, "cancel"), (1, "retry")):
        failing_run(outcome, hours_ago, outcome)
    page = operator.get(DASHBOARD)
    newest = page.context["newest_failure"]
    assert (newest[0].name, newest[1]) == ("crash", "error of crash")
    assert "5 h ago" in page.content.decode()


def test_a_dashboard_without_failures_names_none(operator: Client):
    failing_run("cancel", 1, "cancel")
    assert operator.get(DASHBOARD).context["newest_failure"] is None


def test_what_is_sensitive_is_hidden_everywhere_but_in_the_raw_data(operator: Client):
    secret = "hunter2hunter2"
    signature = Signature.of("login", uuid="task_secret").replace(args=(_named("password", secret),))
    task = TaskState.objects.create(
        uuid="task_secret", server="default", name="login", queue="mail", state="FAILURE", created_at=WHEN,
        signature=encode_signature(signature).decode(), error=f"no: {secret}", traceback=f"password={secret}",
        group_uuid="g", finished_at=WHEN,
    )  # fmt: skip
    for url in (DASHBOARD, "/admin/machinery/taskstate/", f"/admin/machinery/taskstate/{task.pk}/change/"):
        assert secret not in operator.get(url).content.decode(), url
    assert secret in operator.get(f"/admin/machinery/taskstate/{task.pk}/raw/").content.decode()


def test_what_a_task_says_of_its_progress_is_masked(operator: Client):
    signature = Signature.of("login", uuid="task_secret").replace(args=(_named("password", "hunter2hunter2"),))
    task = TaskState.objects.create(
        uuid="task_secret", server="default", name="login", queue="mail", state="STARTED", created_at=WHEN,
        signature=encode_signature(signature).decode(), progress_done=1, progress_note="as hunter2hunter2, token=x1y",
    )  # fmt: skip
    page = operator.get(f"/admin/machinery/taskstate/{task.pk}/change/").content.decode()
    assert "as ***, token=***" in page


def test_a_site_of_the_project_shows_the_same_within_itself(operator: Client):
    samples.fill(10)
    task = TaskState.objects.latest("id")
    for path in (
        "machinery/",
        "machinery/taskstate/",
        f"machinery/taskstate/{task.pk}/change/",
        "machinery/queuecontrol/",
    ):
        page = operator.get(f"/own/{path}").content.decode()
        assert 'class="mq' in page or "mq-pill" in page
        assert "/admin/machinery" not in page


def test_one_server_that_does_not_answer_costs_its_panel_alone(operator: Client, monkeypatch: pytest.MonkeyPatch):
    def unreachable(self: Inspector) -> list[Any]:
        raise BrokerUnavailable("the broker is away")

    samples.fill(10)
    monkeypatch.setattr(Inspector, "queues", unreachable)
    page = operator.get(DASHBOARD).content.decode().replace("<wbr>", "")
    assert "the broker is away" in page
    assert "web0.example.com" in page
    assert "the broker is away" in operator.get("/admin/machinery/queuecontrol/").content.decode()


def test_a_server_that_cannot_be_used_here_is_told_and_spoils_no_list(operator: Client):
    broken = {"BROKER": "nothing://here", "RESULT_BACKEND": "nothing://here", "LOCK": "nothing://here"}
    with override_settings(MACHINERY={**settings.MACHINERY, "broken": broken}):
        assert "nothing" in operator.get(DASHBOARD, {"server": "broken"}).content.decode()
        assert "nothing" in operator.get("/admin/machinery/queuecontrol/").content.decode()
        assert operator.get("/admin/machinery/taskstate/").status_code == 200


def test_a_task_is_found_by_its_uuid_here_and_in_the_backends(operator: Client, monkeypatch: pytest.MonkeyPatch):
    task = make_rows()["taskstate"]
    url = reverse("admin:machinery_taskstate_find")
    assert operator.get(url, {"uuid": task.uuid})["Location"] == f"/admin/machinery/taskstate/{task.pk}/change/"
    assert "No result backend knows this task" in operator.get(url, {"uuid": "absent"}).content.decode()
    state = servers["default"].backend.get_states([task.uuid])[0]
    monkeypatch.setattr(Inspector, "state", lambda self, uuid: state)
    page = operator.get(url, {"uuid": "elsewhere"}).content.decode()
    assert "plain" in page
    assert "FAILURE" in page


def test_states_of_other_stores_are_listed_the_newest_first(operator: Client):
    make_rows()
    eager = dict.fromkeys(("BROKER", "RESULT_BACKEND", "LOCK"), "eager://")
    url = reverse("admin:machinery_taskstate_find")
    with override_settings(MACHINERY={**settings.MACHINERY, "elsewhere": eager}):
        sent = [Signature.of(name, uuid=f"task_{name}") for name in ("old", "<b>new")]
        for signature in sent:
            servers["elsewhere"].backend.set_states([StateChange(signature, PENDING)])
        page = operator.get(url).content.decode()
        assert page.index("?uuid=task_%3Cb%3Enew") < page.index("?uuid=task_old")
        assert "&lt;b&gt;new" in page
        assert "plain" not in page, "a task of this database is in its own list"
        assert "&lt;b&gt;new" in operator.get(url, {"uuid": "task_<b>new"}).content.decode()


def test_a_page_of_a_row_that_is_gone_says_so(operator: Client):
    for model in ("taskstate", "groupmeta", "deadletter", "workerprocess"):
        for key in ("999999", "nonsense"):
            assert operator.get(f"/admin/machinery/{model}/{key}/change/").status_code in (302, 404), (model, key)


@pytest.mark.parametrize("model", ["taskstate", "deadletter", "groupmeta", "workerprocess", "cancellation", "schedule"])
def test_an_address_that_no_page_leads_to_is_refused(model: str, operator: Client):
    make_rows()
    url = reverse(f"admin:machinery_{model}_changelist")
    for name in ("name", "queue", "worker", "state", "reason", "sent", "failed", "exception", "id__lt", "no\0name"):
        assert operator.get(url, {name: "a\0b"}).status_code in (302, 400), name
    for key in ("abc", "", "-1", "9" * 30, "1\0"):
        answer = operator.post(url, {"action": "remove", "_selected_action": key})
        assert answer.status_code in (302, 400), key
    assert operator.get(reverse("admin:machinery_taskstate_find"), {"uuid": "\0"}).status_code == 200


def test_a_callback_waits_only_while_its_group_does(operator: Client):
    fields = {"total": 2, "remaining": 0, "failed": 1, "callback_uuid": "c", "created_at": WHEN}
    GroupMeta.objects.create(uuid="open", **{**fields, "remaining": 1})
    GroupMeta.objects.create(uuid="failed", **fields, settled_at=WHEN)
    GroupMeta.objects.create(uuid="good", **{**fields, "failed": 0}, settled_at=WHEN, triggered_by="c")
    page = operator.get(reverse("admin:machinery_groupmeta_changelist")).content.decode()
    assert re.findall(r'field-chord">([^<]*)<', page) == [
        "triggered",
        "not run: a member failed",
        "waits for the members",
    ]


def test_the_list_of_schedules_takes_few_queries(operator: Client):
    url = reverse("admin:machinery_schedule_changelist")
    for index in range(20):
        task = TaskState.objects.create(uuid=f"t{index}", server="default", state="SUCCESS", created_at=WHEN)
        Schedule.objects.create(
            server="default", name=f"s{index}", kind="task", spec="@daily", signatures="[]", origin="code",
            last_at=WHEN, last_uuid=task.uuid,
        )  # fmt: skip
    operator.get(url)
    with CaptureQueriesContext(connection) as queries:
        page = operator.get(url).content.decode()
    assert len(queries) <= QUERIES
    assert len(re.findall(r'taskstate/\d+/change/">[^<]*</a> SUCCESS', page)) == 20


def test_a_worker_is_lost_when_the_inspector_takes_it_for_stale(operator: Client):
    for seconds in (14, 16):
        WorkerProcess.objects.create(
            token=str(seconds), server="default", host="web", pid=seconds, started_at=WHEN,
            beat_at=timezone.now() - timedelta(seconds=seconds), lease_until=timezone.now(),
        )  # fmt: skip
    assert [worker.stale for worker in Inspector(servers["default"]).workers()] == [False, True]
    page = operator.get(reverse("admin:machinery_workerprocess_changelist")).content.decode()
    assert re.findall(r'field-life"><span class="[^"]*">([^<]*)<', page) == ["alive", "lost"]


def test_a_list_is_counted_no_further_than_anyone_pages(monkeypatch: pytest.MonkeyPatch):
    TaskState.objects.bulk_create(samples.task_states(30))
    rows = TaskState.objects.order_by("-id")
    assert BoundedPaginator(rows, 10).shown_count == "30"
    monkeypatch.setattr("django_machinery.admin.paginator.COUNTED", 20)
    assert BoundedPaginator(rows, 10).count == 21
    assert BoundedPaginator(rows, 10).shown_count == "≈ 30"
    assert BoundedPaginator(rows.filter(id__gt=0), 10).shown_count == "20+"
    assert COUNTED >= 1000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, looks.MISSING),
        (-5, "0 ms"),
        (0.0004, "0 ms"),
        (0.83, "830 ms"),
        (0.9996, "1.0 s"),
        (12.34, "12.3 s"),
        (59.96, "1 min"),
        (245, "4 min 5 s"),
        (12_000, "3 h 20 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_durations_are_told_in_two_units_at_most(seconds: float | None, text: str):
    assert looks.duration(seconds) == text


@pytest.mark.parametrize(("most", "top"), [(0, 2), (2, 2), (3, 4), (11, 20), (21, 40), (41, 100), (999, 1000)])
def test_an_axis_ends_with_a_number_whose_half_is_whole(most: int, top: int):
    assert nice(most) == top


def test_bars_stay_within_their_chart_and_a_single_failure_stays_visible():
    points = [Point(WHEN + timedelta(minutes=minute), 9_999, 1, 0) for minute in range(60)]
    drawn = chart(points, timedelta(hours=1))
    rects = [rect for bar in drawn.bars for rect in bar.rects]
    assert all(float(rect.y) >= 0 and float(rect.y) + float(rect.height) <= drawn.height + 0.01 for rect in rects)
    assert all(float(rect.height) >= 1 for rect in rects if rect.kind == "failure")
    assert drawn.values == ["10,000", "5,000", "0"]
    assert len(drawn.times) == 6


def test_a_chart_of_nothing_is_drawn():
    assert chart([], timedelta(hours=1)).bars == []


def test_every_page_is_registered_with_the_default_site():
    assert {model._meta.model_name for model in admin.site._registry if model._meta.app_label == "machinery"} == {
        "cancellation", "deadletter", "groupmeta", "queuecontrol", "schedule", "taskstate", "workerprocess",
    }  # fmt: skip


def _named(name: str, value: str) -> Any:
    return Arg.of(value, name=name)


def test_numbers_have_their_thousands_apart_and_what_names_something_has_not(operator: Client):
    worker = make_rows()["workerprocess"]
    worker.pid, worker.done, worker.failed = 123_456, 7_654_321, 4_321
    worker.save()
    GroupMeta.objects.update(total=65_432, remaining=10_000, failed=9_876)
    with override_settings(USE_THOUSAND_SEPARATOR=True):
        pages = {
            path: operator.get(f"/admin/machinery/{path}").content.decode().replace("<wbr>", "")
            for path in ("", "workerprocess/", f"workerprocess/{worker.pk}/change/", "groupmeta/")
        }
    for path in ("", "workerprocess/", f"workerprocess/{worker.pk}/change/"):
        assert "123456" in pages[path], path
        assert "123,456" not in pages[path], path
    for path in ("workerprocess/", f"workerprocess/{worker.pk}/change/"):
        assert "7,654,321" in pages[path], path
        assert "4,321" in pages[path], path
    assert "55,432 / 65,432" in pages["groupmeta/"]
    assert "9,876" in pages["groupmeta/"]


def test_without_that_setting_large_numbers_can_be_read_too(operator: Client):
    worker = make_rows()["workerprocess"]
    WorkerProcess.objects.filter(pk=worker.pk).update(done=7_654_321)
    assert "7,654,321" in operator.get("/admin/machinery/workerprocess/").content.decode()


def test_what_is_estimated_is_told_to_be_about(operator: Client, monkeypatch: pytest.MonkeyPatch):
    for name, most in (("EXACT", 20), ("BOUND", 20)):
        monkeypatch.setattr(f"django_machinery.drivers.orm.counting.{name}", most)
    TaskState.objects.bulk_create(
        TaskState(uuid=f"task_{number}", server="default", name="add", queue="math", state=SUCCESS, created_at=WHEN)
        for number in range(1234)
    )
    make_rows()
    page = operator.get(DASHBOARD).content.decode()
    card = page[page.index("mq-card mq-success") :]
    assert "≈ 1,230" in card[: card.index("</a>")]
    card = page[page.index("mq-card mq-failure") :]
    assert "≈" not in card[: card.index("</a>")]
