"""Outcomes that a database cannot hold. SQLite holds everything."""

from django_machinery import Worker, send_task
from django_machinery.models import TaskState
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
