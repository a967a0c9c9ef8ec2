"""Rounds: each measures every contender once, one after the other, so that all meet the machine in the same moods."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Self

from tests.benchmarks.contenders import Entry, Role
from tests.benchmarks.executables import Executables
from tests.benchmarks.figures import Figures, figures
from tests.benchmarks.remote import Remote, remote
from tests.benchmarks.stores import Store
from tests.benchmarks.target import Target
from tests.benchmarks.usage import resident
from tests.processes import Process

SETUP_LIMIT = 60.0  # seconds
STOP_LIMIT = 30.0
PEERS_FEWER = 4
"""How many times fewer round trips, and sends one by one, peers do."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    tasks: int = 20_000  # drained, and sent in bulk
    sends: int = 2_000  # one by one
    round_trips: int = 200
    gap: float = 0.1  # seconds of idleness before a round trip, on average
    limit: float = 600.0  # seconds that a step may take

    def divided(self, divisor: int) -> Self:
        return replace(
            self, tasks=self.tasks // divisor, sends=self.sends // divisor, round_trips=self.round_trips // divisor
        )

    def of(self, entry: Entry) -> Self:
        """What this contender is given of it."""
        others = PEERS_FEWER if entry.role in (Role.PEER, Role.ORIGINAL) else 1
        trips = max(2, self.round_trips // others)
        return replace(self, tasks=round(self.tasks * entry.share), sends=self.sends // others, round_trips=trips)

    def describe(self) -> str:
        return (
            f"{self.tasks:,} tasks drained and sent in bulk by 1,000, {self.sends:,} sent one by one, "
            f"{self.round_trips} round trips {self.gap * 1000:.0f} ms apart; "
            f"of one by one and round trips the original and peers do a {PEERS_FEWER}th"
        )


@dataclass
class Measured:
    """What the rounds of one contender have given."""

    figures: list[Figures] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def measure(entry: Entry, executables: Executables, store: Store, sizes: Sizes) -> Figures:
    """One round of one contender on a new database. Raises RuntimeError when a task was lost."""
    with store.fresh() as target, _steps(entry, executables, target) as step:
        step("create", limit=SETUP_LIMIT)
        step("fill", sizes.tasks, limit=sizes.limit)
        with workers(entry, target, executables) as processes:
            pids = tuple(process.pid for process in processes)
            drain = ("drain", sizes.tasks, sizes.limit, pids, store.pids)
            drained = _watched(processes, step, *drain, limit=sizes.limit + 10)
            memory = resident(*pids)
            if (ended := step("ended_well", limit=SETUP_LIMIT)) != sizes.tasks:
                raise RuntimeError(f"{entry.key}: of {sizes.tasks} tasks {ended} have succeeded")
            trips = _watched(processes, step, "round_trips", sizes.round_trips, sizes.gap, limit=sizes.limit)
        singly = step("send_singly", sizes.sends, limit=sizes.limit)
        bulk = step("send_in_bulk", sizes.tasks, limit=sizes.limit)
    return figures(drained, singly, bulk, trips, memory)


def run(
    entries: Sequence[Entry],
    executables: Mapping[str, Executables],
    stores: Mapping[str, Store],
    sizes: Sizes,
    rounds: int,
) -> dict[str, Measured]:
    """What each entry has given, by its key; says on standard error how far it is. A round that fails is noted."""
    measured = {entry.key: Measured() for entry in entries}
    for number in range(1, rounds + 1):
        for entry in entries:
            sys.stderr.write(f"round {number} of {rounds}: {entry.key}\n")
            try:
                found = measure(entry, executables[entry.key], stores[entry.engine], sizes.of(entry))
            except (RuntimeError, TimeoutError) as error:
                sys.stderr.write(f"{error}\n")
                measured[entry.key].failures.append(f"round {number}: {str(error).splitlines()[0]}")
            else:
                measured[entry.key].figures.append(found)
    return measured


def environment(entry: Entry, target: Target) -> dict[str, str]:
    """What the processes of a contender are started with."""
    return {**target.environment, "DJANGO_SETTINGS_MODULE": "tests.benchmarks.settings"}


@contextmanager
def workers(entry: Entry, target: Target, executables: Executables) -> Iterator[list[Process]]:
    """A contender's worker processes, for as long as the block lasts."""
    command = [executables.worker, *(word.replace("{host}", target.host) for word in entry.worker)]
    with ExitStack() as stack:
        started = [
            stack.enter_context(Process(*command, environment=environment(entry, target)))
            for _ in range(entry.commands)
        ]
        yield started
        for process in started:
            process.terminate()
        for process in started:
            process.wait(timeout=STOP_LIMIT)


@contextmanager
def _steps(entry: Entry, executables: Executables, target: Target) -> Iterator[Remote]:
    variables = {**environment(entry, target), **executables.environment}
    with remote(executables.python, entry.program, variables) as step:
        yield step


def _watched(processes: Sequence[Process], step: Remote, *arguments: Any, limit: float) -> Any:
    """Do a step that needs the workers; when it fails, what they have written is part of the error."""
    try:
        return step(*arguments, limit=limit)
    except RuntimeError as error:
        raise RuntimeError("\n".join([str(error), *(process.output[-4000:] for process in processes)])) from error
