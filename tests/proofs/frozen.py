"""Frozen: workers are stopped for longer than their lease, another takes over, and they wake up.

They finish what they were doing, and nothing that is stored may change by that. One is stopped as a whole, as by a
machine that is suspended; of the other a child alone, while its supervisor goes on.
"""

import argparse
import signal
import time
from dataclasses import dataclass
from random import Random
from typing import Any

from django.db.models import Model

from django_machinery import Chord, Group, send_chord
from django_machinery.models import Attempt, DeadLetter, GroupMeta, Message, TaskState
from django_machinery.results import ChordResult
from tests.processes import Process
from tests.proofs import tasks
from tests.proofs.ledger import Ledger
from tests.proofs.site import Site, new_site
from tests.proofs.victims import Victim, holders
from tests.waiting import wait_until

THREADS = 4
RECORDS: tuple[type[Model], ...] = (TaskState, GroupMeta, Attempt, DeadLetter, Message)
"""What must not change. Beats and leases of workers do."""
REFUSED = "was lost: its messages go to others"
"""What the log says of each outcome that came too late."""

HELP = "stop workers past their lease, let them go on, and compare what is stored"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lease", type=float, default=10.0, help="seconds, default %(default)s")


def run(options: argparse.Namespace) -> Ledger:
    with new_site(options.engine, LEASE=options.lease) as place:
        return prove(place, options.seed)


@dataclass
class Frozen:
    """A worker of one child."""

    what: str
    process: Process
    child: Victim
    whole: bool
    """Its supervisor is stopped too."""

    def freeze(self) -> None:
        self.child.stop()
        if self.whole:
            self.process.signal(signal.SIGSTOP)

    def refused(self) -> int:
        """How many of its outcomes came too late."""
        return self.process.output.count(REFUSED)

    def thaw(self) -> None:
        if self.whole:
            self.process.signal(signal.SIGCONT)
        self.child.go_on()


def prove(place: Site, seed: int) -> Ledger:
    """Freeze two workers in the middle of a chord, have them taken over, thaw them, and look."""
    config = place.server.config
    ledger = Ledger(f"frozen on {config.database}, with a lease of {config.lease:g} s: seed {seed}")
    sleepers = [place.worker(processes=1, concurrency=THREADS) for _ in range(2)]
    heir = place.worker(processes=1, concurrency=THREADS)
    chord = _send_chord(place, 3 * THREADS)
    uuids = {result.uuid for result in chord.group.results}
    wait_until(lambda: uuids <= place.runs.by_task.keys(), timeout=30, message=lambda: heir.output)
    time.sleep(Random(seed).uniform(0.0, 1.0))
    frozen = _freeze(config.database, *sleepers)
    (place.directory / "gate").touch()
    value = chord.get(timeout=6 * config.lease + 20)
    wait_until(lambda: not Message.objects.using(config.database).exists(), message=lambda: heir.output)
    before = stored(config.database)
    for sleeper in frozen:
        sleeper.thaw()
    heir.terminate()
    ledger.promise("the heir ends with status 0", heir.wait(timeout=40) == 0, heir.output)
    _judge_frozen(place, ledger, frozen, uuids)
    ledger.promise("the chord's result is right", value == sum(range(3 * THREADS)))
    changed = changes(before, stored(config.database))
    ledger.promise("waking up changed nothing that is stored", not changed, changed)
    return ledger


def _send_chord(place: Site, size: int) -> ChordResult:
    members = [tasks.hold.signature(number, str(place.directory / "gate")) for number in range(size)]
    callback = tasks.total.partial(0).replace(on_success=[tasks.follow.partial()])
    return send_chord(Chord(Group(*members), callback))


def _freeze(database: str, worker: Process, other: Process) -> list[Frozen]:
    frozen = []
    for what, process in (("worker", worker), ("child", other)):
        [child] = holders(database, {process.pid})
        frozen.append(Frozen(what, process, child, whole=what == "worker"))
    for sleeper in frozen:
        sleeper.freeze()
    return frozen


def _judge_frozen(place: Site, ledger: Ledger, frozen: list[Frozen], uuids: set[str]) -> None:
    """What they held has run twice, in two places; each had its outcomes refused, works again, and ends in order."""
    probes = [tasks.member.send(7) for _ in range(20)]
    works = [probe.get(timeout=60) for probe in probes] == [7] * len(probes)
    ledger.promise("they work again", works)
    place.server.backend.purge([probe.uuid for probe in probes])
    runs = place.runs.by_task
    for sleeper in frozen:
        what, process = sleeper.what, sleeper.process
        wait_until(sleeper.refused, message=f"{what}: no outcome was refused")
        process.terminate()
        ledger.promise(f"{what}: it ends with status 0", process.wait(timeout=60) == 0, process.output)
        ledger.enter(**{f"{what} frozen, holding": len(sleeper.child.held)})
        ledger.enter(**{f"{what} frozen, outcomes refused": sleeper.refused()})
    held = {uuid for sleeper in frozen for uuid in sleeper.child.held}
    twice = {uuid for uuid in uuids if len({run.pid for run in runs[uuid]}) == 2}
    ledger.enter(run_again_elsewhere=len(twice))
    ledger.promise("what they held was run again elsewhere, and nothing else", bool(held) and held == twice)


def stored(database: str) -> list[dict[str, Any]]:
    """All rows of `RECORDS`."""
    return [
        dict(row, table=model.__name__) for model in RECORDS for row in model._default_manager.using(database).values()
    ]


def changes(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that there are only before, or only after."""
    return [row for row in before if row not in after] + [row for row in after if row not in before]
