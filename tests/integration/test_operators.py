"""Pause and cancel, on every kind of broker: with a worker that runs, and one that comes later."""

from typing import Any

import pytest

from django_machinery import Signature, Worker, control, send_task
from django_machinery.server import Server
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


def _rests(server: Server) -> bool:
    """Does a message that comes now stay where it is?"""
    probe = send_task("tests.app.tasks.add", args=[0, 0])
    try:
        wait_until(lambda: probe.is_completed, timeout=0.5)
    except TimeoutError:
        control.cancel(server, [probe.uuid])
        return True
    return False
