"""The unit of a broker and a backend that share nothing: its contract, its order, and a crash at every step."""

from collections.abc import Sequence
from typing import Any

import pytest

from django_machinery.conf import ServerConfig
from django_machinery.drivers.eager.backend import EagerBackend
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import PENDING, SUCCESS
from django_machinery.seams.backend import ResultBackend, StateChange
from django_machinery.seams.unit import OrderedUnit, Outcome, Verdict
from tests.contracts.backend_base import get_state, states_of
from tests.contracts.broker_base import names_of
from tests.contracts.support import config_with, nothing_comes, unique
from tests.contracts.unit import UnitContract
from tests.contracts.unit_base import succeed, take
from tests.toys.push import PushBroker, PushConsumer
from tests.toys.test_leasing import TestLeasingBroker as _Leasing
from tests.toys.test_push import TestPushBroker as _Push


class _InMemory(UnitContract):
    @pytest.fixture
    def backend(self, config: ServerConfig) -> ResultBackend:
        return EagerBackend("eager://", config)


class TestPushing(_InMemory):
    broker = _Push.broker
    crash = _Push.crash
    inject = _Push.inject


class TestLeasing(_InMemory):
    broker = _Leasing.broker
    inject = _Leasing.inject


class Killed(Exception):
    """The process ends here."""


class Steps:
    """A unit on toys that writes its steps down and dies at one of them, before it or right after it."""

    def __init__(self) -> None:
        self.config = config_with()
        self.broker = PushBroker(f"push://{unique('server')}", self.config)
        self.backend = EagerBackend("eager://", self.config)
        self.taken: list[str] = []
        self.dies = ""

    def consumer(self) -> PushConsumer:
        return self.broker.consumer(["math"], ["add"], unique("worker"))

    def unit(self, consumer: PushConsumer) -> OrderedUnit:
        return OrderedUnit(_Watched(self, consumer), _Watched(self, self.backend), self._publish, self._bury)  # type: ignore[arg-type]

    def step(self, name: str, call: Any, *args: Any) -> Any:
        if self.dies == f"before {name}":
            raise Killed(name)
        result = call(*args)
        self.taken.append(name)
        if self.dies == f"after {name}":
            raise Killed(name)
        return result

    def send(self, signatures: Sequence[Signature]) -> None:
        changes = [StateChange(signature, PENDING, if_absent=True) for signature in signatures]
        self.broker.send(self.backend, changes, signatures)

    def _publish(self, signatures: Sequence[Signature]) -> None:
        self.step("publish", self.send, signatures)

    def _bury(self, outcome: Outcome) -> None:
        raise AssertionError("nothing is buried here")


class _Watched:
    """Passes calls on; those that change something are steps."""

    def __init__(self, steps: Steps, target: object) -> None:
        self._steps = steps
        self._target = target

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)
        if name in ("set_states", "trigger_chord", "settle"):
            return lambda *args: self._steps.step(name, method, *args)
        return method


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def chord(steps: Steps) -> tuple[Signature, Signature, Signature]:
    """A sent chord of one member, its callback, and a success callback of the member."""
    callback, after = (Signature.of("add", uuid=unique("task"), queue="math") for _ in range(2))
    group = unique("group")
    member = Signature.of("add", uuid=unique("task"), queue="math", group_uuid=group, group_task_count=1)
    member = member.replace(chord_callback=callback, on_success=[after])
    steps.backend.init_group(group, [member.uuid], callback)
    steps.send([member])
    return member, callback, after


STEPS = ["set_states", "trigger_chord", "publish", "settle"]


def test_the_steps_are_state_then_follow_ups_then_settle(steps: Steps, chord: tuple[Signature, ...]):
    consumer = steps.consumer()
    outcome = succeed(take(consumer))
    outcome.follow_ups = chord[2:]
    assert steps.unit(consumer).commit([outcome]) == [Verdict.COMMITTED]
    assert steps.taken == STEPS


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_loses_and_doubles_nothing(
    steps: Steps, chord: tuple[Signature, Signature, Signature], step: str, moment: str
):
    member, callback, after = chord
    crashed, heir = steps.consumer(), steps.consumer()
    outcome = succeed(take(crashed))
    outcome.follow_ups = (after,)
    steps.dies = f"{moment} {step}"
    with pytest.raises(Killed):
        steps.unit(crashed).commit([outcome])
    steps.dies = ""
    crashed.cut()
    published = run_again(steps, heir, member, after)
    assert states_of(steps.backend, [member, after, callback]) == [SUCCESS, PENDING, PENDING]
    assert set(published) == {after.uuid, callback.uuid}
    group = steps.backend.group_progress(member.group_uuid)
    assert group is not None
    assert (group.done, group.total) == (1, 1)


def run_again(steps: Steps, heir: PushConsumer, member: Signature, after: Signature) -> list[str]:
    """Do what a worker does with all that is on the queue; returns what was published."""
    published: list[str] = []
    while deliveries := heir.fetch(10):
        for delivery in deliveries:
            if names_of([delivery]) != [member.uuid]:
                published += names_of([delivery])
                heir.settle([delivery])
                continue
            outcome = Outcome(delivery, member, follow_ups=(after,), final=get_state(steps.backend, member))
            if not outcome.final or not outcome.final.is_completed:
                outcome = succeed(outcome)
            assert steps.unit(heir).commit([outcome]) == [Verdict.COMMITTED]
    assert nothing_comes(heir)
    return published
