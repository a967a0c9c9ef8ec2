"""Redis itself fails under load: what was acknowledged and is lost all the same, and how long workers were idle."""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis.exceptions import MovedError

from django_machinery import AsyncResult
from django_machinery.exceptions import BackendError, BrokerError
from tests.proofs import tasks
from tests.proofs.ledger import Ledger
from tests.proofs.site import Site, new_database, site
from tests.services import Redis, RedisCluster, RedisSentinel, scratch_directory
from tests.waiting import wait_until

HELP = "kill Redis, and masters of a Cluster and behind Sentinels, while tasks are sent and run"
FAULTS = ("restart", "cluster", "sentinel")
TIMEOUTS = {"REDIS_READ_TIMEOUT": 1.0, "REDIS_WRITE_TIMEOUT": 1.0, "REDIS_CONNECT_TIMEOUT": 1.0}
REPLICATION = 50
"""The most acknowledged sends that may be on their way to a replica; far fewer are, on one machine."""


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
            yield on(sentinel.url, **secrets), lambda: sentinel.master().kill()


def on(url: str, **settings: Any) -> dict[str, Any]:
    """The settings of a server that keeps everything there and does not wait for long."""
    return {"BROKER": url, "RESULT_BACKEND": url, "LOCK": url, "LEASE": 4.0, **TIMEOUTS, **settings}


def prove(place: Site, fault: str, fail: Callable[[], None], seconds: float) -> Ledger:
    """Send for `seconds`, with the failure in the middle."""
    worker = place.worker()
    results, refused, away = _send(seconds, fail)
    lost = _unfinished_in_the_end(results)
    worker.terminate()
    status = worker.wait(timeout=60)
    ledger = Ledger(f"failure of Redis: {fault}")
    ledger.enter(acknowledged=len(results), refused=refused, seconds_without_a_send=away, lost=len(lost))
    if fault == "restart":
        ledger.promise("what the log of Redis has is not lost", not lost, lost)
    else:
        ledger.promise("nothing is lost but what the replica had not received", len(lost) <= REPLICATION, lost)
    ledger.promise("the worker met no error that it does not know", "Traceback" not in worker.output, worker.output)
    ledger.promise("the worker ends with status 0", status == 0, worker.output)
    return ledger


def _send(seconds: float, fail: Callable[[], None]) -> tuple[list[AsyncResult[int]], int, float]:
    """What was acknowledged, how many sends were not, and the longest time without one that was."""
    results: list[AsyncResult[int]] = []
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
    return results, refused, longest


def _unfinished_in_the_end(results: list[AsyncResult[int]]) -> list[str]:
    """The tasks that have not succeeded once nothing moves any more."""
    before: list[str] = []

    def settled() -> bool:
        nonlocal before
        states = results[0].backend.get_states([result.uuid for result in results])
        now = [
            result.uuid for result, state in zip(results, states, strict=True) if state is None or not state.is_success
        ]
        is_settled, before = now == before, now
        return is_settled

    wait_until(settled, timeout=120, interval=2.0)
    return before


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
