"""Pause and cancel, on every kind of broker: with a worker that runs, and one that comes later."""

from datetime import timedelta
from typing import Any

import pytest

from django_machinery import Signature, Worker, control, send_task
from django_machinery.drivers.redis.broker import RedisBroker
from django_machinery.server import Server
from tests.contracts.support import unique, uuids
from tests.integration.conftest import running
from tests.integration.matrix import PAIRS, pairs
from tests.waiting import wait_until

BROKERS = [
    *(("default", broker, "orm") for broker in ("orm", "push", "leasing")),
    *(("default", broker, broker) for broker in ("redis-tcp", "redis-cluster")),
]


def one_of_each() -> list[Any]:
    return [parameters for parameters in pairs() if parameters.values in BROKERS]


def test_each_kind_of_broker_is_there():
    assert set(BROKERS) <= set(PAIRS)


@pytest.mark.parametrize(("database", "broker", "backend"), one_of_each(), indirect=["database"])
class TestOperators:
    def test_a_paused_queue_rests_until_it_is_resumed(self, server: Server):
        control.pause(server, "machinery_tasks", by="me")
        result = send_task("tests.app.tasks.add", args=[1, 2])
        with running(Worker(server, concurrency=1, queues=["machinery_tasks", "else"])):
            other = send_task("tests.app.tasks.add", args=[3, 4], queue="else")
            assert other.get(timeout=20) == 7
            assert result.state == "PENDING"
            control.resume(server, "machinery_tasks")
            assert result.get(timeout=20) == 3
            control.pause(server, "machinery_tasks")
            wait_until(lambda: _rests(server))

    def test_a_task_that_waits_is_cancelled(self, server: Server):
        result = server.send_task(Signature.of("tests.app.tasks.add", 1, 2))
        assert control.cancel(server, [result.uuid], by="me") == 1
        with running(Worker(server, concurrency=1)):
            wait_until(lambda: result.is_completed)
        assert result.task_state.error == "the task was cancelled by me before it ran"
        assert control.cancel(server, [result.uuid]) == 0

    def test_what_waits_is_listed_as_signatures(self, server: Server):
        if not server.broker.supports_listing:
            with pytest.raises(NotImplementedError):
                server.get_pending_tasks()
            return
        ready = [Signature.of("add", n, uuid=unique("task")) for n in range(3)]
        elsewhere = Signature.of("add", 4, uuid=unique("task"), queue="else")
        delayed = [Signature.of("add", n, uuid=unique("task"), eta=timedelta(hours=2 - n)) for n in range(2)]
        for each in (*ready, elsewhere, *delayed):
            server.send_task(each)
        assert uuids(server.get_pending_tasks()) == uuids(ready)
        assert [bytes(task.args[0].value) for task in server.get_pending_tasks() if task.args] == [b"0", b"1", b"2"]
        assert uuids(server.get_pending_tasks("machinery_tasks", limit=2)) == uuids(ready[:2])
        assert uuids(server.get_pending_tasks("else")) == [elsewhere.uuid]
        assert uuids(server.get_delayed_tasks()) == uuids(delayed[::-1])
        assert uuids(server.get_delayed_tasks(limit=1)) == [delayed[1].uuid]


@pytest.mark.parametrize(("database", "broker", "backend"), pairs("redis-tcp", "redis-tcp"), indirect=["database"])
def test_what_cannot_be_decoded_is_not_listed(server: Server):
    assert isinstance(server.broker, RedisBroker)
    server.broker.client.call("machinery_tasks", ("RPUSH", "machinery_tasks", b"{no message"))
    sent = server.send_task(Signature.of("add", 1))
    assert uuids(server.get_pending_tasks()) == [sent.uuid]


def _rests(server: Server) -> bool:
    """Does a message that comes now stay where it is?"""
    probe = send_task("tests.app.tasks.add", args=[0, 0])
    try:
        wait_until(lambda: probe.is_completed, timeout=0.5)
    except TimeoutError:
        control.cancel(server, [probe.uuid])
        return True
    return False
