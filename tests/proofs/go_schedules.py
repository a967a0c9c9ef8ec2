"""Two schedulers, ours and the original's, under one program name on one Redis lock: no tick is fired twice.

Both send to a queue that nobody consumes, where this watches what comes, and when. Ours tell the tick of each message;
a message of the original's is of the second in which it comes, or of an earlier one that was left to it if another
message has that: it came late. For the middle third of the time the original stands still, so that ours have ticks too.
"""

import argparse
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, NamedTuple

from django.db import connections

from django_machinery import Signature, Worker
from django_machinery.models import Tick
from django_machinery.server import Server
from tests.contracts.support import unique
from tests.integration.conftest import running
from tests.interop.go import Original, build
from tests.processes import Process
from tests.proofs.ledger import Ledger
from tests.proofs.site import new_site
from tests.services import Redis, scratch_directory

PROGRAM = "interop"
"""The file name of the original's program: part of the key of its locks."""
SPEC, NAME, TASK = "@every 1s", "tick", "noop"
EARLY = 0.2
"""Seconds that a message may seem to come before its tick: clocks of one machine agree, but times are rounded."""
LATE = 5
"""Seconds after its tick that a message may come."""
OPEN = ("elsewhere", "undecided")
"""What our schedulers did at ticks that they left to the original."""
MOST_LOST = 0.1
"""Part of the ticks that the original's lock may lose; it loses one of some hundred."""

HELP = "fire @every 1s from Go and Python together, and count the ticks that were missed or fired twice"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ticks", type=int, default=60, help="default %(default)s")


def run(options: argparse.Namespace) -> Ledger:
    with scratch_directory() as directory, Redis(directory / "redis").running() as redis:
        settings = settings_of(redis.url, unique("queue"))
        with new_site(options.engine, **settings) as place:
            flags = flags_of(redis.url, settings["DEFAULT_QUEUE"])
            return prove(place.server, Original(build(), flags), redis.url, options.ticks)


def settings_of(url: str, queue: str) -> dict[str, Any]:
    """Our server, on the same Redis as the original."""
    urls = dict.fromkeys(("BROKER", "RESULT_BACKEND", "LOCK"), url)
    return {**urls, "DEFAULT_QUEUE": queue, "PROGRAM_NAME": PROGRAM}


def flags_of(url: str, queue: str) -> list[str]:
    """What the original's program needs to be told."""
    return ["-broker-url", url, "-backend-url", url, "-queue", queue, "-poll", "1000"]


class Matched(NamedTuple):
    """What the original did at the ticks of some seconds."""

    fired: set[int]
    double: list[float]
    """When messages came that are of no tick that was left to it."""


def match(statuses: Mapping[int, str], arrivals: Iterable[float]) -> Matched:
    """Which ticks the messages of the original are of; `statuses`: what our schedulers did at each."""
    fired: set[int] = set()
    double = []
    for arrival in sorted(arrivals):
        second = int(arrival + EARLY)
        free = (tick for tick in range(second, second - LATE, -1) if statuses.get(tick) in OPEN and tick not in fired)
        if (tick := next(free, None)) is not None:
            fired.add(tick)
        elif second in statuses:
            double.append(arrival)
    return Matched(fired, double)


def prove(server: Server, original: Original, url: str, ticks: int) -> Ledger:
    """Let both schedule for as many ticks, which begin once both do."""
    ledger = Ledger(f"Go and Python on one lock: {ticks} ticks of {SPEC}")
    come: dict[str, float] = {}
    with both(server, original, url) as worker:
        first = int(time.time()) + 2
        watch(server, first + ticks // 3 - 0.3, come)
        worker.signal(signal.SIGSTOP)
        try:
            watch(server, first + 2 * ticks // 3 - 0.3, come)
        finally:
            worker.signal(signal.SIGCONT)
        watch(server, first + ticks + LATE, come)
    rows = _rows(server)
    statuses = {second: status for second, (status, _uuid) in rows.items()}
    sent = {uuid: second for second, (status, uuid) in rows.items() if status == "sent"}
    found = match(statuses, [at for uuid, at in come.items() if uuid not in sent])
    wanted = set(range(first, first + ticks))
    ours = {second for uuid, second in sent.items() if uuid in come} & wanted
    open_ = wanted - ours - found.fired
    lost = {second for second in open_ if statuses.get(second) in OPEN}
    late = max((come[uuid] - second for uuid, second in sent.items() if uuid in come), default=0.0)
    ledger.enter(ticks=ticks, by_us=len(ours), by_go=len(found.fired & wanted))
    ledger.enter(lost_by_the_original_s_lock=len(lost), missing=len(open_ - lost), double=len(found.double))
    ledger.enter(max_late=late)
    ledger.promise("no tick is missing but by the original's lock", open_ == lost, open_ - lost)
    ledger.promise("that loses few", len(lost) <= max(1, MOST_LOST * ticks), lost)
    ledger.promise("no tick was fired twice", not found.double, found.double)
    ledger.promise("both sides fired some", bool(ours and found.fired), (ours, found.fired))
    return ledger


@contextmanager
def both(server: Server, original: Original, url: str) -> Iterator[Process]:
    """A worker of each kind, which schedules and consumes another queue; the original's is returned."""
    server.register_periodic_task(SPEC, NAME, Signature(name=TASK))
    with ExitStack() as stack:
        stack.enter_context(running(Worker(server, concurrency=1, queues=[unique("idle")])))
        yield stack.enter_context(go(original, url))


def go(original: Original, url: str) -> AbstractContextManager[Process]:
    """A worker of the original that schedules and consumes another queue."""
    periodic = ("-periodic", f"{SPEC}|{NAME}|{TASK}", "-lock-url", url)
    return original.worker(*periodic, "-custom-queue", unique("idle"))


def watch(server: Server, until: float, come: dict[str, float] | None = None) -> dict[str, float]:
    """When each message came to the queue, by its UUID; `come`: those that are known already."""
    come = {} if come is None else come
    queue = server.config.default_queue
    while (now := time.time()) < until - EARLY:
        for waiting in server.broker.pending(queue, 10_000):
            come.setdefault(server.decode(waiting.body).uuid, now)
        time.sleep(0.01)
    return come


def _rows(server: Server) -> dict[int, tuple[str, str]]:
    """What our schedulers did at each tick, and the UUID of what they sent, by seconds since 1970."""
    connections.close_all()
    rows = Tick.objects.using(server.config.database).values_list("tick_at", "status", "uuid")
    return {round(tick_at.timestamp()): (status, uuid) for tick_at, status, uuid in rows}
