"""Listing states, of which Redis keeps no list."""

from typing import Any

import pytest

from django_machinery.drivers.redis import backend as backend_module
from django_machinery.drivers.redis import client as client_module
from django_machinery.drivers.redis.backend import RedisBackend
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import PENDING
from django_machinery.seams.backend import Estimate, StateChange
from tests.contracts.support import unique


def put(backend: RedisBackend, count: int) -> list[str]:
    sent = [Signature.of("add", uuid=unique("task")) for _ in range(count)]
    backend.set_states([StateChange(signature, PENDING) for signature in sent])
    return [signature.uuid for signature in sent]


def test_groups_and_keys_of_others_are_no_states(backend: RedisBackend, client: Any, queue: str):
    (uuid,) = put(backend, 1)
    group = unique("group")
    backend.init_group(group, [uuid])
    client.set(queue, b'{"TaskUUID":"another","State":"PENDING"}')
    listed = [state.task_uuid for state in backend.list_states(100_000)]
    assert uuid in listed
    assert {group, queue, "another"}.isdisjoint(listed)
    client.delete(queue)


def test_of_very_many_states_some_stand_for_all(backend: RedisBackend, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client_module, "PAGE", 10)
    monkeypatch.setattr(backend_module, "COUNTED", 20)
    put(backend, 300)
    counted = backend.count_states()[PENDING]
    assert 100 < counted < 1000
    assert isinstance(counted, Estimate)
