"""Redis itself fails under load: what was acknowledged and is lost all the same, and how long workers were idle."""

import argparse
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from redis.exceptions import MovedError

from django_machinery import AsyncResult
from django_machinery.exceptions import BackendError, BrokerError
from tests.proofs import tasks
from tests.proofs.ledger import Ledger
from tests.proofs.site import Site, new_database, site
from tests.services import Redis, RedisCluster, RedisSentinel, scratch_directory
from tests.waiting import wait_until

HELP = "kill Redis, and masters of a Cluster and behind Sentinels, or let one hang, while tasks are sent and run"
FAULTS = ("restart", "cluster", "sentinel", "hang")
LEASE = 4.0
REPLICATION = 50
"""The most acknowledged sends that may be on their way to a replica; far fewer are, on one machine."""
BACK = 5.0
"""Seconds until workers consume again, from when sends are taken again."""
STILL = 3 * LEASE
"""Seconds without an end after which no task is waited for: by then whatever a process held has come again."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fault", choices=FAULTS, default="sentinel", help="default %(default)s")
    parser.add_argument("--seconds", type=float, default=20.0, help="of sending; default %(default)s")


def run(options: argparse.Namespace) -> Ledger:
    with (
        scratch_directory() as directory,
        new_database(options.engine) as alias,
        failing_redis(options.fault, directory) as (settings, fail),
        site(alias, directory, **settings) as place,
    ):
        return prove(place, options.fault, fail, options.seconds)


@contextmanager
def failing_redis(fault: str, directory: Path) -> Iterator[tuple[dict[str, Any], Callable[[], None]]]:
    """The settings of a server on a new Redis, and what makes it fail."""
    if fault == "restart":
        with Redis(directory / "redis").running() as redis:
            yield on(redis.url), lambda: _restart(redis)
    elif fault == "cluster":
        with RedisCluster(directory / "cluster").running() as cluster:
            yield on(cluster.url), lambda: master_of(cluster, "machinery_tasks").kill()
    else:
        with RedisSentinel(directory / "sentinel").running() as sentinel:
            secrets = {"REDIS_MASTER_NAME": sentinel.master_name, "REDIS_SENTINEL_PASSWORD": sentinel.password}
            end = signal.SIGSTOP if fault == "hang" else signal.SIGKILL
            yield on(sentinel.url, **secrets), lambda: os.kill(sentinel.master().pid, end)


def on(url: str, **settings: Any) -> dict[str, Any]:
    """The settings of a server that keeps everything there."""
    return {"BROKER": url, "RESULT_BACKEND": url, "LOCK": url, "LEASE": LEASE, **settings}


def prove(place: Site, fault: str, fail: Callable[[], None], seconds: float) -> Ledger:
    """Send for `seconds`, with the failure in the middle."""
    worker = place.worker()
    results: list[AsyncResult[int]] = []
    with Ends(results).watched() as ends:
        refused, away = _send(results, seconds, fail)
    lost = _unfinished_in_the_end(results)
    worker.terminate()
    status = worker.wait(timeout=60)
    ledger = Ledger(f"failure of Redis: {fault}")
    ledger.enter(acknowledged=len(results), refused=refused, seconds_without_a_send=away)
    ledger.enter(seconds_without_an_end=ends.longest, lost=len(lost))
    if fault == "restart":
        ledger.promise("what the log of Redis has is not lost", not lost, lost)
    else:
        ledger.promise("nothing is lost but what the replica had not received", len(lost) <= REPLICATION, lost)
    ledger.promise("workers consume again within 5 s of the first send", ends.longest <= away + BACK, ends.longest)
    ledger.promise("the worker met no error that it does not know", "Traceback" not in worker.output, worker.output)
    ledger.promise("the worker ends with status 0", status == 0, worker.output)
    return ledger


class Ends:
    """Watches, in a thread of its own, how long no task ends."""

    def __init__(self, results: list[AsyncResult[int]]) -> None:
        """`results` grows meanwhile."""
        self.longest = 0.0
        self._results = results
        self._seen = 0
        self._unfinished: list[AsyncResult[int]] = []
        self._ending = threading.Event()

    @contextmanager
    def watched(self) -> Iterator[Self]:
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield self
        finally:
            self._ending.set()
            thread.join()

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._ending.wait(0.02):
            if self._any_ended():
                last = time.monotonic()
            self.longest = max(self.longest, time.monotonic() - last)

    def _any_ended(self) -> bool:
        fresh = self._results[self._seen :]
        self._seen += len(fresh)
        self._unfinished += fresh
        left = _unfinished(self._unfinished)
        ended, self._unfinished = len(left) < len(self._unfinished), left
        return ended


def _unfinished(results: list[AsyncResult[int]]) -> list[AsyncResult[int]]:
    """Those that have not succeeded; all of them while nobody can tell."""
    try:
        states = results[0].backend.get_states([result.uuid for result in results]) if results else []
    except BackendError:
        return results
    return [each for each, state in zip(results, states, strict=True) if state is None or not state.is_success]


def _send(results: list[AsyncResult[int]], seconds: float, fail: Callable[[], None]) -> tuple[int, float]:
    """Adds to `results` what is acknowledged; how many sends were not, and the longest time without one that was."""
    refused, longest, failed = 0, 0.0, False
    began = last = time.monotonic()
    while (now := time.monotonic()) - began < seconds:
        if not failed and now - began > seconds / 4:
            failed = True
            fail()
        try:
            results.append(tasks.member.send(len(results)))
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        except (BrokerError, BackendError):
            refused += 1
            time.sleep(0.02)
        time.sleep(0.002)
    return refused, longest


def _unfinished_in_the_end(results: list[AsyncResult[int]]) -> list[str]:
    """The tasks that have not succeeded once all have or nothing has moved for long."""
    left, moved = list(results), time.monotonic()

    def settled() -> bool:
        nonlocal left, moved
        before, left = left, _unfinished(left)
        if len(left) < len(before):
            moved = time.monotonic()
        return not left or time.monotonic() - moved > STILL

    wait_until(settled, timeout=120, interval=0.2)
    return [result.uuid for result in left]


def _restart(redis: Redis) -> None:
    redis.kill()
    redis.start()


def master_of(cluster: RedisCluster, key: str) -> Redis:
    """The node that has a key."""
    return next(server for server in cluster.masters() if _serves(server, key))


def _serves(server: Redis, key: str) -> bool:
    try:
        server.client().exists(key)
    except MovedError:
        return False
    return True
