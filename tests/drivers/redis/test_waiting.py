"""Waiting for results in Redis: woken by whoever writes them, and idle in between."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from django_machinery.drivers.redis import watching
from django_machinery.drivers.redis.backend import RedisBackend
from django_machinery.exceptions import BackendUnavailable
from django_machinery.protocol.codec import encode_state
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import PENDING, SUCCESS, TaskState
from django_machinery.seams.backend import StateChange
from tests.contracts.backend_base import success, task
from tests.contracts.support import config_with
from tests.services.redis_stores import RedisStore
from tests.waiting import wait_until

pytestmark = pytest.mark.parametrize("redis_store", ["tcp", "cluster"], indirect=True)

BLIND = ("on", ">pw", "~*", "resetchannels", "+@all", "-client|tracking")
"""The rights of a user whom Redis does not tell what changes."""


SOON = 10.0
"""Seconds, on a busy machine; where polling would do too, it is made to take longer."""


@pytest.fixture
def sent(backend: RedisBackend) -> list[Signature]:
    signatures = [task() for _ in range(20)]
    backend.set_states([StateChange(signature, PENDING) for signature in signatures])
    return signatures


@contextmanager
def waiting(backend: RedisBackend, store: RedisStore, signatures: list[Signature]) -> Iterator[None]:
    """A thread that waits for all of them has begun to; at the end of the block it has them, or will soon."""
    ended: list[bool] = []

    def wait() -> None:
        states = backend.wait([signature.uuid for signature in signatures], 60)
        ended.append(all(state and state.is_success for state in states))

    before = reads(store)
    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: reads(store) - before >= 2 * len(signatures), message="each is looked up before it is watched")
    yield
    thread.join(SOON)
    assert ended == [True]


def finish_as_go(store: RedisStore, signature: Signature) -> None:
    text = encode_state(TaskState(task_uuid=signature.uuid, task_name="add", state=SUCCESS, results=()))
    with store.client_of(signature.uuid) as client:
        client.set(signature.uuid, text, ex=3600)


def test_who_waits_is_woken_when_a_go_worker_ends_the_task(
    backend: RedisBackend, redis_store: RedisStore, sent: list[Signature], monkeypatch: pytest.MonkeyPatch
):
    for period in ("SILENCE", "SHORTEST", "LONGEST"):
        monkeypatch.setattr(watching, period, 2 * SOON)
    with waiting(backend, redis_store, sent[:1]):
        finish_as_go(redis_store, sent[0])


def test_who_waits_for_many_reads_each_once_more_and_not_all_again_and_again(
    backend: RedisBackend, redis_store: RedisStore, sent: list[Signature]
):
    with waiting(backend, redis_store, sent):
        before = reads(redis_store)
        for signature in sent:
            backend.set_states([success(signature)])
    # Each is looked up twice to be written.
    assert reads(redis_store) - before <= 5 * len(sent)


def test_who_waits_asks_nothing_while_nothing_happens(
    backend: RedisBackend, redis_store: RedisStore, sent: list[Signature]
):
    with waiting(backend, redis_store, sent):
        before = reads(redis_store)
        time.sleep(1)
        assert reads(redis_store) == before
        backend.set_states([success(signature) for signature in sent])


def test_where_redis_does_not_say_what_changes_one_looks_ever_less_often(
    redis_store: RedisStore, sent: list[Signature]
):
    for server in redis_store.servers():
        server.client().execute_command(
            *["ACL", "SETUSER", "blind", "on", ">pw", "~*", "resetchannels", "+@all", "-client|tracking"]
        )
    url = redis_store.url.replace("redis://", "redis://blind:pw@")
    backend = RedisBackend(url, config_with(**redis_store.settings))
    try:
        with waiting(backend, redis_store, sent[:1]):
            before = reads(redis_store)
            time.sleep(0.7)
            assert reads(redis_store) - before < 60
            wait_until(lambda: reads(redis_store) > before)
            finish_as_go(redis_store, sent[0])
    finally:
        backend.close()


def test_connections_of_those_who_waited_serve_the_next(
    backend: RedisBackend, redis_store: RedisStore, sent: list[Signature]
):
    for signature in sent:
        backend.wait([signature.uuid], 0.01)
    clients = sum(len(server.client().client_list(_type="pubsub")) for server in redis_store.servers())
    assert 1 <= clients <= len(redis_store.servers())


def test_who_waits_bears_with_connections_that_break(
    backend: RedisBackend, redis_store: RedisStore, sent: list[Signature]
):
    with waiting(backend, redis_store, sent[:1]):
        for server in redis_store.servers():
            server.client().execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            server.client().client_kill_filter(_type="normal", skipme=True)
        time.sleep(0.1)
        finish_as_go(redis_store, sent[0])


def test_but_not_for_ever(redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("django_machinery.drivers.redis.backend.OUTAGE", 0.3)
    backend = RedisBackend(redis_store.nowhere, config_with(**redis_store.settings))
    start = time.monotonic()
    with pytest.raises(BackendUnavailable):
        backend.wait(["task_1"], 60)
    assert 0.2 < time.monotonic() - start < 30


def reads(store: RedisStore) -> int:
    stats = [server.client().info("stats") for server in store.servers()]
    return sum(stat["keyspace_hits"] + stat["keyspace_misses"] for stat in stats)
