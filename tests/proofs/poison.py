"""Poison: tasks that end their process, among many that do nothing. They are found, and nobody else is blamed.

A trigger in the database writes down every time that a message is blamed for a crash.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

from django.db import connections

from django_machinery import AsyncResult, Group, send_group
from django_machinery.models import Attempt, DeadLetter, TaskState
from tests.processes import Process
from tests.proofs import tasks
from tests.proofs.ledger import Ledger
from tests.proofs.site import Site, new_site
from tests.waiting import wait_until

BATCH = 500

_TRIGGERS = {
    "sqlite": """
        CREATE TRIGGER proof_blames AFTER UPDATE ON machinery_message WHEN NEW.crashes > OLD.crashes
        BEGIN INSERT INTO proof_blamed VALUES (NEW.uuid); END
    """,
    "postgresql": """
        CREATE FUNCTION proof_blame() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN INSERT INTO proof_blamed VALUES (NEW.uuid); RETURN NULL; END';
        CREATE TRIGGER proof_blames AFTER UPDATE ON machinery_message FOR EACH ROW
        WHEN (NEW.crashes > OLD.crashes) EXECUTE FUNCTION proof_blame()
    """,
}
_CLEANING = {
    "sqlite": ["DROP TRIGGER proof_blames"],
    "postgresql": ["DROP TRIGGER proof_blames ON machinery_message", "DROP FUNCTION proof_blame"],
}

HELP = "tasks that end their process, among others that do not"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--neighbours", type=int, default=20_000, help="default %(default)s")
    parser.add_argument("--guilty", type=int, default=1, help="default %(default)s")


def run(options: argparse.Namespace) -> Ledger:
    with new_site(options.engine) as place:
        return prove(place, options.neighbours, options.guilty, options.seed)


def prove(place: Site, neighbours: int, guilty: int, seed: int) -> Ledger:
    """Send all in an order of the seed, wait for the end of all, and see who was blamed."""
    database = place.server.config.database
    ledger = Ledger(f"poison on {database}: seed {seed}")
    with blamed(database) as blames:
        worker = place.worker(processes=2, concurrency=8)
        culprits = _send(neighbours, guilty, Random(seed))
        _wait_for_all(database, neighbours + 2 * guilty, worker)
        worker.terminate()
        status = worker.wait(timeout=60)
        found = Counter(blames())
    _judge(ledger, place, culprits, found, neighbours)
    ledger.promise("the worker ends with status 0", status == 0, worker.output)
    return ledger


def _send(neighbours: int, guilty: int, random: Random) -> list[AsyncResult[None]]:
    places = {random.randrange(neighbours // BATCH) for _ in range(guilty)}
    while len(places) < guilty:
        places.add(random.randrange(neighbours // BATCH))
    culprits = []
    for batch in range(neighbours // BATCH):
        if batch in places:
            culprits.append(tasks.die.using(on_error=[tasks.mourn.partial()]).send())
        send_group(Group(*[tasks.member.signature(number) for number in range(BATCH)]))
    return culprits


def _wait_for_all(database: str, count: int, worker: Process) -> None:
    states = TaskState.objects.using(database)
    wait_until(
        lambda: states.filter(state__in=("SUCCESS", "FAILURE")).count() >= count,
        timeout=600,
        interval=0.2,
        message=lambda: worker.output,
    )


def _judge(
    ledger: Ledger, place: Site, culprits: list[AsyncResult[None]], blames: Counter[str], neighbours: int
) -> None:
    database = place.server.config.database
    uuids = {culprit.uuid for culprit in culprits}
    runs = Counter({uuid: len(place.runs.by_task[uuid]) for uuid in uuids})
    succeeded = TaskState.objects.using(database).filter(name=tasks.member.name, state="SUCCESS").count()
    innocent = sum(number for uuid, number in blames.items() if uuid not in uuids)
    ledger.enter(neighbours=neighbours, neighbours_that_succeeded=succeeded, neighbours_blamed=innocent)
    ledger.enter(guilty=len(uuids), crashes=runs.total(), crashes_blamed=blames.total() - innocent)
    crashes = place.server.config.max_crashes
    ledger.promise("no neighbour is blamed, and all succeed", innocent == 0 and succeeded == neighbours, blames)
    ledger.promise("nothing but crashes of the guilty is recorded", _attempts(database) <= uuids)
    ledger.promise(
        f"each of the guilty is blamed {crashes} times", blames == Counter(dict.fromkeys(uuids, crashes)), blames
    )
    ledger.promise("and had run once beside others before that", set(runs.values()) == {crashes + 1}, runs)
    states = TaskState.objects.using(database).filter(uuid__in=uuids).values_list("state", "reason")
    ledger.promise("it fails for that reason", list(states) == [("FAILURE", "crash")] * len(uuids), list(states))
    letters = DeadLetter.objects.using(database).values_list("uuid", "reason", "crashes")
    buried = {(uuid, "poison", crashes) for uuid in uuids}
    ledger.promise("it becomes a dead letter, and nothing else does", set(letters) == buried, list(letters))
    mourned = [run for run in place.runs if run.words == ("mourn",)]
    ledger.promise("its error callback runs once", len(mourned) == len(uuids), mourned)


def _attempts(database: str) -> set[str]:
    return set(Attempt.objects.using(database).values_list("uuid", flat=True))


@contextmanager
def blamed(database: str) -> Iterator[Callable[[], list[str]]]:
    """Have the database write down who is blamed; gives a function that returns their UUIDs, one a time."""
    connection = connections[database]

    def uuids() -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT uuid FROM proof_blamed")
            return [uuid for (uuid,) in cursor.fetchall()]

    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE proof_blamed (uuid varchar(255))")
        cursor.execute(_TRIGGERS[connection.vendor])
    try:
        yield uuids
    finally:
        with connection.cursor() as cursor:
            for statement in (*_CLEANING[connection.vendor], "DROP TABLE proof_blamed"):
                cursor.execute(statement)
