"""How workers end, and how their processes are replaced."""

import os
import signal
import time
from pathlib import Path

import pytest

from django_machinery import AsyncResult, ResultTimeout
from django_machinery.models import Message, WorkerProcess
from django_machinery.server import Server
from tests.acceptance.conftest import LEASE, Gate, StartWorker, wait_for
from tests.app import tasks
from tests.databases import on_databases
from tests.waiting import wait_until

LONGEST_WAIT = 0.15 * LEASE
"""Seconds that a fetch loop waits at the most before it looks for messages."""


@on_databases("default", "postgres")
def test_sigterm_lets_running_tasks_finish_and_takes_no_more(
    start_worker: StartWorker, database: str, gate: Gate, server: Server
):
    worker = start_worker("--concurrency=2")
    running = tasks.hold.using(server=database).send("running", gate.path)
    wait_for(lambda: tasks.recorded() == ["running"], worker)
    worker.process.terminate()

    def left() -> AsyncResult[int] | None:
        result = tasks.add.using(server=database).send(1, 2)
        try:
            result.get(timeout=3 * LONGEST_WAIT)
        except ResultTimeout:
            return result
        return None  # the order has not arrived yet: there is a thread that has nothing to do

    waiting = wait_for(left, worker)
    assert worker.process.returncode is None
    gate.open()
    assert worker.process.wait() == 0, worker.output
    assert (running.state, waiting.state) == ("SUCCESS", "PENDING")
    message = Message.objects.using(database).get()
    assert (message.uuid, message.status, message.claims) == (waiting.uuid, Message.Status.READY, 0)
    assert not WorkerProcess.objects.using(database).exists()


@on_databases("postgres")
def test_a_second_sigterm_gives_running_tasks_back(start_worker: StartWorker, database: str, gate: Gate):
    worker = start_worker()
    result = tasks.hold.using(server=database).send("running", gate.path)
    wait_for(lambda: tasks.recorded() == ["running"], worker)
    worker.process.terminate()
    worker.process.wait_for_line("^STOPPING: ")
    worker.process.terminate()
    wait_for(lambda: worker.process.returncode is not None, worker, timeout=10)
    assert worker.process.returncode == 1, worker.output
    message = Message.objects.using(database).get()
    assert (message.uuid, message.status, message.claims) == (result.uuid, Message.Status.READY, 0)
    assert (message.crashes, message.suspect) == (0, False)


@on_databases("default")
def test_the_deadline_gives_running_tasks_back(start_worker: StartWorker, database: str, gate: Gate):
    worker = start_worker("--shutdown-timeout=0.5")
    tasks.hold.using(server=database).send("running", gate.path)
    wait_for(lambda: tasks.recorded() == ["running"], worker)
    started = time.monotonic()
    assert worker.terminate() == 1, worker.output
    assert time.monotonic() - started < 10
    message = Message.objects.using(database).get()
    assert (message.status, message.claims, message.suspect) == (Message.Status.READY, 0, False)


@on_databases("default")
def test_ctrl_c_reaches_everybody_and_is_one_request(start_worker: StartWorker, database: str, gate: Gate):
    worker = start_worker()
    result = tasks.hold.using(server=database).send("running", gate.path)
    wait_for(lambda: tasks.recorded() == ["running"], worker)
    os.killpg(worker.pid, signal.SIGINT)
    gate.open()
    assert worker.process.wait() == 0, worker.output
    assert result.state == "SUCCESS"


@pytest.mark.parametrize("broken", [(1,), (1, 2)])
@on_databases("default")
def test_it_ends_in_order_where_nobody_reads_its_output_any_more(
    start_worker: StartWorker, database: str, gate: Gate, broken: tuple[int, ...]
):
    """`runworker | tee log`: Ctrl-C ends `tee` first."""
    worker = start_worker("--concurrency=1", wait=False, debug=True, broken=broken)
    result = tasks.hold.using(server=database).send("running", gate.path)
    wait_for(lambda: tasks.recorded() == ["running"], worker)
    os.killpg(worker.pid, signal.SIGINT)
    gate.open()
    assert worker.process.wait() == 0, worker.output
    assert result.state == "SUCCESS"
    assert not WorkerProcess.objects.using(database).exists()
    assert worker.output == ""


@on_databases("postgres")
def test_drain_ends_when_nothing_is_left(start_worker: StartWorker, database: str):
    log = tasks.record_all.signature("log")
    for number in range(50):
        tasks.add.using(server=database, on_success=[log]).send(number, 1)
    tasks.crash_once.using(server=database, on_success=[log]).send("once")
    worker = start_worker("--drain", "--processes=2", wait=False)
    assert worker.process.wait(timeout=40) == 0, worker.output
    assert not Message.objects.using(database).exists()
    assert sum(word.startswith("log") for word in tasks.recorded()) == 51
    assert not WorkerProcess.objects.using(database).exists()


@on_databases("default")
def test_a_process_is_replaced_after_max_tasks(start_worker: StartWorker, database: str):
    worker = start_worker("--max-tasks=2")
    sent = [tasks.record.using(server=database).send(str(number)) for number in range(5)]
    for result in sent:
        result.get(timeout=30)
    assert len(tasks.recorded_pids()) == 3
    assert worker.terminate() == 0


@on_databases("default")
def test_the_heartbeat_file_is_touched_while_processes_consume(start_worker: StartWorker, tmp_path: Path):
    file = tmp_path / "alive"
    worker = start_worker(f"--heartbeat-file={file}")
    wait_until(file.exists)
    first = file.stat().st_mtime
    wait_until(lambda: file.stat().st_mtime > first)
    assert worker.terminate() == 0
