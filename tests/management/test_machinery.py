"""`manage.py machinery` and its subcommands."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import override_settings

from django_machinery import Worker, send_task, servers
from django_machinery.management.subcommands import SUBCOMMANDS
from django_machinery.models import DeadLetter, Message, WorkerProcess
from django_machinery.server import Server
from tests.app import tasks
from tests.contracts.support import unique

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server() -> Server:
    return servers["default"]


def machinery(*arguments: str, **options: Any) -> str:
    """What the command prints."""
    out = StringIO()
    call_command("machinery", *arguments, stdout=out, **options)
    return out.getvalue()


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_without_a_subcommand_it_lists_them():
    helps = dict(line.split(maxsplit=1) for line in machinery().splitlines()[1:])
    assert helps["pending"] == "Show the messages that are ready to run, in their order."
    assert set(helps) == SUBCOMMANDS.keys() - {"child"}


class TestSend:
    def test_it_sends_a_registered_task_and_prints_its_uuid(self, server: Server):
        uuid = machinery("send", "tests.app.tasks.greet", '"Ada"', "--kwargs", '{"marks": 3}').strip()
        Worker(server).run(drain=True)
        (state,) = server.backend.get_states([uuid])
        assert state is not None
        assert b"hello Ada!!!" in bytes((state.results or ())[0].value)  # type: ignore[union-attr]

    def test_it_sends_a_task_that_only_another_service_knows(self):
        machinery("send", "go.add", "1", "2.5", "--queue", "go", "--priority", "7", "--retry-count", "2")
        message = Message.objects.get()
        signature = servers["default"].decode(message.body.encode())
        assert [(arg.type, bytes(arg.value)) for arg in signature.args or ()] == [("int64", b"1"), ("float64", b"2.5")]
        assert (message.name, message.queue, signature.priority, signature.retry_count) == ("go.add", "go", 7, 2)

    @pytest.mark.parametrize("form", ["seconds", "time"])
    def test_it_sends_for_later(self, form: str):
        eta = "3600" if form == "seconds" else (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        machinery("send", "tests.app.tasks.noop", f"--eta={eta}")
        message = Message.objects.get()
        assert message.status == Message.Status.LATER
        assert message.due_at is not None
        assert timedelta(minutes=59) < message.due_at - datetime.now(UTC) <= timedelta(hours=1)

    def test_the_time_that_it_waits_for_a_result_is_bounded(self):
        with pytest.raises(CommandError, match="ResultTimeout"):
            machinery("send", "tests.app.tasks.noop", "--wait=0.01")

    def test_only_the_name_is_required(self):
        with pytest.raises(CommandError, match=r"are required: name$"):
            machinery("send")

    def test_what_is_not_for_people_is_not_spoken_of(self):
        with pytest.raises(CommandError, match="invalid choice") as caught:
            machinery("nothing")
        assert "worker" in str(caught.value)
        assert "child" not in str(caught.value)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["x", "Ada"], "is not JSON"),
            (["x", "--kwargs=[]"], "a JSON object is wanted"),
            (["x", "--eta=tomorrow"], "seconds from now"),
            (["x", "--eta=2030-01-01T00:00:00"], "has no offset"),
            (["x", "--priority=-1"], "whole number"),
            (["tests.app.tasks.add", "1"], "missing a required argument"),
            (["x", "--server=nowhere"], "no server 'nowhere'"),
        ],
    )
    def test_what_is_wrong_is_told(self, arguments: list[str], words: str):
        with pytest.raises(CommandError, match=words):
            machinery("send", *arguments)
        assert not Message.objects.exists()


class TestShow:
    def test_pending_shows_what_is_ready_without_arguments(self):
        first = tasks.echo.send("secret")
        tasks.echo.using(queue="other").send("elsewhere")
        text = machinery("pending")
        assert (first.uuid in text, "tests.app.tasks.echo" in text) == (True, True)
        assert "secret" not in text
        assert "other" not in text
        assert len(rows(machinery("pending", "machinery_tasks", "other", "--json"))) == 2
        assert len(rows(machinery("pending", "machinery_tasks", "other", "--json", "--limit=1"))) == 1

    def test_with_nothing_to_show_it_says_so(self):
        assert machinery("pending") == "None.\n"
        assert machinery("pending", "--json") == ""

    def test_a_message_that_cannot_be_decoded_is_shown_too(self):
        tasks.noop.send()
        Message.objects.update(body="{")
        (row,) = rows(machinery("pending", "--json"))
        assert row["task"] == "(cannot be decoded)"

    def test_text_from_elsewhere_cannot_reach_the_terminal(self):
        send_task("evil\x1b[2J\nname")
        assert "evil [2J name" in machinery("pending")

    def test_delayed_shows_when_each_is_due_soonest_first(self):
        later = tasks.noop.using(eta=timedelta(hours=2)).send()
        sooner = tasks.noop.using(eta=timedelta(hours=1)).send()
        listed = rows(machinery("delayed", "--json"))
        assert [row["uuid"] for row in listed] == [sooner.uuid, later.uuid]
        assert listed[0]["due"] < listed[1]["due"]

    @pytest.fixture
    def toy(self) -> Iterator[str]:
        """The alias of a server whose broker cannot list."""
        drivers = {"push": {"broker": "tests.toys.push.PushBroker"}}
        changed = {**settings.MACHINERY, "toy": {"BROKER": unique("push://x"), "DRIVERS": drivers}}
        with override_settings(MACHINERY=changed):
            yield "toy"

    def test_where_messages_cannot_be_listed_their_number_is_shown(self, toy: str):
        send_task("x", server=toy)
        assert rows(machinery("pending", "--json", f"--server={toy}")) == [{"queue": "machinery_tasks", "messages": 1}]
        with pytest.raises(CommandError, match="cannot list"):
            machinery("delayed", f"--server={toy}")


class TestDeadLetters:
    @pytest.fixture
    def letter(self, server: Server) -> DeadLetter:
        """A message that a worker could not decode."""
        tasks.add.send(1, 2)
        good = Message.objects.get().body
        Message.objects.update(body="{")
        Worker(server).run(drain=True)
        letter = DeadLetter.objects.get()
        letter.body = good.encode()
        letter.save()
        return letter

    def test_they_are_shown_with_their_reason(self, letter: DeadLetter):
        (row,) = rows(machinery("dead", "--json"))
        assert (row["id"], row["reason"], row["queue"]) == (letter.pk, "undecodable", "machinery_tasks")
        assert "undecodable" in machinery("dead")

    @pytest.mark.parametrize("by", ["id", "--all"])
    def test_they_are_sent_again(self, letter: DeadLetter, server: Server, by: str):
        assert machinery("requeue", str(letter.pk) if by == "id" else by) == "1 sent again.\n"
        assert Message.objects.get().name == "tests.app.tasks.add"
        assert rows(machinery("dead", "--json")) == []
        Worker(server).run(drain=True)
        assert not Message.objects.exists()

    @pytest.mark.parametrize("arguments", [[], ["1", "--all"], ["999999"]])
    def test_requeue_wants_to_know_which(self, letter: DeadLetter, arguments: list[str]):
        with pytest.raises(CommandError):
            machinery("requeue", *arguments)
        assert len(rows(machinery("dead", "--json"))) == 1


class TestPurge:
    def test_it_asks_first(self, monkeypatch: pytest.MonkeyPatch):
        tasks.noop.send()
        asked: list[str] = []

        def refuse(question: str) -> str:
            asked.append(question)
            return "n"

        monkeypatch.setattr("builtins.input", refuse)
        with pytest.raises(CommandError, match=r"Nothing was deleted\."):
            machinery("purge", "machinery_tasks")
        assert asked == ["Delete the 1 messages that are ready on 'machinery_tasks'? [y/N] "]
        monkeypatch.setattr("builtins.input", lambda question: "y")
        assert machinery("purge", "machinery_tasks") == "1 deleted.\n"
        assert not Message.objects.exists()

    def test_it_does_not_when_told_so(self):
        tasks.noop.send()
        tasks.noop.using(queue="other").send()
        assert machinery("purge", "other", "--yes") == "1 deleted.\n"
        assert Message.objects.count() == 1


class TestOperating:
    def test_a_queue_is_paused_shown_and_resumed(self):
        assert machinery("pause", "math", "--until", "3600") == "math is paused.\n"
        shown = {row["queue"]: row for row in rows(machinery("queues", "--json"))}
        assert shown["math"] == {"queue": "math", "ready": 0, "delayed": 0, "oldest": None, "paused": True}
        assert machinery("resume", "math") == "math is resumed.\n"

    def test_a_queue_that_is_not_paused_cannot_be_resumed(self):
        machinery("pause", "math")
        with pytest.raises(CommandError, match=r"'meth' is not paused. Paused: math"):
            machinery("resume", "meth")

    def test_tasks_are_cancelled_and_run_again(self, server: Server):
        sent = [send_task("tests.app.tasks.add", args=[1, 2]).uuid for _ in range(2)]
        assert machinery("cancel", *sent, "task_done", "--hard") == "3 cancelled.\n"
        (state, _) = server.backend.get_states(sent)
        assert state is not None
        assert state.error.startswith("the task was cancelled by ")
        assert machinery("retry", *sent) == "2 sent again.\n"
        assert Message.objects.count() == 2

    def test_a_backend_that_keeps_no_invocations_says_so(self):
        config = {**settings.MACHINERY["default"], "RESULT_BACKEND": "null"}
        with override_settings(MACHINERY={"default": config}), pytest.raises(CommandError, match="does not keep"):
            machinery("retry", "task_1")

    def test_a_delayed_task_is_made_ready(self):
        result = send_task("tests.app.tasks.add", args=[1, 2], eta=timedelta(hours=1))
        assert machinery("now", result.uuid) == "1 made ready.\n"
        assert Message.objects.get().status == Message.Status.READY

    def test_worker_processes_are_listed(self):
        now = datetime.now(UTC)
        WorkerProcess.objects.create(
            token="a", server="default", host="here", pid=7, started_at=now, beat_at=now, rss=2**21, queues="a\nb"
        )
        (row,) = rows(machinery("workers", "--json"))
        assert (row["host"], row["pid"], row["queues"], row["memory"], row["silent"]) == (
            "here",
            7,
            "a,b",
            "2 MiB",
            False,
        )
