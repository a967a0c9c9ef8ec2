"""What the Redis driver writes, held against every command that Go's machinery wrote (golden/wire-redis.jsonl)."""

import itertools
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from django_machinery.drivers.redis.backend import RedisBackend
from django_machinery.drivers.redis.broker import RedisBroker
from django_machinery.protocol.codec import decode_group, decode_signature, decode_state
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import PENDING
from django_machinery.seams.backend import StateChange
from tests.protocol.golden_data import lines
from tests.services.redis_stores import RedisStore

pytestmark = pytest.mark.parametrize("redis_store", ["tcp"], indirect=True)

WRITTEN = [json.loads(line) for line in lines("wire-redis")]
CASES = {case: list(group) for case, group in itertools.groupby(WRITTEN, lambda line: line["case"])}
LATER = datetime(2100, 1, 1, tzinfo=UTC)
WRITES = ("SET", "RPUSH", "ZADD")


def commands(case: str, phase: str) -> list[list[str]]:
    """What Go wrote, without its lock."""
    written = [line["redis"] for line in CASES[case] if line["phase"] == phase]
    return [words for words in written if words[0] in WRITES and words[1] != "TriggerChordMutex"]


def signatures(case: str, phase: str) -> list[Signature]:
    return [decode_signature(words[-1]) for words in commands(case, phase) if words[0] in ("RPUSH", "ZADD")]


@pytest.fixture
def golden(redis_store: RedisStore) -> Iterator[Any]:
    """Another database of the same server, for what Go wrote."""
    with redis_store.servers()[0].client(db=9) as client:
        yield client


def contents(client: Any) -> dict[str, Any]:
    """All keys that Go reads, their values and how long they live, with the times of the run left out."""
    found: dict[str, Any] = {}
    for key in sorted(client.keys()):
        name = key.decode()
        if name.startswith("machinery:"):
            continue
        kind = client.type(key)
        if kind == b"string":
            value: Any = re.sub(rb'"CreatedAt":"[^"]+"', b'"CreatedAt":""', client.get(key))
        elif kind == b"list":
            value = client.lrange(key, 0, -1)
        else:
            # Go's times were replaced by one time in the golden data.
            value = [(re.sub(rb'"ETA":"[^"]+"', b'"ETA":""', member), 0) for member in client.zrange(key, 0, -1)]
        found[name] = (kind, value, -(-client.ttl(key) // 60))
    return found


def played(client: Any, written: list[list[str]]) -> dict[str, Any]:
    for words in written:
        client.execute_command(*words)
    return contents(client)


@pytest.mark.parametrize("case", CASES)
def test_a_send_leaves_what_a_send_of_go_leaves(
    case: str, broker: RedisBroker, backend: RedisBackend, client: Any, golden: Any
):
    written = commands(case, "send")
    groups = [decode_group(words[2]) for words in written if words[0] == "SET" and "GroupUUID" in words[2][:14]]
    for group in groups:
        backend.init_group(group.group_uuid, group.task_uuids or ())
    sent = [s.replace(eta=LATER) if is_delayed(case, s) else s for s in signatures(case, "send")]
    broker.send(backend, [StateChange(signature, PENDING) for signature in sent], sent)
    assert contents(client) == played(golden, written)


def is_delayed(case: str, signature: Signature) -> bool:
    return any(words[0] == "ZADD" and signature.uuid in words[-1] for words in commands(case, "send"))


@pytest.mark.parametrize("case", CASES)
def test_states_are_written_as_go_writes_them(case: str, backend: RedisBackend, client: Any, golden: Any):
    """Each task goes the way that it went in Go, and its state is the same text after each step."""
    written = [words for phase in ("send", "work") for words in commands(case, phase)]
    names = {s.uuid: s for phase in ("send", "work") for s in signatures(case, phase)}
    for words in written:
        if words[0] != "SET" or not words[2].startswith('{"TaskUUID"'):
            continue
        state = decode_state(words[2])
        results = None if state.results is None else tuple(filter(None, state.results))
        change = StateChange(names[words[1]], state.state, results=results, error=state.error)
        assert backend.set_states([change]) == [True]
        played(golden, [words])
        assert contents(client)[words[1]] == contents(golden)[words[1]]


def test_the_time_of_sending_stays_to_the_nanosecond(backend: RedisBackend, client: Any):
    go_wrote = commands("task", "send")[0]
    client.execute_command(*go_wrote)
    signature = Signature.of("other name", uuid="task_1", queue="q")
    assert backend.set_states([StateChange(signature, "STARTED")]) == [True]
    assert client.get("task_1") == go_wrote[2].replace("PENDING", "STARTED").encode()


@pytest.mark.parametrize(
    "stored",
    [
        '{ "State" : "%s", "TaskUUID":"task_1", "TaskName":"a\\"dd", "CreatedAt":"2020-01-01T00:00:00Z" }',
        '{"TaskUUID":"task_1","TaskName":"a\\"dd","State":"%s","CreatedAt":"2020-01-01T00:00:00Z"}',
    ],
)
def test_a_state_that_another_program_wrote_otherwise_is_understood(stored: str, backend: RedisBackend, client: Any):
    signature = Signature.of("add", uuid="task_1", queue="q")
    client.set("task_1", stored % "PENDING")
    assert backend.set_states([StateChange(signature, "STARTED")]) == [True]
    (state,) = backend.get_states(["task_1"])
    assert state is not None
    assert (state.task_name, state.created_at_text) == ('a"dd', "2020-01-01T00:00:00Z")
    client.set("task_1", stored % "SUCCESS")
    assert backend.set_states([StateChange(signature, "STARTED")]) == [False]


def test_what_is_no_state_is_none_and_is_overwritten(backend: RedisBackend, client: Any):
    client.set("task_1", "hello")
    assert backend.get_states(["task_1"]) == [None]
    assert backend.set_states([StateChange(Signature.of("add", uuid="task_1", queue="q"), "SUCCESS")]) == [True]
    (state,) = backend.get_states(["task_1"])
    assert state is not None
    assert state.is_success
