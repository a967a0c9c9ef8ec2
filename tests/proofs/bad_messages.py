"""Bad messages through a worker: half of them by the database, half by a broker that takes any bytes.

The worker's processes are the same at the end as at the beginning, and each message has come to what it should: a dead
letter if it cannot be decoded, parked if nobody knows its task, else a state that says why it is not a success.
"""

import argparse
import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django_machinery.exceptions import DecodeError
from django_machinery.models import Attempt, DeadLetter, Message, TaskState
from django_machinery.protocol.signature import Signature
from django_machinery.server import Server
from tests.proofs.ledger import Ledger
from tests.proofs.mutations import Mutator
from tests.proofs.site import Site, new_site
from tests.proofs.victims import children_of
from tests.waiting import wait_until

HELP = "mutated messages through a worker, by the database and by a toy broker"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, default=10_000, help="default %(default)s")
    parser.add_argument("--toy", action="store_true", help="by the toy broker, not by the database")


def run(options: argparse.Namespace) -> Ledger:
    with new_site(options.engine, toy=options.toy) as place:
        return prove(place, options.messages, options.seed)


def prove(place: Site, count: int, seed: int) -> Ledger:
    """Put `count` bad messages on the queue and let a worker have them."""
    server = place.server
    queue = ToyQueue(place) if server.broker.store is None else DatabaseQueue(place)
    ledger = Ledger(
        f"bad messages by {server.config.broker.partition(':')[0]} on {server.config.database}: seed {seed}"
    )
    mutator = Mutator(seed)
    bodies = queue.put([queue.possible(mutator.message(f"bad-{number}")) for number in range(count)])
    fates = {key: expected(server, body) for key, body in bodies.items()}
    parked = {key for key, (fate, _) in fates.items() if fate == "parked"}
    worker = place.worker(processes=2, concurrency=4)
    processes = set(children_of(worker.pid))
    wait_until(lambda: queue.left() <= parked, timeout=60 + count * 0.05, message=lambda: worker.output[-5000:])
    same = set(children_of(worker.pid)) == processes
    worker.terminate()
    status = worker.wait(timeout=60)
    ledger.enter(messages=count, **Counter(fate for fate, _ in fates.values()))
    ledger.promise("no process of the worker has ended", same and status == 0, worker.output[-2000:])
    ledger.promise("what nobody knows is parked", queue.left() == parked, len(parked ^ queue.left()))
    _judge(ledger, server, bodies, fates)
    stumbled = worker.output.count("could not be worked on")
    ledger.promise("the worker has not met an error of its own", not stumbled, worker.output[-3000:])
    return ledger


def expected(server: Server, body: bytes) -> tuple[str, Signature | None]:
    """What has to become of a message, and what it says."""
    try:
        signature = server.decode(body)
    except DecodeError:
        return "undecodable", None
    if server.registry.find(signature.name) is not None:
        return "run", signature
    return "ignored" if signature.ignore_when_task_not_registered else "parked", signature


def _judge(
    ledger: Ledger, server: Server, bodies: Mapping[Any, bytes], fates: Mapping[Any, tuple[str, Signature | None]]
) -> None:
    database = server.config.database
    rows = list(DeadLetter.objects.using(database).values_list("body", "reason", "detail"))
    buried = Counter(reason for _, reason, _ in rows)
    ledger.enter(**{f"dead letters: {reason}": number for reason, number in sorted(buried.items())})
    letters = Counter(bytes(body) for body, _, detail in rows if detail)
    undecodable = Counter(body for key, body in bodies.items() if fates[key][0] == "undecodable")
    # Some bodies come twice. Only a broker in the database knows them apart: elsewhere they may be one message again.
    tells_apart = server.broker.store is not None
    ledger.enter(different_undecodable=len(undecodable))
    unexplained = [body for body, n in undecodable.items() if letters[body] != (n if tells_apart else 1)]
    ledger.promise("each that cannot be decoded is a dead letter that says why", not unexplained, unexplained[:3])
    states = {state["uuid"]: state for state in TaskState.objects.using(database).values()}
    retried = set(Attempt.objects.using(database).exclude(error="").values_list("uuid", flat=True))
    ran = [(bodies[key], signature) for key, (fate, signature) in fates.items() if fate == "run"]
    ended = Counter(states[s.uuid]["state"] if s.uuid in states else "buried" for _, s in ran if s is not None)
    ledger.enter(**{f"run: {state}": number for state, number in sorted(ended.items())})
    silent = [
        body for body, s in ran if s is not None and not _is_explained(s, states, retried) and body not in letters
    ]
    ledger.promise("what was run has a result, or an error and its reason", not silent, silent[:3])


def _is_explained(signature: Signature, states: Mapping[str, Mapping[str, Any]], retried: Collection[str]) -> bool:
    state = states.get(signature.uuid)
    if state is None:
        return False
    if state["state"] == "FAILURE":
        return bool(state["error"] and state["reason"])
    return state["state"] == "SUCCESS" or (state["state"] == "RETRY" and signature.uuid in retried)


class DatabaseQueue:
    """Messages are rows, whose bodies are text."""

    def __init__(self, place: Site) -> None:
        self._queue = place.server.config.default_queue
        self._messages = Message.objects.using(place.server.config.database)

    def possible(self, body: bytes) -> bytes:
        return body.decode(errors="replace").replace("\0", "").encode()

    def put(self, bodies: list[bytes]) -> dict[Any, bytes]:
        """Each with the key that it is found by."""
        now = datetime.now(UTC)
        rows = [
            Message(
                uuid=f"row-{number}",
                queue=self._queue,
                name="",
                status=Message.Status.READY,
                rank=0,
                due_at=now,
                created_at=now,
                body=body.decode(),
            )
            for number, body in enumerate(bodies)
        ]
        self._messages.bulk_create(rows, batch_size=500)
        return {f"row-{number}": body for number, body in enumerate(bodies)}

    def left(self) -> set[Any]:
        """The keys of what is still there."""
        return set(self._messages.filter(uuid__startswith="row-").values_list("uuid", flat=True))


class ToyQueue:
    """Messages are bytes in a file."""

    def __init__(self, place: Site) -> None:
        self._broker: Any = place.server.broker
        self._queue = place.server.config.default_queue
        self._path: Path = place.directory / "messages"
        self._last = 0

    def possible(self, body: bytes) -> bytes:
        return body

    def put(self, bodies: list[bytes]) -> dict[Any, bytes]:
        """Each with the key that it is found by."""
        for body in bodies:
            self._broker.publish_bytes(self._queue, body)
        self._last = len(bodies)
        return dict(enumerate(bodies, start=1))

    def left(self) -> set[Any]:
        """The keys of what is still there; follow-ups, which come later, have larger ones."""
        connection = sqlite3.connect(self._path)
        try:
            rows = connection.execute("SELECT id FROM message WHERE id <= ?", (self._last,))
            return {id for (id,) in rows}
        finally:
            connection.close()
