"""Senders that crash between the commit of their transaction and the end of the send, with a broker elsewhere.

What they committed is to be run, once a worker has relayed what the outbox still has; what was rolled back is not.
"""

import argparse
from collections import Counter

from django_machinery.models import Message, TaskState
from tests.app.models import Account
from tests.proofs import tasks
from tests.proofs.ledger import Ledger
from tests.proofs.sender import IN_THE_TRANSACTION, POINTS
from tests.proofs.site import Site, new_site
from tests.waiting import wait_until

HELP = "senders that end themselves between commit and publish"
TWICE = ("published", "outbox deleted")
"""Where the message is with the broker, and in the outbox still."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--crashes", type=int, default=1000, help="at the five points, default %(default)s")


def run(options: argparse.Namespace) -> Ledger:
    with new_site(options.engine, toy=True) as place:
        return prove(place, options.crashes, options.seed)


def prove(place: Site, crashes: int, seed: int) -> Ledger:
    """Let senders crash, then let a worker run what they have left."""
    database = place.server.config.database
    ledger = Ledger(f"crashing senders on {database}, with a broker elsewhere: seed {seed}")
    senders = place.start("-m", "tests.proofs.sender", str(crashes), str(seed))
    status = senders.wait(timeout=20 + crashes * 0.5)
    ended = Counter(senders.output.splitlines())
    missed = [line for line in ended if line not in (*POINTS, IN_THE_TRANSACTION)]
    ledger.promise("every sender ended at its point", status == 0 and not missed, senders.output[:2000])
    left = Message.objects.using(database).filter(status=Message.Status.OUTBOX).count()
    committed = set(Account.objects.using(database).values_list("name", flat=True))
    _run_all(place, len(committed))
    _judge(ledger, place, ended, committed)
    ledger.enter(left_in_the_outbox=left)
    return ledger


def _run_all(place: Site, count: int) -> None:
    worker = place.worker(processes=2, concurrency=4)
    broker, queue = place.server.broker, place.server.config.default_queue
    messages = Message.objects.using(place.server.config.database)

    def all_ran() -> bool:
        return len(place.runs.by_task) >= count and not messages.exists() and not broker.depth(queue)

    wait_until(all_ran, timeout=120, message=lambda: worker.output)
    worker.terminate()
    worker.wait(timeout=60)


def _judge(ledger: Ledger, place: Site, ended: Counter[str], committed: set[str]) -> None:
    ran = place.runs.by_task
    lost, phantoms = committed - ran.keys(), ran.keys() - committed
    twice = sum(len(runs) - 1 for runs in ran.values())
    crashes = sum(ended[point] for point in POINTS)
    ledger.enter(crashes=crashes, in_the_transaction=ended[IN_THE_TRANSACTION], committed=len(committed), done=len(ran))
    ledger.enter(lost=len(lost), sent_though_rolled_back=len(phantoms), duplicated=twice)
    ledger.promise("0 lost: what was committed has run", not lost, lost)
    ledger.promise("0 sent that were rolled back", not phantoms, phantoms)
    states = TaskState.objects.using(place.server.config.database).filter(name=tasks.tell.name)
    done = states.filter(state="SUCCESS").count()
    ledger.promise("every state is SUCCESS, and there is one a task", done == states.count() == len(committed))
    most = 3 * sum(ended[point] for point in TWICE)  # a send is a task or a group of three
    ledger.promise("twice ran at most what was with the broker and in the outbox", twice <= most, twice)
