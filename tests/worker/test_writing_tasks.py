"""Tasks that write to the project's own tables, which are in the database "default"."""

import time
from collections.abc import Callable, Iterator

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from django_machinery import Worker, send_task
from django_machinery.exceptions import BackendUnavailable
from django_machinery.models import Message, TaskState, WorkerProcess
from django_machinery.protocol.signature import Signature
from django_machinery.seams.broker import Consumer
from django_machinery.server import Server
from tests.app.models import Account
from tests.databases import on_databases
from tests.worker.support import Script, database_server, running

pytestmark = on_databases("default")


@pytest.fixture
def server(database: str) -> Iterator[Server]:
    with database_server(database) as server:
        yield server


def test_async_tasks_use_the_database_in_the_thread_that_runs_them(server: Server):
    threads: set[int] = set()

    def note() -> None:
        threads.add(id(connections["default"].connection))

    async def deposit() -> int:
        await Account.objects.acreate(name=f"account {time.monotonic_ns()}")
        await sync_to_async(note)()
        return await Account.objects.acount()

    server.register_task("deposit", deposit)
    for _ in range(4):
        send_task("deposit")
    Worker(server, concurrency=1).run(drain=True)
    assert Account.objects.count() == 4
    assert len(threads) == 1


def test_the_writes_of_an_atomic_task_and_its_outcome_both_commit(server: Server):
    register(server, lambda: None)
    result = send_task("deposit")
    Worker(server).run(drain=True)
    assert (result.state, Account.objects.count()) == ("SUCCESS", 1)


def test_what_a_failed_run_wrote_is_rolled_back_and_a_retry_starts_afresh(server: Server):
    errors = [ValueError("no")]

    def fail_once() -> None:
        if errors:
            raise errors.pop()

    register(server, fail_once)
    result = send_task("deposit", retry_count=1)
    worker = Worker(server)
    worker.run(drain=True)
    assert (result.state, Account.objects.count()) == ("RETRY", 0)
    with running(Worker(server)):
        result.get(timeout=10)
    assert Account.objects.count() == 1


def test_a_run_whose_message_was_lost_writes_nothing(server: Server):
    """The token is lost while the task runs: its message is run again, and counts once."""
    runs: list[str] = []

    def lose_the_first() -> None:
        runs.append(WorkerProcess.objects.get(lease_until__isnull=False).token)
        if len(runs) == 1:
            WorkerProcess.objects.filter(token=runs[0]).update(lease_until=None)
            Message.objects.update(status=Message.Status.READY, worker_id=None)

    register(server, lose_the_first)
    result = send_task("deposit")
    with running(Worker(server, concurrency=1)):
        result.get(timeout=10)
    assert Account.objects.count() == 1
    assert len(runs) == 2


def test_a_run_that_was_overtaken_writes_nothing(server: Server):
    """The task is final already when this run wants to commit."""
    log = Signature(name="log", uuid="task_log")

    logged: list[int] = []
    server.register_task("log", lambda: logged.append(1))
    register(server, lambda: None)
    result = send_task("deposit", on_success=[log])
    TaskState.objects.filter(name="deposit").update(state="SUCCESS", results="[]")
    Worker(server).run(drain=True)
    assert (result.state, Account.objects.count(), logged) == ("SUCCESS", 0, [1])


def test_a_database_that_is_away_at_the_commit_lets_it_run_again(server: Server, monkeypatch: pytest.MonkeyPatch):
    unit_type = type(server.unit(consumer_of(server)))
    commit = Script(BackendUnavailable("gone"), then=unit_type.commit)
    monkeypatch.setattr(unit_type, "commit", lambda *a, **k: commit(*a, **k))
    register(server, lambda: None)
    result = send_task("deposit")
    Worker(server).run(drain=True)
    assert (result.state, Account.objects.count()) == ("SUCCESS", 1)


def register(server: Server, then: Callable[[], object]) -> None:
    def deposit() -> None:
        Account.objects.create(name=f"account {time.monotonic_ns()}")
        then()

    server.register_task("deposit", deposit, atomic=True)


def consumer_of(server: Server) -> Consumer:
    server.broker.renew(["other"])
    consumer = server.broker.consumer(["none"], [], "other")
    consumer.close()
    server.broker.resign("other")
    return consumer
