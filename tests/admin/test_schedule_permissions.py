"""Who may see, change and run schedules."""

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from django_machinery.admin import schedules
from django_machinery.models import Schedule
from tests.admin.conftest import MakeUser

pytestmark = pytest.mark.django_db

ACTIONS = ("run_now", "switch")
HELD = [
    (),
    ("run_now",),
    ("switch",),
    ("view",),
    *(("view", one) for one in ("add", "change", "delete", "run_now", "switch")),
]
LIST = "admin:machinery_schedule_changelist"


@pytest.fixture
def schedule() -> Schedule:
    signature = '{"UUID":"","Name":"tests.app.tasks.add","RoutingKey":"","Args":[]}'
    return Schedule.objects.create(
        server="default", name="nightly", kind="task", spec="0 6 * * *", signatures=f"[{signature}]", origin="model"
    )


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The schedules that were run; none is really run."""
    names: list[str] = []

    def run_now(schedule: Schedule) -> list[str]:
        names.append(schedule.name)
        return []

    monkeypatch.setattr(schedules, "run_now", run_now)
    return names


def permissions(held: tuple[str, ...]) -> list[str]:
    return [f"{action}_schedule" for action in held]


@pytest.mark.parametrize("held", HELD, ids=lambda held: "+".join(held) or "nothing")
def test_a_page_takes_its_permission(held: tuple[str, ...], schedule: Schedule, staff: MakeUser):
    client = staff(*permissions(held))
    needed = {
        "changelist": "view",
        "preview": "view",
        "add": "add",
        "change": "view",
        "history": "view",
        "delete": "delete",
    }
    for page, permission in needed.items():
        keys = [schedule.pk] if page in ("change", "history", "delete") else []
        answer = client.get(reverse(f"admin:machinery_schedule_{page}", args=keys), {"spec": "@daily"})
        assert answer.status_code == (200 if permission in held else 403), page


@pytest.mark.parametrize("held", HELD, ids=lambda held: "+".join(held) or "nothing")
def test_an_action_takes_its_permission(held: tuple[str, ...], schedule: Schedule, ran: list[str], staff: MakeUser):
    client = staff(*permissions(held))
    for action in ("run_now", "disable"):
        client.post(reverse(LIST), {"action": action, "_selected_action": schedule.pk})
    schedule.refresh_from_db()
    assert bool(ran) == ({"view", "run_now"} <= set(held))
    assert schedule.enabled == (not {"view", "switch"} <= set(held))


FORM = {
    **{"name": "changed", "enabled": "on", "server": "default", "spec": "@daily", "timezone": "UTC", "kind": "task"},
    **{"missed": "one", "run_overlap": "allow", "dst_gap": "next", "dst_overlap": "first"},
    **{"tasks_0": "tests.app.tasks.add", "tasks_1": "[1, 2]"},
}


def changes(schedule: Schedule) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Whatever changes schedules by POST: the permission for it, the address and the form."""
    yield "add", reverse("admin:machinery_schedule_add"), {**FORM, "name": "added"}
    yield "change", reverse("admin:machinery_schedule_change", args=[schedule.pk]), FORM
    selected = {"action": "delete_selected", "_selected_action": str(schedule.pk), "post": "yes"}
    yield "delete", reverse(LIST), selected
    yield "delete", reverse("admin:machinery_schedule_delete", args=[schedule.pk]), {"post": "yes"}


def names() -> set[str]:
    return set(Schedule.objects.values_list("name", flat=True))


DONE = {"add": {"nightly", "added"}, "change": {"changed"}, "delete": set()}
"""The schedules that there are afterwards."""


@pytest.mark.parametrize("held", HELD, ids=lambda held: "+".join(held) or "nothing")
@pytest.mark.parametrize("way", range(4))
def test_a_change_takes_its_permission(way: int, held: tuple[str, ...], schedule: Schedule, staff: MakeUser):
    permission, url, form = list(changes(schedule))[way]
    staff(*permissions(held)).post(url, form)
    assert names() == (DONE[permission] if {"view", permission} <= set(held) else {"nightly"})


@pytest.mark.parametrize("way", range(4))
def test_nothing_is_changed_without_the_token_or_a_login(way: int, schedule: Schedule, staff: MakeUser):
    permission, url, form = list(changes(schedule))[way]
    client = staff(*permissions(("view", permission)), enforce_csrf_checks=True)
    assert client.post(url, form).status_code == 403
    answer = Client().post(url, form)
    assert "/login/" in answer["Location"]
    assert names() == {"nightly"}
    token = client.get(reverse(LIST)).cookies["csrftoken"].value
    client.post(url, {**form, "csrfmiddlewaretoken": token})
    assert names() == DONE[permission], "with the token the same is done"


@pytest.mark.parametrize("page", ["changelist", "add", "change", "history", "delete", "preview"])
def test_who_is_not_logged_in_is_sent_to_the_login(page: str, schedule: Schedule):
    keys = [schedule.pk] if page in ("change", "history", "delete") else []
    answer = Client().get(reverse(f"admin:machinery_schedule_{page}", args=keys), {"spec": "@daily"})
    assert "/login/" in answer["Location"]


def test_no_address_of_schedules_is_missing_here():
    page = admin.site._registry[Schedule]
    known = {f"machinery_schedule_{name}" for name in ("changelist", "add", "change", "history", "delete", "preview")}
    assert {pattern.name for pattern in page.get_urls() if pattern.name} == known


def test_what_the_code_declares_is_deleted_by_nobody(schedule: Schedule, operator: Client):
    Schedule.objects.update(origin="code")
    for permission, url, form in changes(schedule):
        if permission == "delete":
            operator.post(url, form)
    assert names() == {"nightly"}


def test_nothing_is_done_by_get_without_the_token_or_a_login(schedule: Schedule, ran: list[str], staff: MakeUser):
    form = {"action": "run_now", "_selected_action": str(schedule.pk)}
    everything = permissions(("view", "add", "change", "delete", *ACTIONS))
    assert staff(*everything).get(reverse(LIST), form, follow=True).status_code == 200
    assert staff(*everything, enforce_csrf_checks=True).post(reverse(LIST), form).status_code == 403
    assert Client().post(reverse(LIST), form).status_code == 302
    assert not ran
