"""The pages of schedules: made, edited and checked by hand; shown where the code declares them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from django_machinery import Signature, servers
from django_machinery.models import Message, Schedule
from django_machinery.protocol.signature import Arg
from django_machinery.scheduler import run_now

if not apps.is_installed("django.contrib.admin"):
    pytest.skip("without the admin: pytest --ds tests.settings_admin tests/admin", allow_module_level=True)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _tasks():
    def greet(name: str, times: int = 1) -> str:
        return name * times

    def total(*numbers: int) -> int:
        return sum(numbers)

    servers["default"].register_tasks({"greet": greet, "total": total})
    yield
    servers.close_all()


@pytest.fixture
def client(admin_user) -> Client:
    client = Client()
    client.force_login(admin_user)
    return client


def make(name: str = "nightly", **columns: Any) -> Schedule:
    row = Schedule(**{"name": name, "spec": "0 6 * * ?", "timezone": "UTC", **columns})
    row.invocations = (Signature.of("greet", "x"),)
    row.save()
    return row


def form(**changes: Any) -> dict[str, Any]:
    filled = {
        **{"name": "nightly", "enabled": "on", "server": "default", "spec": "0 6 * * ?", "timezone": "Europe/Berlin"},
        **{"kind": "task", "missed": "one", "run_overlap": "allow", "dst_gap": "next", "dst_overlap": "first"},
        **{"tasks_0": "greet", "tasks_1": '["world"]'},
    }
    return {**filled, **changes}


def add(client: Client, **changes: Any) -> Any:
    return client.post(reverse("admin:machinery_schedule_add"), form(**changes))


def errors_of(answer: Any) -> dict[str, list[str]]:
    return dict(answer.context["adminform"].form.errors)


def test_a_schedule_is_made_with_a_registered_task_and_its_arguments(client: Client):
    assert add(client).status_code == 302
    row = Schedule.objects.get()
    (signature,) = row.invocations
    assert (row.spec, row.timezone, row.origin, signature.name) == ("0 6 * * ?", "Europe/Berlin", "model", "greet")
    assert [(arg.type, bytes(arg.value)) for arg in signature.args or ()] == [("string", b'"world"')]


def test_the_form_offers_the_registered_tasks_alone(client: Client):
    page = client.get(reverse("admin:machinery_schedule_add")).content.decode()
    offered = set(re.findall(r'<option value="([^"]+)"', page.split('id="id_tasks_0"')[1].split("</select>")[0]))
    assert {"greet", "total"} <= offered
    assert offered <= set(servers["default"].get_registered_task_names())
    assert "tasks" in errors_of(add(client, tasks_0="rm"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "missing a required argument"),
        ("[1]", "greet: argument"),
        ('["x", 1, 2]', "too many positional arguments"),
        ('{"nam": "x"}', "unexpected keyword argument 'nam'"),
        ("[", "not JSON"),
        ('"x"', "a JSON array, or an object"),
    ],
)
def test_arguments_are_checked_against_the_parameters(client: Client, arguments: str, said: str):
    (error,) = errors_of(add(client, tasks_1=arguments))["tasks"]
    assert said in error


def test_arguments_may_be_given_by_name(client: Client):
    assert add(client, tasks_1='{"name": "x", "times": 3}').status_code == 302
    page = client.get(reverse("admin:machinery_schedule_change", args=[Schedule.objects.get().pk])).content.decode()
    assert "{&quot;name&quot;: &quot;x&quot;, &quot;times&quot;: 3}" in page


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("spec", "61 * * * *", "minute"),
        ("spec", "every day", "five fields"),
        ("timezone", "Mars/Olympus", "not in the tz database"),
        ("name", "", "required"),
        ("catch_up", "-1", "greater than or equal to 0"),
    ],
)
def test_a_fault_is_told_at_its_field(client: Client, field: str, value: str, said: str):
    (error,) = errors_of(add(client, **{field: value}))[field]
    assert said in error


def test_a_workflow_has_several_tasks_and_its_last_one_gets_results(client: Client):
    tasks = {
        "tasks_0": "total",
        "tasks_1": "[1]",
        "tasks_2": "total",
        "tasks_3": "[2]",
        "tasks_4": "greet",
        "tasks_5": "",
    }
    assert add(client, kind="chord", **tasks).status_code == 302
    assert [signature.name for signature in Schedule.objects.get().invocations] == ["total", "total", "greet"]
    assert "at least one task" in errors_of(add(client, name="b", kind="chord"))["tasks"][0]


@pytest.mark.parametrize(
    ("kind", "second", "said"),
    [
        ("chain", ("greet", "[5]"), "greet: argument 'name'"),
        ("chain", ("greet", '["a", "b"]'), "greet: argument 'times'"),
        ("chord", ("total", '["nope"]'), "total: argument 'numbers'"),
        ("chord", ("greet", '["a", 1, 2]'), "greet: too many positional arguments"),
        ("group", ("greet", ""), "greet: missing"),
    ],
)
def test_arguments_of_later_tasks_are_checked_as_far_as_they_are_known(
    client: Client, kind: str, second: tuple[str, str], said: str
):
    (error,) = errors_of(add(client, kind=kind, tasks_2=second[0], tasks_3=second[1]))["tasks"]
    assert said in error


def test_a_task_that_got_results_needs_its_arguments_once_the_kind_is_another(client: Client):
    row = make(kind="chain")
    row.invocations = (Signature.of("greet", "x"), Signature(name="greet"))
    row.save()
    changed = form(kind="group", tasks_1='["x"]', tasks_2="greet", tasks_3="")
    url = reverse("admin:machinery_schedule_change", args=[row.pk])
    assert "missing argument 'name'" in errors_of(client.post(url, changed))["tasks"][0]
    assert client.post(url, {**changed, "kind": "chain"}).status_code == 302


def test_a_task_of_a_go_program_stays_in_a_schedule_that_has_it(client: Client):
    row = make()
    row.invocations = (Signature.of("in_go", 1),)
    row.save()
    url = reverse("admin:machinery_schedule_change", args=[row.pk])
    assert client.post(url, form(tasks_0="in_go", tasks_1="[1]", spec="@hourly")).status_code == 302
    assert "tasks" in errors_of(client.post(url, form(tasks_0="in_go", tasks_1="[2]")))


def test_a_server_that_the_settings_do_not_have_any_more_is_shown_and_told(client: Client):
    row = make(server="gone")
    url = reverse("admin:machinery_schedule_change", args=[row.pk])
    assert '<option value="gone" selected>' in client.get(url).content.decode()
    assert "gone" in errors_of(client.post(url, form(server="gone")))["server"][0]
    assert Schedule.objects.get().server == "gone"
    assert client.post(url, form()).status_code == 302
    assert Schedule.objects.get().server == "default"


@pytest.mark.parametrize("zones", [True, False])
def test_start_and_end_are_kept_and_shown_with_and_without_time_zones(client: Client, settings: Settings, zones: bool):
    settings.USE_TZ, settings.TIME_ZONE = zones, "America/New_York"
    times = {"starts_at_0": "2030-07-01", "starts_at_1": "08:00:00", "ends_at_0": "2030-12-01", "ends_at_1": "08:00:00"}
    assert add(client, **times, timezone="UTC").status_code == 302
    row = Schedule.objects.get()
    assert (row.starts_at, row.ends_at) == (
        datetime(2030, 7, 1, 12, tzinfo=UTC),
        datetime(2030, 12, 1, 13, tzinfo=UTC),
    )
    url = reverse("admin:machinery_schedule_change", args=[row.pk])
    page = client.get(url).content.decode()
    assert 'value="2030-07-01"' in page
    assert page.count('value="08:00:00"') == 2
    assert "2 Jul 2030 06:00:00 UTC" in page
    assert client.post(url, form(**times, timezone="UTC")).status_code == 302
    assert Schedule.objects.get().starts_at == row.starts_at
    assert client.get(reverse("admin:machinery_schedule_changelist")).status_code == 200


def test_what_the_form_does_not_show_of_a_signature_stays(client: Client):
    row = make()
    row.invocations = (Signature.of("greet", "x", priority=7, on_error=[Signature(name="total")]),)
    row.save()
    answer = client.post(
        reverse("admin:machinery_schedule_change", args=[row.pk]), form(tasks_1='["x"]', spec="0 7 * * ?")
    )
    assert answer.status_code == 302
    row.refresh_from_db()
    assert row.spec == "0 7 * * ?"
    assert row.invocations[0].priority == 7
    assert row.invocations[0].error_callbacks[0].name == "total"


def test_the_page_says_the_spec_in_words_and_the_next_five_runs(client: Client):
    page = client.get(reverse("admin:machinery_schedule_change", args=[make().pk])).content.decode()
    assert "06:00" in page
    assert page.count("06:00:00 UTC") == 5


def test_a_spec_is_explained_while_it_is_typed(client: Client):
    url = reverse("admin:machinery_schedule_preview")
    good = client.get(url, {"spec": "@every 90m", "timezone": "UTC"}).json()
    assert good["words"]
    assert len(good["runs"]) == 5
    bad = client.get(url, {"spec": "61 * * * *"}).json()
    assert bad["runs"] == []
    assert "61" in bad["words"]
    assert Client().get(url).status_code == 302


def test_the_runs_that_are_told_while_it_is_typed_keep_within_start_and_end(client: Client):
    url = reverse("admin:machinery_schedule_preview")
    times = {"starts_at_0": "2030-01-01", "starts_at_1": "12:00", "ends_at_0": "2030-01-03", "ends_at_1": "12:00"}
    runs = client.get(url, {"spec": "0 6 * * ?", "timezone": "UTC", **times}).json()["runs"]
    assert runs == ["Wed, 2 Jan 2030 06:00:00 UTC", "Thu, 3 Jan 2030 06:00:00 UTC"]
    unfinished = {"spec": "0 6 * * ?", "starts_at_0": "2030-", "starts_at_1": "12:00"}
    assert len(client.get(url, unfinished).json()["runs"]) == 5


def test_pages_have_nothing_inline(client: Client):
    for url in (
        reverse("admin:machinery_schedule_add"),
        reverse("admin:machinery_schedule_change", args=[make().pk]),
        reverse("admin:machinery_schedule_changelist"),
    ):
        page = client.get(url).content.decode()
        assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", page)
        assert not re.search(r"\son\w+=|\sstyle=", page)


def act(client: Client, action: str, *rows: Schedule) -> list[str]:
    data = {"action": action, "_selected_action": [row.pk for row in rows]}
    answer = client.post(reverse("admin:machinery_schedule_changelist"), data)
    return [str(message) for message in get_messages(answer.wsgi_request)]


def test_schedules_are_disabled_and_enabled(client: Client):
    row = make()
    act(client, "disable", row)
    assert not Schedule.objects.get().enabled
    act(client, "enable", row)
    assert Schedule.objects.get().enabled


def test_a_schedule_of_the_code_is_shown_and_not_changed(client: Client):
    row = make(origin="code")
    url = reverse("admin:machinery_schedule_change", args=[row.pk])
    page = client.get(url).content.decode()
    assert "greet" in page
    assert 'name="spec"' not in page
    assert client.post(url, form(spec="@hourly")).status_code == 403
    assert "declared in code" in act(client, "disable", row)[1]
    assert client.post(reverse("admin:machinery_schedule_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    row.refresh_from_db()
    assert (row.enabled, row.spec) == (True, "0 6 * * ?")


def test_a_schedule_is_run_now_and_its_last_run_is_shown(client: Client):
    row = make(enabled=False)
    assert act(client, "run_now", row) == ["1 schedule was run."]
    row.refresh_from_db()
    assert Message.objects.get().uuid == row.last_uuid
    assert row.last_at is not None
    assert "PENDING" in client.get(reverse("admin:machinery_schedule_changelist")).content.decode()


def test_a_last_run_that_another_store_knows_is_linked_to_where_all_stores_are_asked(client: Client):
    row = make(last_at=Schedule.objects.now(), last_uuid="task_elsewhere")
    find = reverse("admin:machinery_taskstate_find") + "?uuid=task_elsewhere"
    for url in (
        reverse("admin:machinery_schedule_changelist"),
        reverse("admin:machinery_schedule_change", args=[row.pk]),
    ):
        assert f'href="{find}"' in client.get(url).content.decode()


def test_what_cannot_be_run_is_told(client: Client):
    row = make()
    Schedule.objects.update(signatures="{")
    (said,) = act(client, "run_now", row)
    assert said.startswith("nightly: not a JSON array")


def test_run_now_returns_the_uuids_of_all_tasks():
    row = make(kind="group")
    row.invocations = [Signature.of("greet", "x")] * 3
    row.save()
    assert len(set(run_now(row))) == 3
    assert row.last_uuid.startswith("group_")
    assert Message.objects.count() == 3


def test_the_next_schedules_come_in_order():
    now = Schedule.objects.now()
    rows = [make(str(hours), next_at=now + timedelta(hours=hours)) for hours in (3, 1, 2)]
    make("off", enabled=False, next_at=now)
    assert list(Schedule.objects.upcoming(2)) == [rows[1], rows[2]]


def test_whoever_may_only_view_is_offered_no_action(client: Client, django_user_model):
    from django.contrib.auth.models import Permission

    user = django_user_model.objects.create_user("viewer", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_schedule"))
    client.force_login(user)
    row = make()
    assert client.get(reverse("admin:machinery_schedule_change", args=[row.pk])).status_code == 200
    act(client, "run_now", row)
    assert Message.objects.count() == 0


def with_secret(**columns: Any) -> Schedule:
    """A schedule whose task takes a password, and something that it declares as sensitive."""

    def login(user: str, password: str, pin: str) -> None: ...

    servers["default"].register_task("login", login, sensitive=("pin",))
    row = make(**columns)
    row.invocations = (Signature.of("login", "ada", "hunter2", "42"),)
    row.save()
    return row


@pytest.mark.parametrize("origin", ["code", "model"])
def test_a_page_that_only_shows_hides_what_is_sensitive(origin: str, staff: Any):
    row = with_secret(origin=origin)
    page = staff("view_schedule").get(reverse("admin:machinery_schedule_change", args=[row.pk])).content.decode()
    assert "login [&quot;ada&quot;, ***, ***]" in page


def test_an_argument_by_name_is_hidden_too(staff: Any):
    row = make()
    row.invocations = (Signature(name="unknown", args=(Arg.of("hunter2", name="password"),)),)
    row.save()
    page = staff("view_schedule").get(reverse("admin:machinery_schedule_change", args=[row.pk])).content.decode()
    assert "unknown {&quot;password&quot;: ***}" in page
    assert "hunter2" not in page


def test_who_may_not_see_raw_data_edits_around_what_is_hidden(staff: Any):
    row = with_secret()
    client, url = staff("view_schedule", "change_schedule"), reverse("admin:machinery_schedule_change", args=[row.pk])
    page = client.get(url).content.decode()
    assert "hunter2" not in page
    assert "[&quot;ada&quot;, ***, ***]" in page
    untouched = form(spec="@hourly", tasks_0="login", tasks_1='["ada", ***, ***]')
    assert client.post(url, untouched).status_code == 302
    row.refresh_from_db()
    assert row.spec == "@hourly"
    assert [bytes(arg.value) for arg in row.invocations[0].args or ()] == [b'"ada"', b'"hunter2"', b'"42"']
    touched = errors_of(client.post(url, {**untouched, "tasks_1": '["bob", "***", "***"]'}))
    assert touched["tasks"] == ["login: write anew what is hidden."]
    assert client.post(url, {**untouched, "tasks_1": '["bob", "swordfish", "7"]'}).status_code == 302
    row.refresh_from_db()
    assert bytes((row.invocations[0].args or ())[1].value) == b'"swordfish"'


def test_rows_that_look_alike_keep_what_each_hides(staff: Any):
    row = with_secret(kind="group")
    row.invocations = [Signature.of("login", "ada", password, "42") for password in ("first", "second")]
    row.save()
    client, url = staff("view_schedule", "change_schedule"), reverse("admin:machinery_schedule_change", args=[row.pk])
    one, other = ({f"tasks_{2 * n}": "login", f"tasks_{2 * n + 1}": '["ada", ***, ***]'} for n in (0, 1))
    assert client.post(url, {**form(kind="group"), **one, **other}).status_code == 302
    row.refresh_from_db()
    hidden = [bytes((signature.args or ())[1].value) for signature in row.invocations]
    assert hidden == [b'"first"', b'"second"']


def test_who_may_see_raw_data_edits_it(staff: Any):
    row = with_secret()
    client = staff("view_schedule", "change_schedule", "view_raw_taskstate")
    page = client.get(reverse("admin:machinery_schedule_change", args=[row.pk])).content.decode()
    assert "[&quot;ada&quot;, &quot;hunter2&quot;, &quot;42&quot;]" in page
