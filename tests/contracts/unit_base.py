"""The fixtures that the topics of the unit contract are written against."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import pytest

from django_machinery.protocol.codec import decode_signature
from django_machinery.protocol.signature import Signature
from django_machinery.protocol.states import FAILURE, PENDING, SUCCESS
from django_machinery.seams.backend import ResultBackend, StateChange
from django_machinery.seams.broker import Broker, Consumer, Delivery
from django_machinery.seams.unit import Note, Outcome, Unit
from tests.contracts.backend_base import result
from tests.contracts.broker_base import BrokerTopic
from tests.contracts.support import collect, unique

MakeUnit: TypeAlias = Callable[[Consumer], Unit]
Send: TypeAlias = Callable[..., Signature]


class UnitTopic(BrokerTopic):
    """A driver supplies `broker` and `backend`, of one store where its unit is atomic, and may replace `buried`."""

    @pytest.fixture
    def backend(self, broker: Broker) -> ResultBackend:
        raise NotImplementedError

    @pytest.fixture
    def graves(self) -> list[Outcome]:
        """What the unit gave to its `bury`."""
        return []

    @pytest.fixture
    def buried(self, graves: list[Outcome]) -> Callable[[], list[str]]:
        """The reasons of all burials so far; replace it where the unit writes dead letters by itself."""
        return lambda: [outcome.burial.reason for outcome in graves if outcome.burial is not None]

    @pytest.fixture
    def outbox(self) -> list[Signature]:
        """What has to wait for its ETA outside of a broker that cannot delay."""
        return []

    @pytest.fixture
    def dispatch(
        self, broker: Broker, backend: ResultBackend, outbox: list[Signature]
    ) -> Callable[[Sequence[Signature]], None]:
        """Send as a server does: PENDING if absent, then publish what may run now."""

        def dispatch(signatures: Sequence[Signature]) -> None:
            now = datetime.now(UTC)
            held = [s for s in signatures if s.eta is not None and s.eta > now and not broker.supports_delay]
            outbox.extend(held)
            changes = [StateChange(signature, PENDING, if_absent=True) for signature in signatures]
            broker.send(backend, changes, [signature for signature in signatures if signature not in held])

        return dispatch

    @pytest.fixture
    def unit_of(
        self,
        broker: Broker,
        backend: ResultBackend,
        dispatch: Callable[[Sequence[Signature]], None],
        graves: list[Outcome],
    ) -> MakeUnit:
        return lambda consumer: broker.unit(consumer, backend, dispatch, graves.append)

    @pytest.fixture
    def unit(self, unit_of: MakeUnit, consumer: Consumer) -> Unit:
        """The unit of `consumer`."""
        return unit_of(consumer)

    @pytest.fixture
    def send(self, queue: str, dispatch: Callable[[Sequence[Signature]], None]) -> Send:
        def send(**fields: Any) -> Signature:
            """Send one task to the queue of the test."""
            signature = self.task(queue, **fields)
            dispatch([signature])
            return signature

        return send

    def task(self, queue: str, **fields: Any) -> Signature:
        """A task that nobody has sent yet."""
        return Signature.of("add", 1, **{"uuid": unique("task"), "queue": queue, **fields})

    def is_atomic(self, broker: Broker, backend: ResultBackend) -> bool:
        """Whether state and message live in one store, so that a unit is one step."""
        return broker.store is not None and broker.store == backend.store


def take(consumer: Consumer) -> Outcome:
    """The next message, as an outcome that says nothing yet."""
    (delivery,) = collect(consumer, 1)
    return untold(delivery)


def untold(delivery: Delivery) -> Outcome:
    return Outcome(delivery, decode_signature(delivery.body))


def succeed(outcome: Outcome, text: str = "3") -> Outcome:
    """Let the task of `outcome` succeed with an integer."""
    assert outcome.signature is not None
    outcome.change = StateChange(outcome.signature, SUCCESS, results=(result(text),))
    return outcome


def note(outcome: Outcome, state: str) -> Note:
    """That the task of `outcome` is in that state."""
    assert outcome.signature is not None
    return Note(outcome.delivery, StateChange(outcome.signature, state))


def fail(outcome: Outcome, error: str = "no") -> Outcome:
    """Let the task of `outcome` fail."""
    assert outcome.signature is not None
    outcome.change = StateChange(outcome.signature, FAILURE, error=error, reason="error")
    return outcome
