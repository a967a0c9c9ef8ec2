"""Schedulers of both kinds under one program name, on one Redis lock."""

import time
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.test import override_settings

from django_machinery import Signature, TaskContext, Worker, servers
from django_machinery.models import Tick
from django_machinery.scheduler.sharing import lock_name
from django_machinery.server import Server
from tests import toys
from tests.databases import on_databases
from tests.integration.conftest import running
from tests.interop.go import Original
from tests.proofs import go_schedules
from tests.proofs.ledger import is_punctual
from tests.services.redis_stores import RedisStore
from tests.waiting import wait_until

pytestmark = [on_databases("default"), pytest.mark.timeout(300)]


@pytest.fixture
def server(store: RedisStore, queue: str, database: str) -> Iterator[Server]:
    settings = {**go_schedules.settings_of(store.url, queue), "DATABASE": database}
    with override_settings(MACHINERY={"default": settings}):
        yield servers["default"]


def test_no_tick_is_missing_but_by_the_original_s_lock_and_none_is_fired_twice(
    server: Server, original: Original, store: RedisStore
):
    ledger = go_schedules.prove(server, original, store.url, ticks=9)
    assert not ledger.broken, str(ledger)


def test_when_the_original_is_killed_ours_go_on_without_a_gap(server: Server, original: Original, store: RedisStore):
    """A tick that the original had locked but not sent when it died is lost, which is the original's: it is one."""

    def sent() -> list[int]:
        ticks = Tick.objects.using(server.config.database).filter(status__in=["sent", "undecided"])
        return [round(at.timestamp()) for at in ticks.order_by("tick_at").values_list("tick_at", flat=True)]

    with go_schedules.both(server, original, store.url) as worker:
        wait_until(lambda: server.broker.pending(server.config.default_queue, 1), timeout=20)
        killed = time.time()
        worker.kill()
        wait_until(lambda: sent() and sent()[-1] > killed + 4, timeout=30)
    after = [second for second in sent() if second > killed]
    assert after[0] <= killed + 2
    assert after == list(range(after[0], after[-1] + 1))


@pytest.mark.parametrize("broker", ["redis", "leasing"])
def test_ticks_by_a_broker_elsewhere_run_at_most_100_ms_late(
    server: Server, tmp_path: Path, database: str, broker: str
):
    """At idle: the machine may be busy for a while, so that the middle one of any seven ticks in a row counts."""
    toy = {"BROKER": f"leasing://{tmp_path}/messages", "DATABASE": database, "DRIVERS": toys.DRIVERS}
    with override_settings(MACHINERY={"default": toy}) if broker == "leasing" else nullcontext():
        place = servers["default"]
        begun: dict[str, float] = {}

        def note(context: TaskContext) -> None:
            begun[context.uuid] = time.time()

        place.register_task(go_schedules.TASK, note, takes_context=True)
        place.register_periodic_task(go_schedules.SPEC, go_schedules.NAME, Signature(name=go_schedules.TASK))

        def delays() -> list[float]:
            ticks = Tick.objects.using(database).filter(status="sent").order_by("tick_at")
            return [begun[tick.uuid] - tick.tick_at.timestamp() for tick in ticks if tick.uuid in begun]

        with running(Worker(place, concurrency=1)):
            wait_until(lambda: is_punctual(delays()), timeout=120, interval=0.5, message=lambda: str(delays()))


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


def test_a_clock_that_is_late_by_more_than_a_period_fires_a_tick_again(server: Server, store: RedisStore):
    """A key lasts until the next tick: a Go program whose clock comes to the tick only then finds none."""
    key, following = "machinery_lock_interop", datetime.now(UTC) + timedelta(seconds=0.2)
    assert server.lock.acquire(key, following)
    client = store.client_of(key)
    assert not client.set(key, 1, nx=True, px=1000)
    wait_until(lambda: client.set(key, 1, nx=True, px=1000), timeout=5)
    assert datetime.now(UTC) >= following
    client.close()


def test_the_key_is_the_original_s(server: Server):
    server.register_periodic_task("0 6 * * *", "nightly", Signature(name="noop"))
    (definition,) = server.registry.periodic("default")
    assert lock_name(server, definition) == "machinery_lock_interopnightly0 6 * * *"  # type: ignore[arg-type]
