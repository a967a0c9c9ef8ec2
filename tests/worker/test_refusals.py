"""Outcomes that a database cannot hold. SQLite holds everything."""

import pytest

from django_machinery import Signature, TaskFailed, Worker, send_task
from django_machinery.models import DeadLetter, Message, TaskState
from django_machinery.protocol.go_types import results_to_wire
from django_machinery.protocol.states import SUCCESS
from django_machinery.seams.backend import StateChange
from tests.databases import on_databases
from tests.worker.support import database_server


def shout() -> None:
    raise ValueError("nul \0 byte")


@on_databases("postgres")
def test_what_cannot_be_stored_fails_alone(database: str):
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
