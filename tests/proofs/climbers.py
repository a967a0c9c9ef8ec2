"""Climbers: a worker is stopped in the moment in which a task starts, and wakes up when others are further than it.

Beside that task, which nobody was shown as STARTED, it runs two that tell their progress. When it wakes up the first
waits for its next run, of the others one has ended, and the heir still runs the last.
"""

import argparse
import time
from pathlib import Path
from random import Random
from typing import Any

from django_machinery.declare import Task
from django_machinery.models import TaskState
from django_machinery.results import AsyncResult
from tests.proofs import tasks
from tests.proofs.frozen import Frozen, changes, stored
from tests.proofs.ledger import Ledger
from tests.proofs.site import Site, new_site
from tests.proofs.victims import holders
from tests.waiting import wait_until

THREADS = 3

HELP = "stop a worker as a task starts, let it go on when others are further, and compare what is stored"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lease", type=float, default=10.0, help="seconds, default %(default)s")


def run(options: argparse.Namespace) -> Ledger:
    with new_site(options.engine, LEASE=options.lease) as place:
        return prove(place, options.seed)


def prove(place: Site, seed: int) -> Ledger:
    """Freeze a worker, have it taken over, thaw it, and look whose word is stored."""
    config = place.server.config
    ledger = Ledger(f"climbers on {config.database}, with a lease of {config.lease:g} s: seed {seed}")
    climbers = Climbers(place, ahead=Random(seed).uniform(0.0, 1.0))
    climbers.freeze(ledger)
    climbers.take_over()
    before = stored(config.database)
    climbers.thaw()
    changed = changes(before, stored(config.database))
    ledger.promise("waking up changed nothing that is stored", not changed, changed)
    climbers.finish(ledger)
    return ledger


class Climbers:
    """The tasks, the worker that is frozen, and its heir."""

    def __init__(self, place: Site, ahead: float) -> None:
        """Start them, those with progress `ahead` seconds before the one that stops its process."""
        self._place = place
        self._tasks = TaskState.objects.using(place.server.config.database)
        self._sleeper = place.worker(processes=1, concurrency=THREADS)
        self._ended, self._lasting = (self._send(tasks.climb, self._gate(name)) for name in ("ended", "lasting"))
        self._wait_for_runs(self._ended, self._lasting)
        time.sleep(ahead)
        self._stumbled = self._send(tasks.stumble, place.directory / "stumbled")
        self._wait_for_runs(self._stumbled)

    def freeze(self, ledger: Ledger) -> None:
        """The child has stopped itself."""
        [child] = holders(self._place.server.config.database, {self._sleeper.pid})
        self._frozen = Frozen("worker", self._sleeper, child, whole=True)
        self._frozen.freeze()
        shown = self._row(self._stumbled).state
        ledger.enter(frozen_holding=len(child.held))
        ledger.promise("one of its tasks was not shown as STARTED", shown == "PENDING", shown)

    def take_over(self) -> None:
        """By an heir that puts one task off, ends another, and goes on with the last: each runs alone in a process."""
        self._heir = self._place.worker(processes=THREADS, concurrency=1)
        in_time = 6 * self._place.server.config.lease + 20
        wait_until(lambda: self._told(self._ended, 1) and self._told(self._lasting, 1), timeout=in_time)
        wait_until(lambda: self._row(self._stumbled).state == "RETRY", message=lambda: self._heir.output)
        self._gate("ended").touch()
        self._ended.get(timeout=20)
        wait_until(lambda: self._told(self._ended, 2), timeout=20, message="the heir's last progress")

    def thaw(self) -> None:
        """Returns when the worker that was frozen has tried to say what it had to say, and ended."""
        self._frozen.thaw()
        wait_until(self._frozen.refused, timeout=30, message=lambda: self._sleeper.output)
        self._sleeper.terminate()
        self._sleeper.wait(timeout=60)

    def finish(self, ledger: Ledger) -> None:
        """The heir's own last word is stored."""
        self._gate("lasting").touch()
        self._lasting.get(timeout=30)
        wait_until(lambda: self._told(self._lasting, 2), timeout=20, message="the heir's last progress")
        self._heir.terminate()
        ledger.promise("the heir ends with status 0", self._heir.wait(timeout=40) == 0, self._heir.output)

    def _gate(self, name: str) -> Path:
        return self._place.directory / name

    def _send(self, task: Task[..., Any], path: Path) -> AsyncResult[Any]:
        return self._place.server.send_task(task.signature(str(path)))

    def _wait_for_runs(self, *results: AsyncResult[Any]) -> None:
        uuids = {result.uuid for result in results}
        wait_until(lambda: uuids <= self._place.runs.by_task.keys(), timeout=30, message=lambda: self._sleeper.output)

    def _row(self, result: AsyncResult[Any]) -> TaskState:
        return self._tasks.get(uuid=result.uuid)

    def _told(self, result: AsyncResult[Any], done: int) -> bool:
        """Has the heir told that the task is so far?"""
        row, by = self._row(result), self._place.runs.by_task[result.uuid][-1].pid
        return by != self._frozen.child.pid and (row.progress_done, row.progress_note) == (done, f"by {by}")
