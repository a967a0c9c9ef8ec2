"""Who may see, change and run schedules."""

import pytest
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


def test_nothing_is_done_by_get_without_the_token_or_a_login(schedule: Schedule, ran: list[str], staff: MakeUser):
    form = {"action": "run_now", "_selected_action": str(schedule.pk)}
    everything = permissions(("view", "add", "change", "delete", *ACTIONS))
    assert staff(*everything).get(reverse(LIST), form, follow=True).status_code == 200
    assert staff(*everything, enforce_csrf_checks=True).post(reverse(LIST), form).status_code == 403
    assert Client().post(reverse(LIST), form).status_code == 302
    assert not ran
