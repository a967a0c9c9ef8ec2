"""`eager://`: the contracts, and how inline execution nests."""

from datetime import timedelta

import pytest

from django_machinery.conf import ServerConfig
from django_machinery.drivers.eager.backend import EagerBackend
from django_machinery.drivers.eager.broker import MAX_DEPTH, MAX_RUNS, EagerBroker
from django_machinery.drivers.eager.lock import EagerLock
from django_machinery.exceptions import BrokerError, TaskNotRegistered
from django_machinery.protocol.codec import decode_signature
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import SUCCESS
from django_machinery.seams.backend import ResultBackend, StateChange
from django_machinery.seams.broker import Broker, Delivery
from django_machinery.seams.lock import Lock
from django_machinery.seams.unit import Outcome
from tests.contracts.backend import BackendContract
from tests.contracts.backend_base import success, task
from tests.contracts.broker import BrokerContract
from tests.contracts.lock import LockContract
from tests.contracts.support import config_with, unique
from tests.waiting import wait_until


class TestEagerBroker(BrokerContract):
    @pytest.fixture
    def broker(self, config: ServerConfig) -> Broker:
        return EagerBroker("eager://", config)


class TestEagerBackend(BackendContract):
    @pytest.fixture
    def backend(self, config: ServerConfig) -> ResultBackend:
        return EagerBackend("eager://", config)


class TestEagerLock(LockContract):
    @pytest.fixture
    def lock(self, config: ServerConfig) -> Lock:
        return EagerLock("eager://", config)

    @pytest.fixture
    def other(self, config: ServerConfig) -> Lock:
        return EagerLock("eager://", config)


def test_writing_deletes_what_has_expired_because_no_worker_does(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("django_machinery.drivers.eager.backend.SWEEP_EVERY", 0.0)
    backend = EagerBackend("eager://", config_with(results_expire_in=1))
    old = task()
    backend.set_states([success(old)])

    def old_is_gone() -> bool:
        backend.set_states([success(task())])
        return backend.get_states([old.uuid]) == [None]

    wait_until(old_is_gone)


class Trace:
    """An executor that writes down what begins and ends, and lets each task send what `sends` says."""

    def __init__(self, broker: EagerBroker) -> None:
        self.events: list[str] = []
        self.depth = self.deepest = 0
        self.sends: dict[str, list[Signature]] = {}
        self.follow_ups: dict[str, list[Signature]] = {}
        self._broker = broker
        self._backend = EagerBackend("eager://", broker.config)
        broker.execute = self

    def __call__(self, delivery: Delivery) -> None:
        signature = decode_signature(delivery.body)
        self.depth += 1
        self.deepest = max(self.deepest, self.depth)
        self.events.append(f"<{signature.name}")
        self._broker.publish(self.sends.get(signature.name, []))
        consumer = self._broker.consumer([], [], "eager")
        unit = self._broker.unit(consumer, self._backend, self._broker.publish, lambda _: None)
        follow_ups = tuple(self.follow_ups.get(signature.name, []))
        unit.commit([Outcome(delivery, signature, StateChange(signature, SUCCESS), follow_ups)])
        self.events.append(f"{signature.name}>")
        self.depth -= 1


@pytest.fixture
def broker() -> EagerBroker:
    return EagerBroker("eager://", config_with())


@pytest.fixture
def trace(broker: EagerBroker) -> Trace:
    return Trace(broker)


def named(name: str) -> Signature:
    return Signature.of(name, uuid=unique("task"))


def test_a_task_that_a_task_sends_runs_inside_of_it(broker: EagerBroker, trace: Trace):
    trace.sends = {"outer": [named("inner")]}
    broker.publish([named("outer"), named("next")])
    assert trace.events == ["<outer", "<inner", "inner>", "outer>", "<next", "next>"]


def test_follow_ups_run_after_the_task_that_triggers_them(broker: EagerBroker, trace: Trace):
    trace.follow_ups = {"first": [named("second")], "second": [named("third")]}
    broker.publish([named("first")])
    assert trace.events == ["<first", "first>", "<second", "second>", "<third", "third>"]


def test_follow_ups_of_an_inner_task_run_before_its_send_returns(broker: EagerBroker, trace: Trace):
    trace.sends = {"outer": [named("inner")]}
    trace.follow_ups = {"inner": [named("after")]}
    broker.publish([named("outer")])
    assert trace.events == ["<outer", "<inner", "inner>", "<after", "after>", "outer>"]


def test_what_a_follow_up_sends_runs_inside_of_it(broker: EagerBroker, trace: Trace):
    trace.follow_ups = {"first": [named("second")]}
    trace.sends = {"second": [named("inner")]}
    broker.publish([named("first")])
    assert trace.events == ["<first", "first>", "<second", "<inner", "inner>", "second>"]


def test_a_long_chain_of_follow_ups_needs_no_stack(broker: EagerBroker, trace: Trace):
    trace.follow_ups = {str(number): [named(str(number + 1))] for number in range(2000)}
    broker.publish([named("0")])
    assert len(trace.events) == 2 * 2001
    assert trace.deepest == 1


def test_tasks_that_send_tasks_nest_up_to_a_depth_and_are_then_queued(broker: EagerBroker, trace: Trace):
    trace.sends = {str(number): [named(str(number + 1))] for number in range(2000)}
    broker.publish([named("0")])
    assert len(trace.events) == 2 * 2001
    assert trace.deepest == MAX_DEPTH


def test_delays_are_ignored(broker: EagerBroker, trace: Trace):
    broker.publish([named("later").replace(eta=timedelta(days=1))])
    assert trace.events == ["<later", "later>"]


def test_a_message_that_is_retried_without_end_is_an_error(broker: EagerBroker):
    runs: list[Delivery] = []

    def execute(delivery: Delivery) -> None:
        runs.append(delivery)
        broker.publish([decode_signature(delivery.body)])

    broker.execute = execute
    with pytest.raises(BrokerError, match="without end"):
        broker.publish([named("again")])
    assert len(runs) == MAX_RUNS


def test_an_error_of_the_executor_reaches_the_sender_and_leaves_the_broker_usable(broker: EagerBroker):
    def refuse(delivery: Delivery) -> None:
        raise BrokerError("no")

    broker.execute = refuse
    with pytest.raises(BrokerError, match="no"):
        broker.publish([named("one"), named("two")])
    trace = Trace(broker)
    broker.publish([named("three")])
    assert trace.events == ["<three", "three>"]


def test_nothing_ever_waits(broker: EagerBroker, trace: Trace):
    broker.publish([named("one")])
    assert (broker.depth(""), broker.purge("")) == (0, 0)
    consumer = broker.consumer([], [], "eager")
    consumer.wake()
    consumer.wait(60)
    assert consumer.fetch(1) == []
    consumer.release([])
    consumer.park([])


def test_without_an_executor_publishing_is_an_error(broker: EagerBroker):
    with pytest.raises(BrokerError, match="servers"):
        broker.publish([named("one")])


def test_a_task_that_nobody_knows_is_an_error_of_the_sender(broker: EagerBroker):
    consumer = broker.consumer([], [], "eager")
    delivery = Delivery(b"{}", "math", None, "eager", uuid="task_1")
    with pytest.raises(TaskNotRegistered, match="task_1"):
        consumer.park([delivery])
    with pytest.raises(BrokerError, match="no queue"):
        consumer.release([delivery])
