"""Outcomes that a database cannot hold."""

import pytest

from django_machinery import Signature, TaskFailed, Worker, send_task
from django_machinery.models import Attempt, DeadLetter, Message, TaskState
from django_machinery.protocol.go_types import results_to_wire
from django_machinery.protocol.states import SUCCESS
from django_machinery.seams.backend import StateChange
from django_machinery.worker import errors, outcomes
from tests.databases import on_databases
from tests.worker.support import database_server


def shout() -> None:
    raise ValueError("nul \0 byte")


def test_texts_of_exceptions_are_what_every_database_holds():
    """Not by a worker: what logs write is nobody's but the handler's."""

    class Odd(Exception):
        pass

    Odd.__qualname__ = "\0" * 300
    error = Odd("nul \0 byte, \ud800 surrogate")
    for text in (errors.error_text(error), errors.traceback_text(error), errors.type_path(error)):
        assert text.encode()
        assert "\0" not in text
    assert errors.error_text(error) == "nul \N{REPLACEMENT CHARACTER} byte, ? surrogate"
    assert len(errors.type_path(error)) == 255


@on_databases()
def test_what_a_task_says_is_kept_but_for_what_no_database_holds(database: str):
    with database_server(database) as server:
        server.register_tasks({"shout": shout})
        result = send_task("shout")
        Worker(server, concurrency=1).run(drain=True)
        with pytest.raises(TaskFailed) as caught:
            result.get(timeout=0)
        assert str(caught.value) == "nul \N{REPLACEMENT CHARACTER} byte"
        attempt = Attempt.objects.using(database).get(uuid=result.uuid)
        assert attempt.error == result.task_state.error
        assert "in shout" in attempt.traceback


@on_databases("postgres")
def test_what_cannot_be_stored_fails_alone(database: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outcomes, "error_text", str)
    with database_server(database) as server:
        server.register_tasks({"shout": shout, "add": lambda x, y: x + y})
        bad = send_task("shout")
        good = [send_task("add", args=[number, 1]) for number in range(20)]
        Worker(server, concurrency=2).run(drain=True)
        assert {result.state for result in good} == {"SUCCESS"}
        state = TaskState.objects.using(database).get(uuid=bad.uuid)
        assert state.state == "FAILURE"
        assert "\0" not in state.error


@on_databases()
def test_the_task_of_a_message_that_nobody_can_read_has_failed(database: str):
    """Also when its state is final already: then it stays, and the message is kept all the same."""
    with database_server(database) as server:
        server.register_tasks({"add": lambda x, y: x + y})
        bad, done = (send_task("add", args=[1, 2]) for _ in range(2))
        server.backend.set_states([StateChange(Signature(uuid=done.uuid), SUCCESS, results_to_wire(7))])
        Message.objects.using(database).update(body="{")
        good = send_task("add", args=[1, 2])
        Worker(server, concurrency=2).run(drain=True)
        assert (good.get(timeout=0), done.get(timeout=0)) == (3, 7)
        with pytest.raises(TaskFailed, match="cannot be read"):
            bad.get(timeout=0)
        assert {letter.uuid for letter in DeadLetter.objects.using(database).all()} == {bad.uuid, done.uuid}
