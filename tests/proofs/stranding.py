"""Stranding: a long task does not hold up messages that another, idle process could run.

A process claims a little more than it runs. Each round a long task is sent among short ones, to processes that have
just seen nothing but short ones and so claim the most. Measured is how long a short one has to wait for its start while
the long one runs.
"""

import argparse
import time
from random import Random

from django_machinery import Group, send_group
from django_machinery.models import Message
from tests.processes import Process
from tests.proofs import tasks
from tests.proofs.ledger import Ledger, percentile
from tests.proofs.site import Site, new_site
from tests.waiting import wait_until

SHORT = 60
SHORT_MS = 5
AT_MOST = 5.0
"""Seconds: what is not started after one goes back, and then another process has to find it."""

HELP = "how long short tasks wait that a process with a long one has claimed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=20, help="default %(default)s")


def run(options: argparse.Namespace) -> Ledger:
    with new_site(options.engine) as place:
        return prove(place, options.rounds, options.seed)


def prove(place: Site, rounds: int, seed: int) -> Ledger:
    """Two processes of one thread each: one is always idle when the other is held up."""
    ledger = Ledger(f"stranding on {place.server.config.database}: seed {seed}")
    random = Random(seed)
    worker = place.worker(processes=2, concurrency=1)
    waits = [wait for number in range(rounds) for wait in _round(place, worker, number, random)]
    slow = sum(1 for wait in waits if wait > 1.0)
    ledger.enter(long_tasks=rounds, short_tasks=len(waits), waited_over_a_second=slow)
    ledger.enter(p50_seconds=percentile(waits, 0.5), p99_seconds=percentile(waits, 0.99), max_seconds=max(waits))
    ledger.promise(
        f"every short task starts within {AT_MOST:g} seconds, the long one still running", max(waits) <= AT_MOST
    )
    return ledger


def _round(place: Site, worker: Process, number: int, random: Random) -> list[float]:
    """Seconds from the sending of each short task until its start. The long one ends after all of them."""
    _send_short(place, worker)
    gate = place.directory / f"gate-{number}"
    signatures = [tasks.work.signature(i, SHORT_MS) for i in range(SHORT)]
    signatures.insert(random.randrange(SHORT), tasks.hold.signature(number, str(gate)))
    sent_at = time.time()
    sent = send_group(Group(*signatures))
    uuids = {result.uuid for result in sent.results}
    wait_until(lambda: uuids <= place.runs.by_task.keys(), timeout=60, message=lambda: worker.output)
    gate.touch()
    _wait_for_all(place, worker)
    runs = [place.runs.by_task[uuid][0] for uuid in uuids]
    return [run.at - sent_at for run in runs if run.words[0] == "work"]


def _send_short(place: Site, worker: Process) -> None:
    """What the processes judge the next tasks by."""
    send_group(Group(*[tasks.work.signature(i, SHORT_MS) for i in range(SHORT)]))
    _wait_for_all(place, worker)


def _wait_for_all(place: Site, worker: Process) -> None:
    messages = Message.objects.using(place.server.config.database)
    wait_until(lambda: not messages.exists(), timeout=60, message=lambda: worker.output)
