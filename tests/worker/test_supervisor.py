"""The supervisor where no child can be started; with children it is shown in tests/acceptance."""

import os
import signal
import threading
import time
from typing import Any

import pytest

from django_machinery import signals
from django_machinery.conf import ServerConfig
from django_machinery.exceptions import BrokerError, BrokerUnavailable
from django_machinery.worker.pipes import ExitStatus
from django_machinery.worker.plan import Plan
from django_machinery.worker.supervisor import Supervisor
from tests.toys.push import PushBroker
from tests.waiting import wait_until
from tests.worker.support import heard, toy_server


class Refusing(PushBroker):
    """Raises whatever it is asked for."""

    error: Exception = BrokerError("no such table")

    def __init__(self, url: str, config: ServerConfig) -> None:
        super().__init__(url, config)
        self.asked = 0

    def renew(self, tokens: object) -> set[str]:
        self.asked += 1
        raise self.error


class Away(Refusing):
    error = BrokerUnavailable("gone")


def supervisor_of(broker: type[Refusing]) -> tuple[Supervisor, Refusing, list[str]]:
    server = toy_server(broker)
    said: list[str] = []
    plan = Plan(queues=("math",), processes=2, concurrency=1, shutdown_timeout=30)
    refusing: Any = server.broker
    return Supervisor(server, plan, said.append), refusing, said


def test_a_broker_that_refuses_ends_it_with_the_reason():
    supervisor, _, _ = supervisor_of(Refusing)
    with pytest.raises(BrokerError, match="no such table"):
        supervisor.run()


def test_while_a_broker_is_waited_for_a_signal_ends_it_at_once():
    supervisor, broker, said = supervisor_of(Away)

    def interrupt() -> None:
        wait_until(lambda: broker.asked >= 2)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=interrupt)
    started = time.monotonic()
    with heard(signals.store_unavailable) as told:
        thread.start()
        assert supervisor.run() == ExitStatus.DONE
    thread.join()
    assert time.monotonic() - started < 10
    assert len(told) == 1
    assert said == ["STOPPING: running tasks may finish; the next signal ends them"]


class Silent:
    """Stands for a child that has not been heard of for long."""

    def __init__(self) -> None:
        self.killed = self.excused = False

    def hangs(self, lease: float) -> bool:
        return False

    def enforce(self, lease: float) -> None:
        self.killed = not self.excused

    def excuse(self) -> None:
        self.excused = True


def test_a_supervisor_that_stood_still_itself_ends_no_child_for_its_silence():
    supervisor, _, _ = supervisor_of(Refusing)
    child: Any = Silent()
    supervisor._children["token"] = child
    supervisor._enforced_at -= supervisor._server.config.lease
    supervisor._enforce()
    assert (child.excused, child.killed) == (True, False)
    child.excused = False
    supervisor._enforce()
    assert (child.excused, child.killed) == (False, True)
