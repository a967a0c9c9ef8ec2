"""Schedulers of both kinds under one program name, on one Redis lock."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.test import override_settings

from django_machinery import Signature, Worker, servers
from django_machinery.scheduler.sharing import lock_name
from django_machinery.server import Server
from tests.contracts.support import unique
from tests.databases import on_databases
from tests.integration.conftest import running
from tests.interop.go import Original
from tests.proofs import go_schedules
from tests.services.redis_stores import RedisStore

pytestmark = [on_databases("default"), pytest.mark.timeout(300)]


@pytest.fixture
def server(store: RedisStore, queue: str, database: str) -> Iterator[Server]:
    settings = {**go_schedules.settings_of(store.url, queue), "DATABASE": database}
    with override_settings(MACHINERY={"default": settings}):
        yield servers["default"]


def test_no_tick_is_missing_and_none_is_fired_twice(server: Server, original: Original, store: RedisStore):
    ledger = go_schedules.prove(server, original, store.url, ticks=8)
    assert not ledger.broken, str(ledger)


def test_when_the_original_is_killed_ours_go_on_without_a_gap(server: Server, original: Original, store: RedisStore):
    """A tick that the original had locked but not sent when it died is lost, which is the original's: it is one."""
    server.register_periodic_task(go_schedules.SPEC, go_schedules.NAME, Signature(name=go_schedules.TASK))
    with running(Worker(server, concurrency=1, queues=[unique("idle")])):
        with go_schedules.go(original, store.url) as worker:
            first = int(time.time()) + 1
            come = go_schedules.watch(server, first + 2)
            worker.kill()
        go_schedules.watch(server, first + 6, come)
    seconds = sorted(int(at + go_schedules.EARLY) for at in come.values())
    after = [second for second in seconds if second >= first + 2]
    assert len(after) == len(set(after))
    assert len({first + 2, first + 3, first + 4, first + 5} - set(after)) <= 1


def test_the_original_s_lock_can_lose_a_tick_between_its_own_commands(server: Server, store: RedisStore):
    """Go's lock (locks/redis/redis.go:61-119) reads the value of a key it could not set, and swaps it if it is past.

    Where the key expires between the two, GETSET finds nothing, which Go takes for an error; its next attempt finds the
    key that it has set itself. Nobody fires the tick: these are its commands, in that order.
    """
    key, now = "machinery_lock_interop", time.time_ns()
    client = store.client_of(key)
    client.set(key, now - 1, px=60_000)
    following = now + 10**9 - 1
    assert not client.set(key, following, nx=True, px=1000)  # SETNX: the key of the tick before is still there
    assert int(client.get(key)) < now  # GET: but its time is over
    client.delete(key)  # Redis expires it
    assert client.getset(key, following) is None  # GETSET: redis.Nil, an error
    assert not client.set(key, following, nx=True, px=1000)  # the retry: held, by nobody but itself
    assert not server.lock.acquire(key, datetime.fromtimestamp(following / 1e9, UTC))
    client.close()


def test_the_key_is_the_original_s(server: Server):
    server.register_periodic_task("0 6 * * *", "nightly", Signature(name="noop"))
    (definition,) = server.registry.periodic("default")
    assert lock_name(server, definition) == "machinery_lock_interopnightly0 6 * * *"  # type: ignore[arg-type]
