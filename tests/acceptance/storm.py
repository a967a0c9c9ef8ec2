"""The kill storm: worker processes are killed while they work, and a ledger tells what became of every task.

Tasks, groups and chords are sent while four worker processes under two supervisors run them. Again and again one of the
processes that hold deliveries is stopped, what it holds is written down, and it is killed with SIGKILL; every tenth
time it is a supervisor, by turns alone and with its children.
"""

import argparse
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from django_machinery import Chord, Group, send_chord, send_group
from django_machinery.models import DeadLetter, GroupMeta, Message, TaskState
from django_machinery.results import AsyncResult
from tests.processes import Process
from tests.proofs import tasks
from tests.proofs.ledger import Ledger
from tests.proofs.site import Site, new_site
from tests.proofs.victims import Victim, holders

SUPERVISORS, CHILDREN, THREADS = 2, 2, 8
TASK_MS = 50
BACKLOG = 500
"""How many tasks wait before no more are sent for now."""
SUPERVISOR_EVERY, FIRST_SUPERVISOR = 10, 5
"""Which kills hit a supervisor: the fifth, the fifteenth, ..."""
BLAMED = 2
"""How often one message may be killed: the third time it would be a dead letter, as it is documented."""
PATIENCE = 120.0
"""Seconds without any progress after which the proof has failed."""

HELP = "kill workers while they run tasks, groups and chords"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tasks", type=int, default=20_000, help="default %(default)s")
    parser.add_argument("--kills", type=int, default=31, help="default %(default)s")


def run(options: argparse.Namespace) -> Ledger:
    with new_site(options.engine) as place:
        return prove(place, options.tasks, options.kills, options.seed)


def prove(place: Site, count: int, kills: int, seed: int) -> Ledger:
    """Send `count` tasks or a few more, kill `kills` times meanwhile, and wait for the end of all."""
    storm = Storm(place, count, kills, Random(seed))
    began = time.monotonic()
    storm.rage()
    ledger = storm.ledger(f"kill storm on {storm.database}: seed {seed}")
    ledger.enter(seconds=time.monotonic() - began)
    return ledger


@dataclass
class Sent:
    """What was acknowledged, by what has to come of it."""

    results: dict[str, int] = field(default_factory=dict)
    """The UUIDs of tasks with what each has to return."""
    callbacks: list[str] = field(default_factory=list)
    attempted: int = 0

    def add(self, handle: AsyncResult[int], value: int) -> None:
        self.results[handle.uuid] = value


@dataclass
class Strike:
    """One kill."""

    kind: str
    held: list[str]


class Storm:
    """Sends, kills, waits, and then looks at every row."""

    def __init__(self, place: Site, count: int, kills: int, random: Random) -> None:
        self.database = place.server.config.database
        self._place = place
        self._count = count
        self._kills = kills
        self._random = random
        self._sent = Sent()
        self._strikes: list[Strike] = []
        self._hits: Counter[str] = Counter()
        self._supervisors: list[Process] = []
        self._statuses: list[int] = []
        self._numbers = iter(range(10**9))

    def rage(self) -> None:
        """Until all that was sent has ended. Raises TimeoutError when nothing moves any more."""
        self._supervisors = [self._start_supervisor() for _ in range(SUPERVISORS)]
        for supervisor in self._supervisors:
            supervisor.wait_for_line("READY", timeout=60)
        sending = self._send()
        moved, before = time.monotonic(), -1
        while self._goes_on(sending):
            if len(self._strikes) < self._kills and len(self._place.runs) > self._next_kill_at():
                self._strike()
            if len(self._place.runs) != before:
                moved, before = time.monotonic(), len(self._place.runs)
            elif time.monotonic() - moved > PATIENCE:
                raise TimeoutError("\n".join(["nothing moves", *(process.output for process in self._supervisors)]))
            time.sleep(0.01)
        for supervisor in self._supervisors:
            supervisor.terminate()
        self._statuses = [supervisor.wait(timeout=60) for supervisor in self._supervisors]

    def ledger(self, title: str) -> Ledger:
        """What became of everything."""
        ledger = Ledger(title)
        runs = self._place.runs.by_task
        ended = self._ended()
        done = {uuid for uuid, value in self._sent.results.items() if ended.get(uuid) == value and uuid in runs}
        lost = self._sent.results.keys() - done
        duplicated = {uuid: len(found) - 1 for uuid, found in runs.items() if len(found) > 1}
        held = sum(len(strike.held) for strike in self._strikes)
        ledger.enter(attempted=self._sent.attempted, acknowledged=len(self._sent.results), done=len(done))
        ledger.enter(lost=len(lost), duplicated=sum(duplicated.values()), kills=len(self._strikes))
        ledger.enter(kills_of=_listed(Counter(strike.kind for strike in self._strikes)), held_by_the_killed=held)
        ledger.promise("every acknowledged task has run and has its result, in its first generation", not lost, lost)
        ledger.promise(f"at least {self._kills} kills", len(self._strikes) >= self._kills)
        ledger.promise("duplicates are at most the deliveries held by the killed", sum(duplicated.values()) <= held)
        unhit = {uuid: number for uuid, number in duplicated.items() if number > self._hits[uuid]}
        ledger.promise("a task ran again only where a kill hit it", not unhit, unhit)
        self._judge_chords(ledger)
        self._judge_leftovers(ledger)
        return ledger

    def _send(self) -> Iterator[None]:
        """One send after another, as long as there is room in the backlog."""
        while self._sent.attempted < self._count:
            kind = self._random.choices(("task", "group", "chord"), (8, 1, 1))[0]
            getattr(self, f"_send_{kind}")(self._random.randrange(2, 21))
            yield

    def _send_task(self, _: int) -> None:
        number = next(self._numbers)
        self._sent.attempted += 1
        self._sent.add(tasks.work.send(number, TASK_MS), number)

    def _send_group(self, size: int) -> None:
        numbers = [next(self._numbers) for _ in range(size)]
        self._sent.attempted += size
        result = send_group(Group(*[tasks.work.signature(number, TASK_MS) for number in numbers]))
        for handle, number in zip(result.results, numbers, strict=True):
            self._sent.add(handle, number)

    def _send_chord(self, size: int) -> None:
        """The callback has a follow-up of its own."""
        numbers = [next(self._numbers) for _ in range(size)]
        self._sent.attempted += size + 1
        callback = tasks.total.partial(TASK_MS).replace(on_success=[tasks.follow.partial()])
        result = send_chord(Chord(Group(*[tasks.work.signature(n, TASK_MS) for n in numbers]), callback))
        for handle, number in zip(result.group.results, numbers, strict=True):
            self._sent.add(handle, number)
        self._sent.add(result.callback, sum(numbers))
        self._sent.callbacks.append(result.callback.uuid)

    def _goes_on(self, sending: Iterator[None]) -> bool:
        """Send on while there is room; afterwards, is anything left to run?"""
        ran = len(self._place.runs.by_task)
        if self._sent.attempted - ran < BACKLOG and any(True for _ in sending):
            return True
        expected = self._sent.attempted + len(self._sent.callbacks)
        return ran < expected or self._has_messages()

    def _has_messages(self) -> bool:
        return Message.objects.using(self.database).exists()

    def _holders(self, supervisors: Collection[int]) -> Sequence[Victim]:
        return holders(self.database, supervisors)

    def _next_kill_at(self) -> float:
        """Runs, so that kills are spread over the whole storm whatever the machine."""
        return (len(self._strikes) + 0.5) * 0.9 * self._count / self._kills

    def _strike(self) -> None:
        found = self._holders({supervisor.pid for supervisor in self._supervisors})
        if not found:
            return
        if len(self._strikes) % SUPERVISOR_EVERY == FIRST_SUPERVISOR - 1:
            self._kill_supervisor()
        else:
            self._kill_child(self._random.choice(found))

    def _kill_child(self, victim: Victim) -> None:
        victim.stop()
        if not victim.held or any(self._hits[uuid] >= BLAMED for uuid in victim.held):
            victim.go_on()
            return
        victim.kill()
        self._note("child for suspects" if victim.solo else "child", victim.held)

    def _kill_supervisor(self) -> None:
        supervisor = self._random.choice(self._supervisors)
        with_children = len([s for s in self._strikes if s.kind.startswith("supervisor")]) % 2 == 1
        victims = self._holders({supervisor.pid}) if with_children else []
        for victim in victims:
            victim.stop()
        if with_children:
            os.killpg(supervisor.pid, signal.SIGKILL)
        supervisor.kill()
        held = [uuid for victim in victims for uuid in victim.held]
        self._note("supervisor with children" if with_children else "supervisor", held)
        self._supervisors.remove(supervisor)
        self._supervisors.append(self._start_supervisor())

    def _start_supervisor(self) -> Process:
        return self._place.start_worker(processes=CHILDREN, concurrency=THREADS)

    def _note(self, kind: str, held: list[str]) -> None:
        self._strikes.append(Strike(kind, held))
        self._hits.update(held)

    def _ended(self) -> dict[str, int]:
        """What each task that has succeeded has returned, of those that nobody has started anew."""
        rows = TaskState.objects.using(self.database).filter(state="SUCCESS", generation=0)
        return {uuid: json.loads(results or "[]")[0]["Value"] for uuid, results in rows.values_list("uuid", "results")}

    def _judge_chords(self, ledger: Ledger) -> None:
        """One callback a chord, and one follow-up a callback, by what ran and by what is stored."""
        callbacks = set(self._sent.callbacks)
        again = sum(1 for uuid in callbacks if len(self._place.runs.by_task.get(uuid, ())) > 1)
        ledger.enter(chords=len(callbacks), callbacks_that_a_kill_hit=again)
        stored, follow_ups = self._stored(tasks.total.name), self._stored(tasks.follow.name)
        ran = {run.task for run in self._place.runs if run.words == ("total",)}
        ledger.promise("each chord has one callback, under the UUID that was returned", set(stored) == callbacks == ran)
        parents = Counter(follow_ups.values())
        followed = {run.task for run in self._place.runs if run.words == ("follow",)}
        once = parents == Counter(callbacks) and set(follow_ups) == followed
        ledger.promise("each callback has one set of follow-ups", once, parents - Counter(callbacks))

    def _stored(self, name: str) -> dict[str, str | None]:
        """The tasks of that name that have succeeded, with their parents."""
        rows = TaskState.objects.using(self.database).filter(name=name, state="SUCCESS", generation=0)
        return dict(rows.values_list("uuid", "parent_uuid"))

    def _judge_leftovers(self, ledger: Ledger) -> None:
        letters = list(DeadLetter.objects.using(self.database).values_list("uuid", "reason"))
        ledger.promise("nothing became a dead letter", not letters, letters)
        open_groups = GroupMeta.objects.using(self.database).exclude(remaining=0, failed=0, settled_at__isnull=False)
        ledger.promise("all groups are settled, with nothing left to count", not open_groups, list(open_groups))
        unfinished = TaskState.objects.using(self.database).exclude(state="SUCCESS").count()
        ledger.promise("no other task is left", not unfinished, unfinished)
        ledger.promise("the surviving workers end with status 0", not any(self._statuses), self._statuses)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
