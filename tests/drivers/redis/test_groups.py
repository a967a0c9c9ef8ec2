"""Groups in Redis that Go workers share: what they see, what they are waited for, and what a group costs."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from redis.exceptions import MovedError

from django_machinery.drivers.redis import groups
from django_machinery.drivers.redis.backend import RedisBackend
from django_machinery.drivers.redis.broker import RedisBroker
from django_machinery.drivers.redis.keys import GroupKeys
from django_machinery.exceptions import BackendUnavailable
from django_machinery.protocol.codec import encode_group, encode_state
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import FAILURE, PENDING, STARTED, SUCCESS, GroupMeta, TaskState
from django_machinery.seams.backend import GroupProgress, StateChange
from django_machinery.seams.unit import Outcome, Verdict
from tests.contracts.backend_base import success, task
from tests.contracts.support import collect, race, unique, uuids
from tests.drivers.redis.conftest import Connect
from tests.services.redis_stores import RedisStore
from tests.waiting import wait_until

pytestmark = pytest.mark.parametrize("redis_store", ["tcp", "cluster"], indirect=True)


@pytest.fixture
def group() -> str:
    return unique("group")


@pytest.fixture
def go(redis_store: RedisStore) -> Iterator["GoProgram"]:
    program = GoProgram(redis_store)
    yield program
    program.close()


class GoProgram:
    """Writes what a Go program writes."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._clients = [server.client() for server in store.servers()]

    def client_of(self, key: str) -> Any:
        return self._store.client_of(key)

    def init_group(self, group: str, members: Sequence[Signature]) -> None:
        """The group, and then all states, before it sends the first member (server.go:228)."""
        self._set(group, encode_group(GroupMeta.of(group, [member.uuid for member in members])))
        for member in members:
            self.set_state(member, PENDING)

    def set_state(self, member: Signature, state: str) -> None:
        results = () if state == SUCCESS else None
        text = encode_state(TaskState(task_uuid=member.uuid, task_name=member.name, state=state, results=results))
        self._set(member.uuid, text)

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def _set(self, key: str, text: bytes) -> None:
        for client in self._clients:
            with suppress(MovedError):
                client.set(key, text, ex=3600)
                return


def members_of(group: str, count: int, **fields: object) -> list[Signature]:
    return [task(group_uuid=group, group_task_count=count, chord_callback=task(), **fields) for _ in range(count)]


def test_a_group_that_go_made_is_counted_whoever_ends_its_members(backend: RedisBackend, go: GoProgram, group: str):
    members = members_of(group, 4)
    go.init_group(group, members)
    assert not backend.group_completed(group, 4)
    go.set_state(members[0], SUCCESS)
    backend.set_states([success(members[2])])
    assert not backend.group_completed(group, 4)
    go.set_state(members[1], FAILURE)
    assert backend.group_progress(group) == GroupProgress(3, 1, 4)
    assert not backend.group_completed(group, 4)
    backend.set_states([success(members[3])])
    assert backend.group_completed(group, 4)
    assert [state.task_uuid for state in backend.group_task_states(group, 4)] == [m.uuid for m in members]


def test_a_group_that_go_made_is_listed_once_whoever_meets_it_first(backend: RedisBackend, go: GoProgram):
    """Its members end at the same time in many processes, which all find that there is no list yet."""
    for _ in range(5):
        group = unique("group")
        members = members_of(group, 1000)
        go.init_group(group, members)
        race([partial(backend.group_completed, group, 1000)] * 6)
        keys = GroupKeys(group)
        listed = go.client_of(keys.members).lrange(keys.members, 0, -1)
        assert [uuid.decode() for uuid in listed] == uuids(members)


def test_a_group_of_ours_that_others_meet_while_it_is_made_is_listed_once(backend: RedisBackend):
    """Its meta and its list are two steps: somebody may make the list in between."""
    for _ in range(10):
        group = unique("group")
        members = uuids(members_of(group, 1000))
        calls: list[Callable[[], object]] = [partial(backend.init_group, group, members)]
        race(calls + [partial(backend.group_completed, group, 1000)] * 5)
        assert backend.group_progress(group) == GroupProgress(0, 0, 1000)


def test_a_group_that_is_not_there_any_more_is_never_complete(backend: RedisBackend, group: str):
    assert not backend.group_completed(group, 1)
    assert backend.group_task_states(group, 1) == []


def test_the_work_for_a_group_grows_with_its_members_and_not_with_their_square(
    backend: RedisBackend, redis_store: RedisStore
):
    def reads(count: int) -> int:
        group = unique("group")
        members = members_of(group, count)
        backend.init_group(group, [member.uuid for member in members])
        backend.set_states([StateChange(member, PENDING) for member in members])
        before = keys_read(redis_store)
        for member in reversed(members):
            backend.set_states([success(member)])
            backend.group_completed(group, count)
        assert backend.group_completed(group, count)
        return keys_read(redis_store) - before

    few, many = reads(50), reads(200)
    assert many < 6 * few


def keys_read(store: RedisStore) -> int:
    """How many keys were looked up so far."""
    stats = [server.client().info("stats") for server in store.servers()]
    return sum(stat["keyspace_hits"] + stat["keyspace_misses"] for stat in stats)


def test_a_chord_is_triggered_as_go_sees_it(backend: RedisBackend, go: GoProgram, group: str):
    members = members_of(group, 2)
    go.init_group(group, members)
    untriggered = go.client_of(group).get(group)
    assert backend.trigger_chord(group, members[0].uuid)
    expected = untriggered.replace(b'"ChordTriggered":false', b'"ChordTriggered":true')
    assert go.client_of(group).get(group) == expected
    assert go.client_of(group).ttl(group) > 3500


def test_a_chord_that_go_has_triggered_is_left_to_it(backend: RedisBackend, go: GoProgram, group: str):
    members = members_of(group, 2)
    meta = GroupMeta(group_uuid=group, task_uuids=tuple(m.uuid for m in members), chord_triggered=True)
    go.client_of(group).set(group, encode_group(meta))
    assert not backend.trigger_chord(group, members[0].uuid)


def test_nobody_triggers_while_a_go_worker_holds_the_mutex(backend: RedisBackend, go: GoProgram, group: str):
    members = members_of(group, 2)
    go.init_group(group, members)
    mutex = go.client_of("TriggerChordMutex")
    mutex.set("TriggerChordMutex", "of a Go worker", nx=True, px=8000)
    answers: list[bool] = []
    asking = threading.Thread(target=lambda: answers.append(backend.trigger_chord(group, members[0].uuid)))
    asking.start()
    asking.join(0.3)
    assert asking.is_alive()
    assert mutex.get("TriggerChordMutex") == b"of a Go worker"
    mutex.delete("TriggerChordMutex")
    asking.join(5)
    assert answers == [True]
    assert not mutex.exists("TriggerChordMutex")


def test_a_mutex_that_is_never_let_go_is_an_error_that_passes(
    backend: RedisBackend, go: GoProgram, group: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(groups, "PATIENCE", 0.1)
    members = members_of(group, 1)
    go.init_group(group, members)
    go.client_of("TriggerChordMutex").set("TriggerChordMutex", "of a Go worker", nx=True, px=8000)
    with pytest.raises(BackendUnavailable, match="TriggerChordMutex"):
        backend.trigger_chord(group, members[0].uuid)


def test_of_a_go_worker_and_ours_one_triggers(backend: RedisBackend, go: GoProgram):
    """Go takes the mutex, reads the flag, writes it, and lets go (backends/redis/redis.go:115)."""
    for _ in range(10):
        group = unique("group")
        members = members_of(group, 2)
        go.init_group(group, members)
        assert (
            race([partial(trigger_as_go, go, group), partial(backend.trigger_chord, group, members[0].uuid)]).count(
                True
            )
            == 1
        )


def trigger_as_go(go: GoProgram, group: str) -> bool:
    mutex, meta = go.client_of("TriggerChordMutex"), go.client_of(group)
    value = unique("go")
    wait_until(lambda: mutex.set("TriggerChordMutex", value, nx=True, px=8000), interval=0.01)
    try:
        text = meta.get(group)
        if b'"ChordTriggered":true' in text:
            return False
        time.sleep(0.01)
        meta.set(group, text.replace(b'"ChordTriggered":false', b'"ChordTriggered":true'), ex=3600)
        return True
    finally:
        if mutex.get("TriggerChordMutex") == value.encode():
            mutex.delete("TriggerChordMutex")


def test_a_group_lives_as_long_as_its_members_end(backend: RedisBackend, go: GoProgram, group: str):
    members = members_of(group, 2)
    backend.init_group(group, [member.uuid for member in members])
    backend.set_states([success(members[0])])
    keys = GroupKeys(group)
    for key in (keys.meta, keys.members):
        go.client_of(key).expire(key, 5)
    backend.group_completed(group, 2)
    for key in (keys.meta, keys.members, keys.cursor):
        assert go.client_of(key).ttl(key) > 3500


def test_a_member_whose_result_has_expired_counts_as_failed(backend: RedisBackend, go: GoProgram, group: str):
    members = members_of(group, 2)
    backend.init_group(group, [member.uuid for member in members])
    backend.set_states([success(member) for member in members])
    backend.purge([members[0].uuid])
    lost, kept = backend.group_task_states(group, 2)
    assert (lost.task_uuid, lost.is_failure, kept.is_success) == (members[0].uuid, True, True)
    assert "expired" in lost.error


@pytest.mark.parametrize("config", [{"results_expire_in": 1}], indirect=True)
def test_a_chord_fails_whose_last_member_ends_when_the_result_of_another_has_expired(
    broker: RedisBroker, backend: RedisBackend, connect: Connect, queue: str
):
    callback = task(queue=queue, on_error=[task(name="alarm", uuid=unique("task"), queue=queue)])
    group = unique("group")
    members = [task(queue=queue, group_uuid=group, group_task_count=3, chord_callback=callback) for _ in range(3)]
    backend.init_group(group, uuids(members), callback)
    broker.send(backend, [StateChange(member, PENDING) for member in members], members)
    consumer = connect()
    unit = broker.unit(consumer, backend, broker.publish, lambda outcome: None)
    deliveries = collect(consumer, 3)
    first, second, last = [Outcome(d, member, success(member)) for d, member in zip(deliveries, members, strict=True)]
    assert unit.commit([first]) == [Verdict.COMMITTED]

    def has_expired_while_the_others_run() -> bool:
        backend.set_states([StateChange(member, STARTED) for member in members[1:]])
        assert not backend.group_completed(group, 3)  # keeps the group, as the end of another member would
        return backend.get_states([members[0].uuid]) == [None]

    wait_until(has_expired_while_the_others_run)
    assert unit.commit([second]) == [Verdict.COMMITTED]
    assert broker.pending(queue) == []
    assert unit.commit([last]) == [Verdict.COMMITTED]
    (state,) = backend.get_states([callback.uuid])
    assert state is not None
    assert state.error == f"The state of {members[0].uuid} has expired."
    (alarm,) = collect(consumer, 1)
    assert b'"Name":"alarm"' in alarm.body


def test_a_member_that_is_still_to_be_sent_is_waited_for(backend: RedisBackend, group: str):
    """As where a group that a crash left in the outbox is sent part by part."""
    members = members_of(group, 2)
    backend.init_group(group, uuids(members))
    backend.set_states([success(members[1])])
    assert not backend.group_completed(group, 2)
    assert backend.group_progress(group) == GroupProgress(1, 0, 2)
    backend.set_states([success(members[0])])
    assert backend.group_completed(group, 2)


def test_in_a_group_that_go_made_no_member_is_still_to_be_sent(backend: RedisBackend, go: GoProgram, group: str):
    """Go stores the states of all before it sends the first, so that what is not there has expired."""
    members = members_of(group, 3)
    go.init_group(group, members)
    backend.purge([members[1].uuid])
    go.set_state(members[0], SUCCESS)
    assert not backend.group_completed(group, 3)
    assert backend.group_progress(group) == GroupProgress(2, 1, 3)
    backend.set_states([success(members[2])])
    assert backend.group_completed(group, 3)


def test_a_member_that_starts_anew_is_waited_for_again(backend: RedisBackend, group: str):
    members = members_of(group, 2)
    backend.init_group(group, [member.uuid for member in members])
    backend.set_states([success(members[0])])
    assert not backend.group_completed(group, 2)
    backend.set_states([StateChange(members[0], PENDING), success(members[1])])
    assert not backend.group_completed(group, 2)
    backend.set_states([success(members[0])])
    assert backend.group_completed(group, 2)


def test_a_large_batch_of_members_looks_at_its_group_once(
    broker: RedisBroker, backend: RedisBackend, connect: Connect, queue: str, redis_store: RedisStore
):
    group, callback, count = unique("group"), task(queue=queue), 300
    members = [
        task(queue=queue, group_uuid=group, group_task_count=count, chord_callback=callback) for _ in range(count)
    ]
    backend.init_group(group, [member.uuid for member in members], callback)
    broker.send(backend, [StateChange(member, PENDING) for member in members], members)
    consumer = connect()
    unit = broker.unit(consumer, backend, broker.publish, lambda outcome: None)
    deliveries = collect(consumer, count)
    outcomes = [
        Outcome(delivery, member, success(member, "1")) for delivery, member in zip(deliveries, members, strict=True)
    ]
    before = keys_read(redis_store)
    assert unit.commit(outcomes) == [Verdict.COMMITTED] * count
    assert keys_read(redis_store) - before < 20 * count
    (delivery,) = collect(consumer, 1)
    assert delivery.body.count(b'{"Name":"","Type":"int64","Value":1}') == count + 1
