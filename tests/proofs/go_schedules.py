"""Two schedulers, ours and the original's, under one program name on one Redis lock: each tick is fired once.

Both send to a queue that nobody consumes, where this watches what comes, and when.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import connections

from django_machinery import Signature, Worker
from django_machinery.models import Tick
from django_machinery.server import Server
from tests.contracts.support import unique
from tests.integration.conftest import running
from tests.interop.go import Original, build
from tests.proofs.ledger import Ledger
from tests.proofs.site import new_site
from tests.services import Redis, scratch_directory

PROGRAM = "interop"
"""The file name of the original's program: part of the key of its locks."""
SPEC, NAME, TASK = "@every 1s", "tick", "noop"
EARLY = 0.2
"""Seconds that a message may seem to come before its tick: clocks of one machine agree, but times are rounded."""

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


def prove(server: Server, original: Original, url: str, ticks: int) -> Ledger:
    """Let both schedule for as many ticks, which begin once both do."""
    ledger = Ledger(f"Go and Python on one lock: {ticks} ticks of {SPEC}")
    with both(server, original, url):
        first = int(time.time()) + 2
        come = watch(server, first + ticks)
    fired = Counter(int(at + EARLY) for at in come.values() if first <= at + EARLY < first + ticks)
    missing = [second for second in range(first, first + ticks) if not fired[second]]
    double = [second for second, count in fired.items() if count > 1]
    ours = _count(server, "sent", first, first + ticks)
    late = max(at - int(at + EARLY) for at in come.values())
    ledger.enter(ticks=ticks, fired=sum(fired.values()), by_us=ours, by_go=sum(fired.values()) - ours)
    ledger.enter(missing=len(missing), double=len(double), max_late=late)
    ledger.promise("no tick is missing", not missing, missing)
    ledger.promise("no tick was fired twice", not double, double)
    ledger.promise(
        "what was not ours was left to the original", _count(server, "elsewhere", first, first + ticks) + ours == ticks
    )
    return ledger


@contextmanager
def both(server: Server, original: Original, url: str) -> Iterator[None]:
    """A worker of each kind, which schedules and consumes another queue."""
    server.register_periodic_task(SPEC, NAME, Signature(name=TASK))
    with ExitStack() as stack:
        stack.enter_context(running(Worker(server, concurrency=1, queues=[unique("idle")])))
        stack.enter_context(go(original, url))
        yield


def go(original: Original, url: str) -> Any:
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


def _count(server: Server, status: str, first: float, end: float) -> int:
    connections.close_all()
    ticks = Tick.objects.using(server.config.database).filter(status=status).values_list("tick_at", flat=True)
    return sum(1 for tick in ticks if first <= tick.timestamp() < end)
