"""What the search box and the filters of the task states find."""

import html
import re
import shlex
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_machinery import Signature
from django_machinery.admin import search
from django_machinery.models import Attempt, TaskState
from django_machinery.protocol.codec import encode_signature
from django_machinery.protocol.signature import Arg
from tests.admin.rows import make_rows

pytestmark = pytest.mark.django_db

URL = "admin:machinery_taskstate_changelist"
UUID = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"


def make_task(uuid: str, *values: object, name: str = "tests.app.tasks.greet", **columns: object) -> TaskState:
    signature = encode_signature(Signature.of(name, *values, uuid=uuid)).decode()
    fields = {"state": "SUCCESS", "queue": "mail", "created_at": timezone.now(), **columns}
    return TaskState.objects.create(uuid=uuid, server="default", name=name, signature=signature, **fields)


def found(client: Client, **asked: str) -> set[str]:
    """The UUIDs of the tasks on the page."""
    answer = client.get(reverse(URL), asked)
    assert answer.status_code == 200
    return {task.uuid for task in answer.context["cl"].result_list}


def test_a_uuid_finds_its_task_with_or_without_the_prefix(operator: Client):
    make_task(f"task_{UUID}", "Ada")
    make_task("task_other", "Bob")
    for text in (UUID, f"task_{UUID}", f"uuid:task_{UUID}", f"  {UUID} "):
        assert found(operator, q=text) == {f"task_{UUID}"}, text


def test_the_uuid_of_a_group_finds_its_members(operator: Client):
    make_task("a", "Ada", group_uuid=f"group_{UUID}", group_index=0)
    make_task("b", "Bob")
    assert found(operator, q=f"group_{UUID}") == {"a"}


def test_words_are_looked_for_in_arguments_and_errors(operator: Client):
    make_task("a", "Ada Lovelace")
    make_task("b", "Bob", state="FAILURE", error="ValueError: no Lovelace here")
    make_task("c", "Carl")
    assert found(operator, q="Lovelace") == {"a", "b"}
    assert found(operator, q='"Ada Lovelace"') == {"a"}
    assert found(operator, q="error:Lovelace") == {"b"}
    assert found(operator, q="args:Lovelace") == {"a"}
    assert found(operator, q="Lovelace ValueError") == {"b"}


def test_only_arguments_are_arguments(operator: Client):
    make_task("task_33", "Ada", queue="3", group_uuid="3", priority=3)
    make_task("b", 31, 2, name="tests.app.tasks.add")
    assert found(operator, q="args:3") == {"b"}
    assert found(operator, q="31") == {"b"}
    assert found(operator, q="Value") == set()
    assert found(operator, q="args.x:Name") == set()


@pytest.mark.parametrize(
    "text",
    ["a<b", "<", "a&b", "->", "back\\slash", 'say "hi"', "O'Brien", "日本", "Zoë", "tab\tthere", "x:y", "\u2028", "%_"],
)
def test_any_text_is_found_in_arguments(text: str, operator: Client):
    make_task("a", f"1 {text} 2", name="tests.app.tasks.echo")
    make_task("b", {"deep": [{"key": text}]}, name="tests.app.tasks.echo")
    make_task("c", "something else", name="tests.app.tasks.echo")
    quoted = shlex.quote(text)
    assert found(operator, q=f"args:{quoted}") == {"a", "b"}
    assert found(operator, q=f"args.value:{quoted}") == {"a", "b"}
    assert found(operator, q=f"args.value.deep:{quoted}") == {"b"}
    assert found(operator, q=quoted) == {"a", "b"}


def test_what_is_hidden_is_not_found_in_arguments(operator: Client):
    signature = Signature(name="login", uuid="a", args=(Arg.of("hunter2", name="password"),))
    task = make_task("a", "Ada")
    TaskState.objects.filter(pk=task.pk).update(signature=encode_signature(signature).decode())
    for text in ("hunter2", "args:hunter2", "args.password:hunter2"):
        assert found(operator, q=text) == set(), text


def test_an_argument_is_found_by_the_name_of_its_parameter(operator: Client):
    make_task("a", 17, 28, name="tests.app.tasks.add")
    make_task("b", 28, 17, name="tests.app.tasks.add")
    assert found(operator, q="args.x:17") == {"a"}
    assert found(operator, q="args.y:17") == {"b"}
    assert found(operator, q="args.x:17 args.y:28") == {"a"}
    assert found(operator, q="args.absent:17") == set()


def test_an_argument_is_found_by_a_key_within_it(operator: Client):
    make_task("a", {"user": {"id": 7, "city": "Köln"}}, name="tests.app.tasks.echo")
    make_task("b", {"user": {"id": 8, "city": "Bonn"}}, name="tests.app.tasks.echo")
    assert found(operator, q="args.value.user.id:7") == {"a"}
    assert found(operator, q="args.value.id:7") == set()
    assert found(operator, q="args.value.user.city:Köln") == {"a"}


def test_a_name_is_found_by_a_part_of_it_if_it_is_known(operator: Client):
    make_task("a", "Ada")
    make_task("b", 1, 2, name="go.only")
    assert found(operator, q="name:greet") == {"a"}
    assert found(operator, q="name:go.only") == {"b"}
    assert found(operator, q="name:only") == set()


def test_text_is_searched_in_the_newest_rows_that_the_filters_leave(operator: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(search, "WINDOW", 2)
    make_task("old", "Ada")
    make_task("failed", "Ada", state="FAILURE")
    make_task("new", "Ada")
    make_task("newest", "Bob")
    assert found(operator, q="Ada") == {"new"}
    assert found(operator, q="Ada", state="FAILURE") == {"failed"}
    assert found(operator, queue="mail") == {"new", "newest"}


def test_the_page_says_how_far_a_search_looks(operator: Client):
    assert "newest 100,000 tasks" in operator.get(reverse(URL)).content.decode()


def test_a_page_says_that_it_looks_for_queues_and_workers_among_the_newest(operator: Client):
    make_task("a", "Ada")
    note = "the newest 100,000 tasks of the other filters"
    assert note not in operator.get(reverse(URL)).content.decode()
    for name in ("queue", "worker"):
        assert note in operator.get(reverse(URL), {name: "x"}).content.decode()


@pytest.mark.parametrize("text", ['"', "'open", "args.:x", "name:", "args.a:", ":", "\\", "%", "_"])
def test_no_text_breaks_the_search(text: str, operator: Client):
    make_rows("harmless")
    assert operator.get(reverse(URL), {"q": text}).status_code == 200


def test_filters_narrow_the_list(operator: Client):
    now = timezone.now()
    make_task("a", "Ada", state="FAILURE", reason="timeout", worker="w1")
    make_task("b", "Bob", created_at=now - timedelta(hours=3), queue="media")
    make_task("c", "Carl", name="go.only", created_at=now - timedelta(days=10))
    assert found(operator, state="FAILURE") == {"a"}
    assert found(operator, reason="timeout") == {"a"}
    assert found(operator, queue="media") == {"b"}
    assert found(operator, worker="w1") == {"a"}
    assert found(operator, name="go.only") == {"c"}
    assert found(operator, sent="1h") == {"a"}
    assert found(operator, sent="24h") == {"a", "b"}
    assert found(operator, sent="24h", state="SUCCESS") == {"b"}
    assert found(operator, sent="nonsense") == set()


def test_a_range_of_time_has_two_ends(operator: Client):
    for day in (1, 2, 3):
        make_task(str(day), "Ada", created_at=datetime(2026, 1, day, 12, tzinfo=UTC))
    assert found(operator, sent_from="2026-01-02") == {"2", "3"}
    assert found(operator, sent_to="2026-01-02T13:00+01:00") == {"1"}
    assert found(operator, sent_from="2026-01-02T12:00:00Z", sent_to="2026-01-02T12:00:01.5Z") == {"2"}
    assert found(operator, sent_from="", sent_to="") == {"1", "2", "3"}
    for nonsense in ("yesterday", "2026-13-01", "2026-01-02T25:00"):
        assert found(operator, sent_from=nonsense) == set()


def test_a_range_of_time_is_typed_into_a_form_that_keeps_the_rest(operator: Client):
    make_task("a", "Ada")
    query = {"state": "SUCCESS", "sent_from": "2026-01-02T03:04:05Z", "id__lt": "9", "q": "Ada"}
    page = operator.get(reverse(URL), query).content.decode()
    form = page.split('class="mq-times">')[1].split("</form>")[0]
    local = timezone.localtime(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)).strftime("%Y-%m-%dT%H:%M:%S")
    assert f'name="sent_from" value="{local}"' in form
    assert 'name="sent_to" value=""' in form
    assert set(re.findall(r'type="hidden" name="(\w+)"', form)) == {"state", "q"}
    links = re.findall(r'href="(\?[^"]*sent=[^"]*)"', page)
    assert links
    assert not any("sent_from" in link for link in links)


def fail_run(task: TaskState, ago: timedelta, exception: str, **columns: Any) -> None:
    moment = timezone.now() - ago
    fields = {"number": 1, "outcome": "error", **columns}
    Attempt.objects.create(uuid=task.uuid, name=task.name, ended_at=moment, exception=exception, **fields)


def test_tasks_are_found_by_when_and_by_what_their_runs_failed(operator: Client):
    a, b, c, d = (make_task(name, "Ada") for name in "abcd")
    minute, day = timedelta(minutes=1), timedelta(days=1, minutes=1)
    fail_run(a, minute, "ValueError")
    fail_run(a, minute, "ValueError", number=2)
    fail_run(b, minute, "KeyError")
    fail_run(b, day, "ValueError", number=2)
    fail_run(c, day, "", outcome="crash")
    fail_run(d, minute, "ValueError", outcome="cancel")
    assert found(operator, failed="1h") == {"a", "b"}
    assert found(operator, failed="7d") == {"a", "b", "c"}
    assert found(operator, failed="1h", exception="ValueError") == {"a"}
    assert found(operator, failed="7d", exception="ValueError") == {"a", "b"}
    assert found(operator, exception="ValueError") == {"a", "b"}
    assert found(operator, exception="") == {"c"}
    assert found(operator, failed_to=(timezone.now() - timedelta(hours=2)).isoformat()) == {"b", "c"}


def test_the_dashboard_counts_what_its_links_list(operator: Client):
    hour, day = timedelta(minutes=59), timedelta(hours=23)
    for index in range(4):
        task = make_task(str(index), "Ada", created_at=timezone.now() - timedelta(days=5))
        fail_run(task, hour if index % 2 else day, "ValueError" if index else "a.b&c=<KeyError>")
        fail_run(task, day, "ValueError", number=2)
    page = operator.get("/admin/machinery/").content.decode()
    cells = [(html.unescape(url), int(count)) for url, count in re.findall(r'href="([^"]*failed=[^"]*)">(\d+)<', page)]
    assert sorted(count for _url, count in cells) == [1, 1, 2, 4, 4]
    for url, count in cells:
        assert operator.get(url).context["cl"].result_count == count, url


def test_an_error_is_found_by_the_type_of_its_exception(operator: Client):
    fail_run(make_task("a", "Ada", state="FAILURE", error="no Ada"), timedelta(minutes=1), "shop.errors.CardRefused")
    make_task("b", "Ada", state="FAILURE", error="no Ada")
    assert found(operator, q="error:CardRefused") == {"a"}
    assert found(operator, q="error:CardRefused error:Ada") == {"a"}
    assert found(operator, q="error:Ada") == {"a", "b"}


def test_older_rows_are_a_page_further(operator: Client):
    ids = [make_task(str(number), "Ada").pk for number in range(60)]
    first = operator.get(reverse(URL))
    assert [task.pk for task in first.context["cl"].result_list] == ids[:9:-1]
    assert f"id__lt={ids[10]}" in first.content.decode()
    older = operator.get(reverse(URL), {"id__lt": ids[10]})
    assert [task.pk for task in older.context["cl"].result_list] == ids[9::-1]
    assert "Newest" in older.content.decode()
