"""Workers on a Redis whose connections break, or which is of no use for a while: nothing is lost."""

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.test import override_settings

from django_machinery import Chord, Group, Signature, servers
from django_machinery.exceptions import BackendError, BrokerError
from django_machinery.server import Server
from tests.acceptance.conftest import RunningWorker, StartWorker, wait_for
from tests.app import tasks
from tests.databases import on_databases
from tests.services import Redis, require, scratch_directory
from tests.services.proxy import Proxy

pytestmark = [on_databases("default"), pytest.mark.timeout(300)]
BACK = 5.0
"""Seconds after which a worker consumes again."""


@pytest.fixture
def directory() -> Iterator[Path]:
    require(Redis)
    with scratch_directory() as directory:
        yield directory


@pytest.fixture
def redis(directory: Path) -> Iterator[Redis]:
    with Redis(directory / "redis").running() as server:
        yield server


@contextmanager
def server_on(url: str, **settings: Any) -> Iterator[Server]:
    """The test's own server."""
    with override_settings(MACHINERY={"default": on(url, **settings)}):
        yield servers["default"]


def on(url: str, **settings: Any) -> dict[str, Any]:
    """The settings of a server that keeps everything in that Redis."""
    return {"BROKER": url, "RESULT_BACKEND": url, "LOCK": url, "LEASE": 4.0, **settings}


def nothing_is_left(server: Server) -> bool:
    return server.broker.depth("machinery_tasks") == 0 and not server.broker.delayed()


def consumes_again(worker: RunningWorker, server: Server) -> None:
    """A task that is sent now has its result in time."""
    start = time.monotonic()
    assert tasks.add.send(1, 2).get(timeout=30) == 3, worker.output
    assert time.monotonic() - start < BACK, worker.output


class Faults:
    """What may happen to the connections of a worker."""

    def __init__(self, proxy: Proxy, random: Random) -> None:
        self._proxy = proxy
        self._random = random
        self.made: Counter[str] = Counter()

    def make_one(self) -> None:
        kind = self._random.choice(("cut", "black_hole", "forgotten_black_hole", "half_reply", "refusal"))
        self.made[kind] += 1
        getattr(self, f"_{kind}")()

    def _cut(self) -> None:
        self._proxy.cut()

    def _black_hole(self) -> None:
        self._proxy.blackhole()
        time.sleep(self._random.uniform(0.01, 0.4))
        self._proxy.heal()

    def _forgotten_black_hole(self) -> None:
        self._proxy.blackhole()
        time.sleep(self._random.uniform(0.01, 0.4))
        self._proxy.heal(forget=True)

    def _half_reply(self) -> None:
        self._proxy.break_replies_after(self._random.randrange(1, 5000))

    def _refusal(self) -> None:
        self._proxy.refuse()
        time.sleep(self._random.uniform(0.01, 0.4))
        self._proxy.heal()


def test_a_hundred_faults_of_connections_lose_no_task(start_worker: StartWorker, redis: Redis):
    """The worker goes through a proxy, the test does not."""
    random, numbers = Random(1), range(3000)
    with Proxy(("127.0.0.1", redis.port)).running() as proxy, server_on(redis.url) as server:
        worker = start_worker("--processes=2", **on(f"redis://127.0.0.1:{proxy.port}"), CONCURRENCY=4)
        results = [tasks.add.send(number, 1) for number in numbers[:1000]]
        faults = Faults(proxy, random)
        for number in numbers[1000:]:
            results.append(tasks.add.send(number, 1))
            if number % 20 == 0:
                faults.make_one()
        assert faults.made.total() == 100
        proxy.heal(forget=True)
        consumes_again(worker, server)
        assert [result.get(timeout=30) for result in results] == [number + 1 for number in numbers]
        wait_for(lambda: nothing_is_left(server), worker)
        assert "Traceback" not in worker.output
        assert worker.terminate() == 0


def test_a_full_redis_is_drained(start_worker: StartWorker, redis: Redis):
    """By a worker that starts on it: what waits there is what it is full of."""
    with server_on(redis.url) as server:
        results = [tasks.add.send(number, 1) for number in range(200)]
        members = Group(*[Signature.of(tasks.add.name, number, 1) for number in range(20)])
        chord = server.send_chord(Chord(members, Signature.of(tasks.total.name)))
        redis.client().config_set("maxmemory", 1)
        worker = start_worker("--processes=2", **on(redis.url))
        assert [result.get(timeout=30) for result in results] == list(range(1, 201)), worker.output
        assert chord.get(timeout=30) == sum(range(1, 21)), worker.output
        wait_for(lambda: nothing_is_left(server), worker)
        assert "Traceback" not in worker.output
        assert worker.terminate() == 0


@pytest.mark.parametrize("wrong", ["BROKER", "RESULT_BACKEND"])
def test_a_worker_that_redis_refuses_ends_with_one_line(start_worker: StartWorker, redis: Redis, wrong: str):
    refused = f"redis://nobody:hunter2@127.0.0.1:{redis.port}/0"
    worker = start_worker(wait=False, **on(redis.url, **{wrong: refused}))
    assert worker.process.wait(timeout=60) == 1
    checks, _, error = worker.output.partition("CommandError: ")
    shown = f"redis://nobody:***@127.0.0.1:{redis.port}/0"
    assert re.fullmatch(rf"{re.escape(shown)} refuses: Redis: .*invalid username-password.*\n", error), worker.output
    assert not re.search(r"Traceback|housekeeping|cannot be reached", checks)


@pytest.mark.parametrize("how", ["is killed", "is paused", "is full", "is a replica"])
def test_a_redis_that_is_of_no_use_for_a_while_is_waited_for(start_worker: StartWorker, redis: Redis, how: str):
    fault: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "is killed": (redis.kill, redis.start),
        "is paused": (lambda: os.kill(redis.pid, signal.SIGSTOP), lambda: os.kill(redis.pid, signal.SIGCONT)),
        "is full": (
            lambda: redis.client().config_set("maxmemory", 1),
            lambda: redis.client().config_set("maxmemory", 0),
        ),
        "is a replica": (
            lambda: redis.client().replicaof("127.0.0.1", "1"),
            lambda: redis.client().replicaof("NO", "ONE"),
        ),
    }
    begin, end = fault[how]
    settings = on(redis.url, REDIS_READ_TIMEOUT=1.0, REDIS_WRITE_TIMEOUT=1.0, REDIS_CONNECT_TIMEOUT=1.0)
    with override_settings(MACHINERY={"default": settings}):
        server = servers["default"]
        worker = start_worker("--processes=2", **settings)
        before = [tasks.slow.send(1500) for _ in range(4)]
        wait_for(lambda: all(result.state == "STARTED" for result in before[:2]), worker)
        begin()
        start = time.monotonic()
        with pytest.raises((BrokerError, BackendError)):
            tasks.add.send(1, 2)
        assert time.monotonic() - start < 3, "a publisher is told within its timeout"
        wait_for(lambda: "cannot be reached" in worker.output, worker)
        end()
        consumes_again(worker, server)
        assert [result.get(timeout=30) for result in before] == [1500] * 4
        wait_for(lambda: nothing_is_left(server), worker)
        assert "Traceback" not in worker.output
        assert worker.terminate() == 0
