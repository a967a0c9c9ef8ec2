"""Workers that are killed, in every combination: nothing is lost, nothing is final twice."""

import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models import Sum

from django_machinery import Chord, Group, TaskFailed, send_chord
from django_machinery.models import Attempt, DeadLetter, Message, TaskState
from django_machinery.server import Server
from tests.acceptance.conftest import LEASE, Gate, RunningWorker, StartWorker, wait_for
from tests.app import tasks
from tests.app.models import Account
from tests.databases import on_databases


class BrokenChord:
    """A chord whose worker dies in the middle: two members are done, two run, four wait."""

    def __init__(self, database: str, gate: Gate, worker: RunningWorker) -> None:
        self._database = database
        self._gate = gate
        done = [tasks.record.signature(f"done{number}") for number in range(2)]
        held = [tasks.hold.signature(f"held{number}", gate.path) for number in range(2)]
        waiting = [tasks.record.signature(f"waiting{number}") for number in range(4)]
        callback = tasks.record_all.signature("callback")
        self.result = send_chord(Chord(Group(*done, *held, *waiting), callback), server=database)
        wait_for(lambda: {"held0", "held1"} <= set(tasks.recorded()), worker)

    def is_completed_by(self, *workers: RunningWorker) -> None:
        """The result is right, and the callback ran once."""
        self._gate.open()
        assert self.result.get(timeout=40) == 9, [worker.output for worker in workers]
        words = [f"done{n}" for n in range(2)] + [f"held{n}" for n in range(2)] + [f"waiting{n}" for n in range(4)]
        callbacks = [word for word in tasks.recorded() if word.startswith("callback")]
        assert callbacks == ["+".join(["callback", *words])]
        states = TaskState.objects.using(self._database)
        assert set(states.values_list("state", flat=True)) == {"SUCCESS"}
        wait_for(lambda: not Message.objects.using(self._database).exists(), *workers)


@on_databases("default", "postgres")
def test_a_child_is_killed(start_worker: StartWorker, database: str, gate: Gate):
    worker = start_worker()
    chord = BrokenChord(database, gate, worker)
    (child,) = worker.children()
    os.kill(child, signal.SIGKILL)
    wait_for(lambda: worker.children() and child not in worker.children(), worker, timeout=5)
    chord.is_completed_by(worker)
    assert worker.terminate() == 0
    assert f"Process {child} ended with SIGKILL: what it held is run again" in worker.output


@on_databases("default", "postgres")
def test_the_supervisor_is_killed(start_worker: StartWorker, database: str, gate: Gate):
    worker = start_worker()
    chord = BrokenChord(database, gate, worker)
    worker.process.kill()
    other = start_worker()
    chord.is_completed_by(other)
    runs = tasks.recorded()
    assert (runs.count("held0"), runs.count("held1")) == (1, 1), "the orphaned child was to finish what it ran"
    assert other.terminate() == 0


@on_databases("default", "postgres")
def test_both_are_killed(start_worker: StartWorker, database: str, gate: Gate):
    worker = start_worker()
    chord = BrokenChord(database, gate, worker)
    children = worker.children()
    worker.process.kill()
    for child in children:
        os.kill(child, signal.SIGKILL)
    other = start_worker()
    chord.is_completed_by(other)
    assert other.terminate() == 0


@on_databases("default")
def test_a_message_that_kills_its_process_is_a_dead_letter_and_its_neighbours_are_not_blamed(
    start_worker: StartWorker, database: str, gate: Gate, record: Path
):
    worker = start_worker()
    neighbour = tasks.hold.using(server=database).send("neighbour", gate.path)
    wait_for(lambda: tasks.recorded() == ["neighbour"], worker)
    alarm = tasks.record_all.signature("alarm")
    poison = tasks.crash.using(server=database, on_error=[alarm], retry_count=5).send()
    gate.open()
    assert neighbour.get(timeout=30) == "neighbour", worker.output
    wait_for(lambda: DeadLetter.objects.using(database).exists(), worker, timeout=30)
    letter = DeadLetter.objects.using(database).get()
    assert (letter.uuid, letter.reason, letter.crashes) == (poison.uuid, "poison", 3)
    with pytest.raises(TaskFailed, match="the task ended its worker process 3 times"):
        poison.get(timeout=10)
    state = TaskState.objects.using(database).get(uuid=poison.uuid)
    assert (state.state, state.reason) == ("FAILURE", "crash")
    assert Attempt.objects.using(database).get(uuid=poison.uuid).outcome == "crash"
    wait_for(lambda: "3 times+alarm" in record.read_text(), worker)
    assert tasks.recorded().count("crash") == 4  # beside its neighbour, and three times alone
    assert worker.terminate() == 0


@on_databases("postgres")
def test_a_worker_that_stood_still_beyond_its_lease_finishes_nothing(
    start_worker: StartWorker, database: str, gate: Gate, server: Server
):
    frozen = start_worker()
    result = tasks.hold.using(server=database).send("held", gate.path)
    wait_for(lambda: tasks.recorded() == ["held"], frozen)
    everybody = [*frozen.children(), frozen.pid]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    other = start_worker()
    wait_for(lambda: tasks.recorded() == ["held", "held"], other)
    heir = tasks_pid_of(other)
    for pid in everybody:
        os.kill(pid, signal.SIGCONT)
    gate.open()
    assert result.get(timeout=20) == "held"
    wait_for(lambda: not set(everybody[:-1]) & set(frozen.children()), frozen)
    assert TaskState.objects.using(database).get(uuid=result.uuid).worker.endswith(str(heir))
    assert frozen.terminate() == 0
    assert other.terminate() == 0
    assert server.broker.depth("machinery_tasks") == 0


@on_databases("default")
def test_a_child_that_hangs_is_replaced(start_worker: StartWorker, database: str):
    worker = start_worker()
    (child,) = worker.children()
    os.kill(child, signal.SIGSTOP)
    assert tasks.add.using(server=database).send(1, 2).get(timeout=20) == 3, worker.output
    wait_for(lambda: child not in worker.children(), worker, timeout=10 * LEASE)
    assert worker.terminate() == 0
    assert f"Process {child} is killed: its fetch loop does not move, and nothing computes" in worker.output


@on_databases("default")
def test_atomic_tasks_count_once(start_worker: StartWorker):
    worker = start_worker("--processes=2")
    tasks.deposit_and_crash_once.send("crashes", 5).get(timeout=30)
    tasks.deposit_once.using(retry_count=0).send("twice", 2).get(timeout=20)
    failed = tasks.deposit_once.send("fails", 7, "no")
    wait_for(lambda: failed.is_completed, worker)
    assert Account.objects.aggregate(Sum("balance"))["balance__sum"] == 7
    assert worker.terminate() == 0


@on_databases("postgres")
def test_a_delayed_message_survives_everybody(start_worker: StartWorker, database: str):
    worker = start_worker()
    result = tasks.add.using(server=database, eta=timedelta(seconds=1)).send(1, 2)
    for child in worker.children():
        os.kill(child, signal.SIGKILL)
    worker.process.kill()
    other = start_worker()
    assert result.get(timeout=20) == 3
    assert other.terminate() == 0


def tasks_pid_of(worker: RunningWorker) -> int:
    """The one process of a worker that has left a trace."""
    (pid,) = tasks.recorded_pids() & set(worker.children())
    return pid
