"""Every address and every action, for everybody who should and should not."""

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from django_machinery import servers
from django_machinery.admin import actions, queues
from django_machinery.models import DeadLetter, QueueControl, TaskState
from tests.admin.conftest import MakeUser
from tests.admin.rows import make_rows

pytestmark = pytest.mark.django_db

MODELS = ("cancellation", "deadletter", "groupmeta", "queuecontrol", "taskstate", "workerprocess")
NOBODY: frozenset[str] = frozenset({"nobody"})


def needs(model: str, *more: str) -> frozenset[str]:
    return frozenset({f"view_{model}", *(f"{action}_{model}" for action in more)})


# What it takes to see each page. Django's own pages for adding and deleting are closed to everybody.
PAGES = {
    **{f"machinery_{model}_changelist": needs(model) for model in MODELS},
    **{f"machinery_{model}_change": needs(model) for model in MODELS},
    **{f"machinery_{model}_history": needs(model) for model in MODELS},
    **{f"machinery_{model}_add": NOBODY for model in MODELS},
    **{f"machinery_{model}_delete": NOBODY for model in MODELS},
    "machinery_taskstate_find": needs("taskstate"),
    "machinery_taskstate_live": needs("taskstate"),
    "machinery_taskstate_raw": needs("taskstate", "view_raw"),
    "machinery_taskstate_dashboard": needs("taskstate"),
    "machinery_deadletter_raw": needs("deadletter", "view_raw"),
}
# What it takes to act: (model, action) -> permissions.
ACTIONS = {
    ("taskstate", "retry"): needs("taskstate", "retry"),
    ("taskstate", "run_now"): needs("taskstate", "run_now"),
    ("taskstate", "cancel"): needs("taskstate", "cancel"),
    ("taskstate", "cancel_hard"): needs("taskstate", "cancel"),
    ("taskstate", "remove"): needs("taskstate", "delete"),
    ("deadletter", "requeue"): needs("deadletter", "requeue"),
    ("deadletter", "remove"): needs("deadletter", "delete"),
}
DEEDS = {"pause": "pause", "resume": "pause", "purge": "purge"}
VIEW_ALL = frozenset(f"view_{model}" for model in MODELS)
PANELS = VIEW_ALL - {"view_cancellation", "view_groupmeta"}
OWN = frozenset(
    {f"{action}_taskstate" for action in ("retry", "run_now", "cancel", "delete", "view_raw")}
    | {f"{action}_deadletter" for action in ("requeue", "delete", "view_raw")}
    | {"pause_queuecontrol", "purge_queuecontrol"}
)
STAFF: list[Any] = [
    pytest.param(frozenset(), id="no permission"),
    pytest.param(VIEW_ALL, id="all views"),
    *(pytest.param(frozenset({one}), id=one) for one in sorted(VIEW_ALL | OWN)),
    *(pytest.param(VIEW_ALL | {one}, id=f"all views and {one}") for one in sorted(OWN)),
]
"""Everybody who is on the staff, by what they may do."""


class Call(NamedTuple):
    action: str
    keys: list[Any]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """The actions that were run; none is really run."""
    made: list[Call] = []

    def apply(self: actions.OperatorAction, queryset: Any, by: str) -> actions.Applied:
        rows = list(queryset)
        made.append(Call(self.name, [row.pk for row in rows]))
        return actions.Applied(len(rows), rows)

    def do(deed: str, alias: str, queue: str, by: str) -> str:
        made.append(Call(deed, [queue]))
        return deed

    monkeypatch.setattr(actions.OperatorAction, "apply", apply)
    monkeypatch.setattr(queues, "_do", do)
    return made


def our_url_names() -> Iterator[str]:
    for model, page in admin.site._registry.items():
        if model._meta.app_label == "machinery" and model._meta.model_name != "schedule":
            yield from (pattern.name for pattern in page.get_urls() if pattern.name)


def address(name: str, rows: dict[str, Any]) -> str:
    model = name.split("_")[1]
    with_key = name.endswith(("_change", "_history", "_delete", "_live", "_raw"))
    return reverse(f"admin:{name}", args=[rows[model].pk] if with_key else [])


def test_no_address_is_missing_here():
    assert set(our_url_names()) == {*PAGES, "machinery_queuecontrol_act", "machinery_taskstate_act"}


def test_no_action_is_missing_here():
    found = {
        (model._meta.model_name, action.name)
        for model, page in admin.site._registry.items()
        if model._meta.app_label == "machinery" and model._meta.model_name != "schedule"
        for action in cast(Any, page.actions) or ()
    }
    assert found == set(ACTIONS)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_who_is_not_logged_in_is_sent_to_the_login(name: str):
    answer = Client().get(address(name, make_rows()))
    assert answer.status_code == 302
    assert "/login/" in answer["Location"]


@pytest.mark.parametrize("held", STAFF)
def test_a_page_takes_its_permissions(held: frozenset[str], staff: MakeUser):
    rows, client = make_rows(), staff(*held)
    seen = {name: client.get(address(name, rows)).status_code for name in PAGES}
    for name, needed in PAGES.items():
        allowed = bool(held & PANELS) if name.endswith("_dashboard") else needed <= held
        assert seen[name] == (200 if allowed else 403), name


@pytest.mark.parametrize("held", STAFF)
def test_an_action_takes_its_permissions(held: frozenset[str], staff: MakeUser, calls: list[Call]):
    rows, client = make_rows(), staff(*held)
    for (model, action), needed in ACTIONS.items():
        calls.clear()
        client.post(*selected(model, action, rows))
        assert bool(calls) == (needed <= held), (model, action)
    for deed, permission in DEEDS.items():
        calls.clear()
        client.post(reverse("admin:machinery_queuecontrol_act"), queue_form(deed))
        assert bool(calls) == (needs("queuecontrol", permission) <= held), deed


def test_nothing_is_done_by_get(operator: Client, calls: list[Call]):
    rows = make_rows()
    for model, action in ACTIONS:
        assert operator.get(*selected(model, action, rows), follow=True).status_code == 200
    for deed in DEEDS:
        assert operator.get(reverse("admin:machinery_queuecontrol_act"), queue_form(deed)).status_code == 405
    assert not calls


def test_nothing_is_done_without_the_token_against_forgery(staff: MakeUser, calls: list[Call]):
    rows, client = make_rows(), staff(*VIEW_ALL, *OWN, enforce_csrf_checks=True)
    for model, action in ACTIONS:
        assert client.post(*selected(model, action, rows)).status_code == 403
    for deed in DEEDS:
        assert client.post(reverse("admin:machinery_queuecontrol_act"), queue_form(deed)).status_code == 403
    assert not calls


def test_who_is_not_logged_in_does_nothing(calls: list[Call]):
    rows = make_rows()
    for model, action in ACTIONS:
        assert Client().post(*selected(model, action, rows)).status_code == 302
    for deed in DEEDS:
        assert Client().post(reverse("admin:machinery_queuecontrol_act"), queue_form(deed)).status_code == 302
    assert not calls


@pytest.mark.parametrize(("model", "action"), [pair for pair in ACTIONS if pair[1].startswith(("cancel", "remove"))])
def test_what_destroys_asks_first(model: str, action: str, operator: Client, calls: list[Call]):
    rows = make_rows()
    url, form = selected(model, action, rows)
    answer = operator.post(url, {key: value for key, value in form.items() if key != "confirmed"})
    assert answer.status_code == 200
    assert not calls
    assert 'name="confirmed"' in answer.content.decode()


def test_purging_asks_first(operator: Client, calls: list[Call]):
    form = queue_form("purge")
    del form["confirmed"]
    answer = operator.post(reverse("admin:machinery_queuecontrol_act"), form)
    assert answer.status_code == 200
    assert not calls


def test_the_app_has_an_index_for_those_who_may_see_something_of_it(staff: MakeUser):
    url = reverse("admin:app_list", args=["machinery"])
    assert staff().get(url).status_code == 404
    for view in VIEW_ALL:
        assert staff(view).get(url).status_code == 200


def test_panels_are_for_those_who_may_see_their_rows(staff: MakeUser):
    make_rows("remarkable")
    url = reverse("admin:app_list", args=["machinery"])
    assert "remarkable" not in staff("view_cancellation").get(url).content.decode()
    assert "remarkable" in staff("view_taskstate").get(url).content.decode()


def test_raw_data_is_offered_to_those_who_may_see_it(staff: MakeUser):
    rows = make_rows()
    for model in ("taskstate", "deadletter"):
        page, raw = (address(f"machinery_{model}_{kind}", rows) for kind in ("change", "raw"))
        assert raw not in staff(f"view_{model}").get(page).content.decode()
        assert raw in staff(f"view_{model}", f"view_raw_{model}").get(page).content.decode()


def selected(model: str, action: str, rows: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    form = {"action": action, "_selected_action": rows[model].pk, "confirmed": "yes"}
    return reverse(f"admin:machinery_{model}_changelist"), form


def queue_form(deed: str) -> dict[str, str]:
    queue = servers["default"].config.default_queue
    return {"deed": deed, "server": "default", "queue": queue, "confirmed": "yes"}


def test_the_permissions_exist_in_the_database():
    from django.contrib.auth.models import Permission

    known = set(Permission.objects.filter(content_type__app_label="machinery").values_list("codename", flat=True))
    assert known >= VIEW_ALL | OWN


def test_own_permissions_are_those_of_the_models():
    declared = {code for model in (TaskState, DeadLetter, QueueControl) for code, _ in model._meta.permissions}
    assert declared == {code for code in OWN if not code.startswith("delete_")}
