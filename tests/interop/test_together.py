"""Workers of both kinds on the same queue at the same time."""

import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from django_machinery import Chord, Group, TaskFailed, Worker
from django_machinery.drivers.redis.keys import queue_keys
from django_machinery.drivers.redis.lock import RedisLock
from django_machinery.protocol.signature import Signature
from django_machinery.server import Server
from tests.contracts.support import unique
from tests.databases import on_databases
from tests.integration.conftest import running
from tests.interop import tasks
from tests.interop.conftest import DRIVERS, StartWorker, error_callback
from tests.interop.go import Original, arg, signature
from tests.services.redis_stores import RedisStore
from tests.waiting import wait_until

pytestmark = [on_databases("default"), pytest.mark.timeout(300)]
TIMEOUT = 30.0
everywhere = pytest.mark.parametrize("driver", DRIVERS, indirect=True)
with_both = pytest.mark.parametrize("driver", ["redigo", "go-redis"], indirect=True)


def of(name: str, *values: Any, **fields: Any) -> Signature:
    return Signature.of(name, *values, **fields)


@everywhere
def test_members_of_a_group_and_a_chord_are_split_over_both(
    server: Server, original: Original, our_worker: StartWorker
):
    with original.worker("-v") as go, our_worker():
        values = range(200)
        group = server.send_group(Group(*[of("add", n, n) for n in values]))
        assert group.get(TIMEOUT) == [2 * n for n in values]
        for _ in range(5):
            chord = Chord(Group(*[of("add", n, n) for n in values]), of("add"))
            assert server.send_chord(chord).get(TIMEOUT) == sum(2 * n for n in values)
            members = [signature("add", arg("int64", n)) for n in range(50)]
            whole, *_ = original.send(*members, kind="chord", callback=signature("add"))
            assert (whole["values"], whole["error"]) == ([str(sum(range(50)))], "")
        go_ran = go.output.count("Processed task")
    assert go_ran > 20, "the original had next to nothing to do"
    assert go_ran < 1000, "we had next to nothing to do"


@with_both
def test_the_last_two_members_end_at_the_same_instant_on_both_sides(
    server: Server, original: Original, our_worker: StartWorker, queue: str
):
    """Each side has a queue of its own, so that each has one member; the callback goes to a third queue."""
    callbacks, ours = unique("callbacks"), unique("ours")
    with original.worker(), running_on(server, ours):
        for _ in range(8):
            end = round(time.time() * 1000) + 150
            members = [of("sleep_until", end, queue=queue), of("sleep_until", end, queue=ours)]
            chord = server.send_chord(Chord(Group(*members), of("add", queue=callbacks)))
            assert chord.group.get(TIMEOUT) == [end, end]
            wait_until(lambda: server.broker.depth(callbacks))
            time.sleep(0.2)
            waiting = [server.decode(each.body) for each in server.broker.pending(callbacks)]
            assert [each.uuid for each in waiting] == [chord.callback.uuid]
            assert [bytes(each.value) for each in waiting[0].args or ()] == [b"%d" % end] * 2
            server.broker.purge(callbacks)


@with_both
def test_a_member_that_fails_on_either_side_fails_the_chord_when_ours_ends_last(
    server: Server, original: Original, our_worker: StartWorker, queue: str
):
    """Go tells nobody of a failed member (worker.go:335): who of ours ends a member afterwards does."""
    ours = unique("ours")
    alarm = of("record_error", uuid="task_alarm", queue=ours)
    for failing, other in ((queue, ours), (ours, queue)):
        fails = of("fail", "broken", queue=failing)
        chord = Chord(Group(fails, of("add", 1, queue=other)), of("add", queue=ours), on_error=[alarm])
        sent = server.send_chord(chord)
        with original.worker():
            wait_until(lambda sent=sent: any(result.is_completed for result in sent.group.results))  # type: ignore[misc]
        with running_on(server, ours):
            with pytest.raises(TaskFailed, match="broken"):
                sent.get(TIMEOUT)
            assert error_callback(sent.group.results[0], "task_alarm").get(TIMEOUT) == "broken"
        server.backend.purge(["task_alarm"])


@with_both
def test_a_task_that_only_the_other_side_knows_gets_there(
    server: Server, original: Original, our_worker: StartWorker, queue: str
):
    with original.worker(), our_worker("multiply"):
        group = server.send_group(Group(*[of("echo_string", f"word {n}") for n in range(2000)]))
        assert group.get(TIMEOUT) == [f"word {n}" for n in range(2000)]
    wait_until(lambda: server.broker.depth(queue) == 0)


@with_both
def test_nothing_that_only_the_other_side_knows_is_left_where_it_does_not_look(
    server: Server, original: Original, our_worker: StartWorker, queue: str
):
    """Our worker meets all of it, parks it, and ends."""
    with our_worker("multiply"):
        results = [server.send_task(of("echo_string", f"word {n}")) for n in range(300)]
        client, parked = server.broker.client, queue_keys(queue).parked  # type: ignore[attr-defined]
        wait_until(lambda: client.call(queue, ("ZCARD", parked)) == 300)
    with original.worker():
        assert [result.get(TIMEOUT) for result in results] == [f"word {n}" for n in range(300)]


@with_both
def test_chains_go_from_side_to_side(server: Server, original: Original, our_worker: StartWorker, queue: str):
    ours = unique("ours")
    with original.worker(), running_on(server, ours):
        for first, second in ((queue, ours), (ours, queue)):
            steps = [of("add", 1, 2, queue=first), of("multiply", 2, queue=second), of("add", 4, queue=first)]
            chain = steps[0].replace(on_success=[steps[1].replace(on_success=[steps[2].replace(uuid="task_end")])])
            result = server.send_task(chain)
            assert result.sibling("task_end", "add").get(TIMEOUT) == 10
            server.backend.purge(["task_end"])


@with_both
def test_delayed_messages_are_moved_by_either_side_once(
    server: Server, original: Original, our_worker: StartWorker, queue: str
):
    with original.worker(), our_worker():
        sent = [of("add", n, eta=timedelta(seconds=0.5 + n / 100)) for n in range(60)]
        results = [server.send_task(each) for each in sent]
        assert [result.get(TIMEOUT) for result in results] == list(range(60))
    assert server.broker.delayed() == []
    assert server.broker.depth(queue) == 0


def test_what_a_go_worker_held_when_it_was_killed_is_lost_and_what_ours_held_is_not(
    server: Server, original: Original, our_worker: StartWorker, queue: str
):
    """The first is the original's fault, which nobody on the other side can mend: documented, and pinned here."""
    end = round(time.time() * 1000) + 600_000
    lost = server.send_task(of("sleep_until", end))
    with original.worker() as go:
        wait_until(lambda: lost.state == "STARTED")
        go.kill()
    with our_worker():
        assert server.send_task(of("add", 1, 2)).get(TIMEOUT) == 3
        assert lost.state == "STARTED"
        assert server.broker.depth(queue) == 0


@pytest.mark.parametrize("driver", ["redigo"], indirect=True)
def test_a_lock_of_ours_keeps_a_periodic_task_of_go_from_firing(
    server: Server, original: Original, queue: str, store: RedisStore
):
    """The key is `machinery_lock_`, the program's name, the task's and the spec (server.go:335)."""
    lock = server.lock
    assert isinstance(lock, RedisLock)
    key = "machinery_lock_interop" + "tick" + "@every 1s"
    periodic = ("-periodic", "@every 1s|tick|noop", "-lock-url", store.url)
    assert lock.acquire(key, datetime.now(UTC) + timedelta(seconds=120))
    with original.worker(*periodic, "-custom-queue", unique("idle")):
        with store.client_of(key).monitor() as monitor:
            tries = (command for command in monitor.listen() if key in command["command"])
            next(tries), next(tries), next(tries)
        assert server.broker.depth(queue) == 0
        assert lock.release(key)
        wait_until(lambda: server.broker.depth(queue) > 0)
        assert Counter(server.decode(each.body).name for each in server.broker.pending(queue)).keys() == {"noop"}
        value = store.client_of(key).get(key)
    assert value is None or json.loads(value) > time.time_ns() - 3 * 10**9


def running_on(server: Server, queue: str) -> Any:
    """A worker of ours on that queue, with all tasks."""
    if not server.is_task_registered("add"):
        tasks.register(server)
    return running(Worker(server, concurrency=2, queues=[queue]))
