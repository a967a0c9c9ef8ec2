"""Tasks whose states are not in the database: listed, found, and acted on."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from django_machinery import Signature, servers
from django_machinery.admin import elsewhere
from django_machinery.exceptions import BackendUnavailable
from django_machinery.inspector import Inspector
from django_machinery.models import Attempt, Cancellation, Progress
from django_machinery.protocol.signature import Arg
from django_machinery.protocol.states import FAILURE, PENDING, SUCCESS
from django_machinery.seams.backend import StateChange
from django_machinery.server import Server
from tests.admin.conftest import MakeUser
from tests.admin.rows import make_rows
from tests.contracts.support import unique
from tests.services.redis_stores import Stores, redis_stores

__all__ = ["redis_stores"]
pytestmark = pytest.mark.django_db

ACTIONS = {"retry": "retry", "run_now": "run_now", "cancel": "cancel", "cancel_hard": "cancel", "remove": "delete"}
"""Each with its permission."""


@pytest.fixture
def find() -> str:
    return reverse("admin:machinery_taskstate_find")


@pytest.fixture
def act() -> str:
    return reverse("admin:machinery_taskstate_act")


@pytest.fixture
def memory() -> Iterator[Server]:
    """A server beside the database's, which keeps arguments too."""
    eager = dict.fromkeys(("BROKER", "RESULT_BACKEND", "LOCK"), "eager://")
    with override_settings(MACHINERY={**settings.MACHINERY, "elsewhere": eager}):
        yield servers["elsewhere"]


@pytest.fixture
def redis(redis_stores: Stores) -> Iterator[Server]:
    """The only server, with nothing in the database."""
    store = redis_stores.get("tcp")
    with override_settings(MACHINERY={"default": dict.fromkeys(("BROKER", "RESULT_BACKEND", "LOCK"), store.url)}):
        yield servers["default"]
    store.flush()


def put(server: Server, name: str, state: str = PENDING, **fields: Any) -> str:
    """A task in that state; its UUID."""
    signature = Signature(name=name, uuid=unique("task"), **fields)
    server.backend.set_states([StateChange(signature, PENDING)])
    if state != PENDING:
        server.backend.set_states([StateChange(signature, state, error="no luck" if state == FAILURE else "")])
    return signature.uuid


def attempt(uuid: str, **fields: Any) -> None:
    values = {
        "name": "fail",
        "number": 1,
        "outcome": "error",
        "exception": "ValueError",
        "traceback": "Traceback: here",
    }
    Attempt.objects.create(uuid=uuid, ended_at=timezone.now(), **{**values, **fields})


def text_of(client: Client, url: str, **query: Any) -> str:
    answer = client.get(url, query)
    assert answer.status_code == 200
    return answer.content.decode().replace("<wbr>", "")


class TestList:
    def test_it_is_narrowed_by_state_and_name(self, operator: Client, find: str, memory: Server):
        put(memory, "waits")
        put(memory, "fails", FAILURE)
        put(memory, "other", FAILURE)
        assert {"waits", "fails", "other", "no luck"} <= words(text_of(operator, find))
        failed = text_of(operator, find, server="elsewhere", state="FAILURE")
        assert "waits" not in failed
        assert "fails" in failed
        one = text_of(operator, find, state="FAILURE", name="fails")
        assert "fails" in one
        assert "other</a>" not in one
        assert "No task matches" in text_of(operator, find, state="STARTED")
        assert "waits" in text_of(operator, find, state="<nonsense>", server="nowhere", before="never", alike="-1")

    def test_every_task_is_on_one_page(
        self, operator: Client, find: str, memory: Server, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(elsewhere, "PAGE", 3)
        sent = [put(memory, f"task{number}") for number in range(10)]
        at_once = datetime.now(UTC)
        for kept in list(memory.backend._states.values())[2:9]:  # type: ignore[attr-defined]
            kept.state = type(kept.state).pending(kept.state.task_uuid, kept.state.task_name, at_once)
        seen: list[str] = []
        address = find
        for _ in range(4):
            answer = operator.get(address)
            seen += [state.task_uuid for state, _error in answer.context["tasks"]]
            older = answer.context["older"]
            address = f"{find}{older}"
        assert not older
        assert sorted(seen) == sorted(sent)
        assert answer.context["newest"] == "?server=elsewhere&state=&name="

    def test_a_choice_of_servers_is_offered_where_there_are_several(self, operator: Client, find: str, memory: Server):
        assert 'id="mq-server"' not in text_of(operator, find)
        with override_settings(MACHINERY={**settings.MACHINERY, "second": settings.MACHINERY["elsewhere"]}):
            put(servers["second"], "of_the_second")
            assert 'id="mq-server"' in text_of(operator, find)
            assert "of_the_second" in text_of(operator, find, server="second")

    def test_a_server_that_does_not_answer_is_told(
        self, operator: Client, find: str, memory: Server, monkeypatch: pytest.MonkeyPatch
    ):
        def away(*_: Any) -> None:
            raise BackendUnavailable("away")

        monkeypatch.setattr(Inspector, "states", away)
        monkeypatch.setattr(Inspector, "state", away)
        assert "The result backend of elsewhere does not answer" in text_of(operator, find)
        assert "The result backend of elsewhere does not answer" in text_of(operator, find, uuid="task_1")

    def test_without_such_a_server_only_the_search_is_there(self, operator: Client, find: str):
        page = text_of(operator, find)
        assert 'id="mq-uuid"' in page
        assert 'id="mq-state"' not in page


class TestOneTask:
    def test_its_arguments_progress_and_attempts_are_shown(self, operator: Client, find: str, memory: Server):
        secret = Arg.of("hunter2hunter2", name="password")
        uuid = put(memory, "login", args=(Arg.of(4711), secret), queue="mail")
        Progress.objects.create(uuid=uuid, done=3, total=4, note="so far", updated_at=timezone.now())
        attempt(uuid, worker="web1:77", traceback="Traceback: hunter2hunter2", error="no")
        page = text_of(operator, find, uuid=uuid)
        for part in (
            "PENDING",
            "login",
            "mail",
            "4711",
            "password",
            "so far",
            "3 / 4",
            "Traceback: ",
            "web1:77",
            "elsewhere",
        ):
            assert part in page, part
        assert "hunter2" not in page

    @pytest.mark.django_db(transaction=True)
    def test_results_are_shown(self, operator: Client, find: str, redis: Server):
        redis.register_task("add", lambda x, y: x + y)
        uuid = redis.send_task(Signature.of("add", 20, 22)).uuid
        _work(redis)
        page = text_of(operator, find, uuid=uuid)
        assert "SUCCESS" in page
        assert "42" in page
        assert "does not keep them" in page, "Redis has no arguments"

    def test_attempts_are_found_when_the_state_has_expired(self, operator: Client, find: str, memory: Server):
        attempt("task_gone")
        page = text_of(operator, find, uuid="task_gone")
        assert "Traceback: here" in page
        assert "has expired" in page

    def test_any_text_may_be_asked_for(self, operator: Client, find: str, memory: Server):
        for uuid in ("nul\0", "x" * 3000, "<b>"):
            assert "No result backend knows this task" in text_of(operator, find, uuid=uuid)

    def test_what_makes_sense_is_offered_to_those_who_may(
        self, staff: MakeUser, find: str, memory: Server, redis: Server
    ):
        client = staff("view_taskstate", *(f"{permission}_taskstate" for permission in ACTIONS.values()))
        waiting, ended = put(redis, "add"), put(redis, "add", SUCCESS)
        assert _buttons(client, find, waiting) == {"run_now", "cancel"}
        assert _buttons(client, find, ended) == {"remove"}, "Redis keeps no invocation to send again"
        assert _buttons(staff("view_taskstate"), find, waiting) == set()

    def test_where_the_invocation_is_kept_it_can_be_run_again(self, operator: Client, find: str, memory: Server):
        assert _buttons(operator, find, put(memory, "add", SUCCESS)) == {"retry", "remove"}

    def test_djangos_log_leads_to_it(self, operator: Client, find: str):
        page = reverse("admin:machinery_taskstate_change", args=["task_5F1"])
        assert operator.get(page)["Location"] == f"{find}?uuid=task_1"


class TestActing:
    @pytest.mark.django_db(transaction=True)
    def test_a_task_on_redis_is_cancelled_by_two_clicks(self, operator: Client, act: str, redis: Server):
        uuid = redis.send_task(Signature.of("add", 1, 2)).uuid
        form = {"action": "cancel", "server": "default", "uuid": uuid}
        asked = operator.post(act, form)
        assert 'name="confirmed"' in asked.content.decode()
        assert not Cancellation.objects.exists()
        answer = operator.post(act, {**form, "confirmed": "yes"}, follow=True)
        assert "Cancel: done for 1 of 1." in answer.content.decode()
        assert Cancellation.objects.get().requested_by == "ada"
        (entry,) = LogEntry.objects.all()
        assert (entry.object_id, entry.object_repr, entry.change_message) == (uuid, uuid, "Cancel")
        assert entry.content_type is not None
        assert entry.content_type.model == "taskstate"
        redis.register_task("add", lambda x, y: x + y)
        _work(redis)
        state = redis.backend.get_states([uuid])[0]
        assert state is not None
        assert state.state == FAILURE

    @pytest.mark.django_db(transaction=True)
    def test_a_delayed_task_is_run_now(self, operator: Client, act: str, redis: Server):
        redis.register_task("add", lambda x, y: x + y)
        later = datetime.now(UTC) + timedelta(hours=1)
        uuid = redis.send_task(Signature.of("add", 1, 2, eta=later)).uuid
        operator.post(act, {"action": "run_now", "server": "default", "uuid": uuid})
        _work(redis)
        state = redis.backend.get_states([uuid])[0]
        assert state is not None
        assert state.state == SUCCESS

    def test_a_state_is_deleted_with_its_attempts(self, operator: Client, act: str, redis: Server):
        uuid = put(redis, "add", FAILURE)
        attempt(uuid)
        form = {"action": "remove", "server": "default", "uuid": uuid, "confirmed": "yes"}
        page = operator.post(act, form, follow=True).content.decode()
        assert "Delete: done for 1 of 1." in page
        assert "No result backend knows this task" in page
        assert not Attempt.objects.exists()

    def test_what_is_unknown_or_away_is_told(self, operator: Client, act: str, memory: Server):
        for form in ({"server": "nowhere", "uuid": "task_1"}, {"server": "elsewhere", "uuid": ""}):
            page = operator.post(act, {"action": "run_now", **form}, follow=True).content.decode()
            assert "There is no such task." in page
        assert not LogEntry.objects.exists()

    @pytest.mark.parametrize("action", ACTIONS)
    def test_it_takes_its_permission_and_a_post_with_the_token(
        self, action: str, staff: MakeUser, act: str, memory: Server, monkeypatch: pytest.MonkeyPatch
    ):
        done: list[str] = []
        monkeypatch.setattr(
            elsewhere.ElsewhereAdmin, "_act", lambda self, request, action, *_: done.append(action.name)
        )
        form = {"action": action, "server": "elsewhere", "uuid": "task_1", "confirmed": "yes"}
        needed = f"{ACTIONS[action]}_taskstate"
        others = {f"{permission}_taskstate" for permission in ACTIONS.values()} - {needed}
        assert Client().post(act, form).status_code == 302
        assert staff().post(act, form).status_code == 403
        assert staff("view_taskstate", *others).post(act, form).status_code == 403
        assert staff(needed).post(act, form).status_code == 403
        allowed = staff("view_taskstate", needed, enforce_csrf_checks=True)
        assert allowed.post(act, form).status_code == 403
        assert staff("view_taskstate", needed).get(act, form).status_code == 405
        assert not done
        assert staff("view_taskstate", needed).post(act, form).status_code == 302
        assert done == [action]

    @pytest.mark.parametrize("action", ["cancel", "cancel_hard", "remove"])
    def test_what_destroys_asks_first(self, action: str, operator: Client, act: str, memory: Server):
        uuid = put(memory, "add", PENDING if action.startswith("cancel") else SUCCESS)
        answer = operator.post(act, {"action": action, "server": "elsewhere", "uuid": uuid})
        assert 'name="confirmed"' in answer.content.decode()
        assert memory.backend.get_states([uuid]) != [None]
        assert not Cancellation.objects.exists()


class TestDashboard:
    URL = "/admin/machinery/"

    def test_it_leads_to_the_tasks_of_such_a_server(self, operator: Client, redis: Server):
        uuid = put(redis, "fails", FAILURE)
        make_rows("here")
        attempt(uuid, name="fails", error="no luck")
        page = text_of(operator, self.URL)
        assert "/admin/machinery/taskstate/find/?server=default&amp;state=FAILURE" in page
        newest = page[page.index("mq-newest") :]
        newest = newest[: newest.index("</p>")]
        assert f"/admin/machinery/taskstate/find/?uuid={uuid}" in newest
        assert "no luck" in newest
        assert "Traceback: here" in text_of(operator, reverse("admin:machinery_taskstate_find"), uuid=uuid)

    def test_of_a_server_in_the_database_it_leads_to_the_list(self, operator: Client):
        make_rows("here")
        page = text_of(operator, self.URL)
        assert "/admin/machinery/taskstate/?state=FAILURE" in page
        assert "/admin/machinery/taskstate/find/?server" not in page


def words(page: str) -> set[str]:
    import re

    return set(re.split(r"<[^>]*>|\n", page))


def _buttons(client: Client, find: str, uuid: str) -> set[str]:
    import re

    return set(re.findall(r'name="action" value="(\w+)"', text_of(client, find, uuid=uuid)))


def _work(server: Server) -> None:
    """Let a worker do all that is ready."""
    from django_machinery import Worker

    Worker(server, concurrency=1).run(drain=True)
