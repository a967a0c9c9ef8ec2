"""Rescue: a supervisor and its children are killed together, and another worker takes over what they held.

Measured is the time from the kill to the start of the next run of each message that was stranded: the rest of the
lease, the sweep, and the start of a process in which suspects run alone.
"""

import argparse
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from django_machinery import Group, send_group
from django_machinery.models import Message
from tests.processes import Process
from tests.proofs import tasks
from tests.proofs.ledger import Ledger, percentile
from tests.proofs.site import Site, new_site
from tests.proofs.victims import holders
from tests.waiting import wait_until

CHILDREN, THREADS = 2, 4
AT_MOST = 20.0
"""Seconds that the slowest but one in a hundred may wait."""

HELP = "how soon another worker runs what a killed one held"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kills", type=int, default=20, help="default %(default)s")


def run(options: argparse.Namespace) -> Ledger:
    with new_site(options.engine) as place:
        return prove(place, options.kills)


@dataclass
class Strike:
    """A worker that was killed."""

    at: float
    """`time.time()`."""
    pids: Sequence[int]
    held: Sequence[str]


def prove(place: Site, kills: int) -> Ledger:
    """Kill `kills` workers, each as soon as all of its threads are busy, beside one that lives."""
    database = place.server.config.database
    ledger = Ledger(f"rescue on {database}")
    rescuer = place.worker(processes=CHILDREN, concurrency=THREADS)
    victim = place.start_worker(processes=CHILDREN, concurrency=THREADS)
    strikes = []
    for number in range(kills):
        victim.wait_for_line("READY", timeout=60)
        successor = place.start_worker(processes=CHILDREN, concurrency=THREADS) if number + 1 < kills else rescuer
        strikes.append(strike(place, victim, f"gate-{number}"))
        victim = successor
    wait_until(lambda: not Message.objects.using(database).exists(), timeout=120, message=lambda: rescuer.output)
    waits = [wait for struck in strikes for wait in _waits(place, struck)]
    stranded = sum(len(struck.held) for struck in strikes)
    ledger.enter(kills=kills, stranded=stranded, rescued=len(waits))
    ledger.enter(p50_seconds=percentile(waits, 0.5), p99_seconds=percentile(waits, 0.99), max_seconds=max(waits))
    ledger.promise("each kill stranded messages", all(struck.held for struck in strikes))
    ledger.promise("every stranded message was run by another worker", len(waits) == stranded)
    p99 = percentile(waits, 0.99)
    ledger.promise(f"99 of 100 were run again within {AT_MOST:g} seconds", p99 <= AT_MOST, p99)
    return ledger


def strike(place: Site, victim: Process, gate: str) -> Strike:
    """Let the victim fill its threads, kill it with its children, and let everybody else go on."""
    file = place.directory / gate
    capacity = 2 * CHILDREN * THREADS  # of two workers, so that none can take it all
    sent = send_group(Group(*[tasks.hold.signature(number, str(file)) for number in range(capacity)]))
    wanted = {result.uuid for result in sent.results}
    wait_until(lambda: wanted <= place.runs.by_task.keys(), timeout=60, message=lambda: victim.output)
    children = holders(place.server.config.database, {victim.pid})
    for child in children:
        child.stop()
    os.killpg(victim.pid, signal.SIGKILL)
    at = time.time()
    victim.kill()
    file.touch()
    return Strike(at, [child.pid for child in children], [uuid for child in children for uuid in child.held])


def _waits(place: Site, struck: Strike) -> list[float]:
    """Seconds until the next run of each message that was held, of those that have one."""
    found = []
    for uuid in struck.held:
        later = [run.at for run in place.runs.by_task[uuid] if run.at > struck.at and run.pid not in struck.pids]
        found += [min(later) - struck.at] if later else []
    return found
