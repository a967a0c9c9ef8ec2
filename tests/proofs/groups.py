"""Linear groups: what a member of a chord costs its database does not grow with the chord.

Everything from sending to the callback's end is counted: statements, rows written and rows read. Claims and commits are
of a fixed size, because a busy worker's are not the same twice.
"""

import argparse
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import uuid4

from django.db import connections

from django_machinery import Chord, Group, send_chord
from django_machinery.server import Server
from django_machinery.worker.announcer import Announcer
from django_machinery.worker.executor import Executor
from django_machinery.worker.hooks import Hooks
from django_machinery.worker.loop import EventLoop
from django_machinery.worker.outcomes import TaskOutcome
from tests.proofs import tasks
from tests.proofs.ledger import Ledger
from tests.proofs.site import new_site

SMALL = 100
LIMIT = 1.2
"""How much more a member of the large chord may cost than one of the small."""
BATCH = 20
"""Deliveries of one claim and outcomes of one commit."""
STEPS = 10
"""SQLite says how much it reads by the steps of its virtual machine, counted in tens."""

HELP = "what a member of a chord costs, in a small chord and in a large one"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--members", type=int, default=10_000, help="of the large chord, default %(default)s")


def run(options: argparse.Namespace) -> Ledger:
    with new_site(options.engine) as place:
        return prove(place.server, options.members, options.seed)


def prove(server: Server, members: int, seed: int) -> Ledger:
    """Compare a chord of `members` with one of `SMALL`."""
    ledger = Ledger(f"linear groups: {members:,} members and {SMALL}, on {server.config.database}: seed {seed}")
    random = Random(seed)
    # The small one comes last: its database is then no smaller, and read by the same plans.
    _, large, small = (chord_costs(server, size, random) for size in (SMALL, members, SMALL))
    for name, cost in large.each(members).items():
        before = small.each(SMALL)[name]
        ledger.enter(**{f"{name}_a_member": f"{cost:.2f} (of {SMALL}: {before:.2f})"})
        holds = cost <= before * LIMIT
        ledger.promise(f"{name} a member: at most {LIMIT} times as many in the large chord", holds, cost / before)
    ledger.enter(seconds=large.seconds)
    return ledger


def _analyse(alias: str) -> None:
    """Let the planner see what it sees of a queue most of the time: that there is nothing in it."""
    with connections[alias].cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connections[alias].vendor == "postgresql" else "ANALYZE")


@dataclass
class Costs:
    """What some work has cost its database."""

    statements: int = 0
    seconds: float = 0.0
    rows: dict[str, int] = field(default_factory=dict)

    def each(self, members: int) -> dict[str, float]:
        """The costs by their names, divided."""
        return {name: cost / members for name, cost in {"statements": self.statements, **self.rows}.items()}


def chord_costs(server: Server, members: int, random: Random) -> Costs:
    """Send a chord and run all that comes of it."""
    _analyse(server.config.database)
    with counted(server.config.database) as costs:
        group = Group(*[tasks.member.signature(number) for number in range(members)])
        result = send_chord(Chord(group, tasks.count.signature()))
        drain(server, random)
    assert result.get(timeout=0) == members
    return costs


def drain(server: Server, random: Random) -> None:
    """What a worker does, in this thread, `BATCH` at a time, which end in any order."""
    token = uuid4().hex
    server.broker.renew([token])
    consumer = server.broker.consumer([server.config.default_queue], server.registry.names, token)
    unit = server.unit(consumer)
    executor = Executor(server, unit, "proof", Hooks(), Announcer(server, "proof"), EventLoop())
    try:
        while deliveries := consumer.fetch(BATCH):
            endings = [executor.execute(delivery, lambda run: None) for delivery in deliveries]
            random.shuffle(endings)
            unit.commit([ending for ending in endings if isinstance(ending, TaskOutcome)])
    finally:
        consumer.close()
        server.broker.resign(token)


@contextmanager
def counted(alias: str) -> Iterator[Costs]:
    """Count what this thread does on a database within the block."""
    connection = connections[alias]
    connection.ensure_connection()
    costs = Costs()

    def count(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        costs.statements += len(parameters) if many else 1
        return execute(sql, parameters, many, context)

    rows = _COUNTERS[connection.vendor]
    with rows(connection) as counted_rows:
        began = time.monotonic()
        with connection.execute_wrapper(count):
            yield costs
        costs.seconds = time.monotonic() - began
    costs.rows = counted_rows


@contextmanager
def _sqlite(connection: Any) -> Iterator[dict[str, int]]:
    raw: sqlite3.Connection = connection.connection
    counts = {"rows written": -raw.total_changes, "steps": 0}

    def step() -> int:
        counts["steps"] += STEPS
        return 0

    raw.set_progress_handler(step, STEPS)
    try:
        yield counts
    finally:
        raw.set_progress_handler(None, 0)
        counts["rows written"] += raw.total_changes


_POSTGRES = """
SELECT sum(n_tup_ins + n_tup_upd + n_tup_del), sum(seq_tup_read) + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes)
FROM pg_stat_user_tables
"""


@contextmanager
def _postgres(connection: Any) -> Iterator[dict[str, int]]:
    before = _postgres_totals(connection)
    counts: dict[str, int] = {}
    yield counts
    after = _postgres_totals(connection)
    counts |= {name: after[name] - before[name] for name in after}


def _postgres_totals(connection: Any) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(_POSTGRES)
        written, read = cursor.fetchone()
        return {"rows written": int(written), "rows read": int(read)}


_COUNTERS = {"sqlite": _sqlite, "postgresql": _postgres}
