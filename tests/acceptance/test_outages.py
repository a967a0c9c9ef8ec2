"""Databases that go away under a worker."""

import time

from django.db import connections, transaction

from django_machinery import Group, send_group
from tests.acceptance.conftest import LEASE, Gate, StartWorker, wait_for
from tests.app import tasks
from tests.databases import on_databases
from tests.services import DatabaseServer


@on_databases("postgres")
def test_a_worker_comes_back_when_its_database_does(
    start_worker: StartWorker, own_database: DatabaseServer, database: str, gate: Gate
):
    worker = start_worker("--processes=2")
    children = sorted(worker.children())
    assert tasks.add.using(server=database).send(1, 2).get(timeout=20) == 3
    running = tasks.hold.using(server=database).send("running", gate.path)
    wait_for(lambda: tasks.recorded() == ["running"], worker)
    connections[database].close()
    own_database.stop()
    gate.open()  # the task ends while nobody can be told
    worker.process.wait_for_line("cannot be reached")
    own_database.start()
    assert running.get(timeout=20) == "running", worker.output
    assert tasks.add.using(server=database).send(2, 3).get(timeout=20) == 5, worker.output
    assert tasks.recorded() == ["running"]
    assert "Traceback" not in worker.output
    assert sorted(worker.children()) == children
    connections[database].close()
    assert worker.terminate() == 0


@on_databases("postgres")
def test_a_long_outage_ends_no_process_that_has_messages_to_give_back(
    start_worker: StartWorker, own_database: DatabaseServer, database: str, gate: Gate
):
    worker = start_worker("--concurrency=1")
    for _ in range(30):  # it sees only short tasks, and claims ahead
        tasks.add.using(server=database).send(1, 2).get(timeout=20)
    children = sorted(worker.children())
    with transaction.atomic(using=database):
        held = tasks.hold.using(server=database).send("held", gate.path)
        others = [tasks.add.using(server=database).send(1, 2) for _ in range(60)]
    wait_for(lambda: tasks.recorded() == ["held"], worker)  # with others behind it, which are soon to go back
    connections[database].close()
    own_database.stop()
    time.sleep(3 * LEASE)  # so long is the outage
    own_database.start()
    gate.open()
    assert held.get(timeout=20) == "held"
    assert {other.get(timeout=20) for other in others} == {3}
    assert tasks.recorded() == ["held"], worker.output
    assert sorted(worker.children()) == children, worker.output
    connections[database].close()
    assert worker.terminate() == 0


@on_databases("postgres")
def test_a_worker_may_be_started_before_its_database(
    start_worker: StartWorker, own_database: DatabaseServer, database: str
):
    connections[database].close()
    own_database.stop()
    worker = start_worker(wait=False)
    worker.process.wait_for_line("cannot be reached")
    own_database.start()
    worker.wait_for_ready()
    assert tasks.add.using(server=database).send(1, 2).get(timeout=20) == 3
    connections[database].close()
    assert worker.terminate() == 0


@on_databases("postgres")
def test_a_server_that_crashes_takes_nothing_with_it(
    start_worker: StartWorker, own_database: DatabaseServer, database: str
):
    """What it had not written yet is claims, which nobody waits for: they are made again."""
    worker = start_worker("--processes=2")
    members = [tasks.slow.signature(20 + n % 20) for n in range(400)]
    result = send_group(Group(*members), server=database)
    for done in (100, 250):
        wait_for(lambda done=done: result.progress.done >= done, worker)  # type: ignore[misc]
        connections[database].close()
        own_database.kill()
        own_database.start()
    assert result.get(timeout=60) == [20 + n % 20 for n in range(400)], worker.output
    assert "Traceback" not in worker.output
    connections[database].close()
    assert worker.terminate() == 0
