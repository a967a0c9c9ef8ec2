"""The fixtures that the topics of the broker contract are written against."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, ClassVar, Protocol
from unittest import SkipTest

import pytest

from django_machinery.conf import ServerConfig
from django_machinery.protocol.codec import decode_signature
from django_machinery.protocol.signature import Signature
from django_machinery.seams.broker import Broker, Consumer, Delivery, Lease
from tests.contracts.support import config_with, needs, unique
from tests.waiting import wait_until


class Connect(Protocol):
    """Opens a consumer as the process `token`, which it enlists first. All are closed with the test."""

    def __call__(
        self, token: str = "", queues: Sequence[str] = (), names: Collection[str] = ("add", "multiply")
    ) -> Consumer: ...


class BrokerTopic:
    """What a driver supplies, and what the tests of every topic use."""

    replaces_waiting: ClassVar[bool] = True
    """Whether the store can tell that a UUID waits already, and replaces that message."""
    keeps_places: ClassVar[bool] = True
    """Whether a released message goes back to its old place."""
    counts_released: ClassVar[bool] = False
    """Whether the store itself counts how often it hands a message out, a released claim included."""
    wakes_within: ClassVar[float] = 2.0
    """Seconds from a publish to the end of another thread's `wait`."""

    @pytest.fixture
    def config(self, request: pytest.FixtureRequest) -> ServerConfig:
        """A short lease, and what a test changes by indirect parameters."""
        return config_with(**getattr(request, "param", {}))

    @pytest.fixture
    def broker(self, config: ServerConfig) -> Broker:
        """An empty broker of this configuration."""
        raise NotImplementedError

    def crash(self, broker: Broker, consumer: Consumer, token: str) -> None:
        """Do to `consumer` what kill -9 of its process does, and see to it that the store finds out."""
        if broker.lease is Lease.WORKER:
            broker.reclaim(token)
        elif broker.lease is Lease.CONNECTION:
            raise NotImplementedError("cut the consumer's connection")

    def inject(self, broker: Broker, queue: str, body: bytes) -> None:
        """Put bytes on a queue that no signature encodes to, as another program might."""
        raise NotImplementedError

    @pytest.fixture
    def unreachable(self, config: ServerConfig) -> Broker:
        """A broker whose store cannot be reached."""
        pytest.skip("a store in memory can always be reached")

    @pytest.fixture
    def queue(self) -> str:
        return unique("math")

    @pytest.fixture
    def token(self) -> str:
        return unique("worker")

    @pytest.fixture
    def connect(self, broker: Broker, queue: str) -> Iterator[Connect]:
        if broker.executes_inline:
            raise SkipTest("executes_inline")  # summed up in one line, where skip() in a fixture gives one a test
        opened: list[Consumer] = []

        def connect(
            token: str = "", queues: Sequence[str] = (), names: Collection[str] = ("add", "multiply")
        ) -> Consumer:
            token = token or unique("worker")
            assert broker.renew([token]) == {token}
            opened.append(broker.consumer(queues or [queue], names, token))
            return opened[-1]

        yield connect
        for consumer in opened:
            consumer.close()

    @pytest.fixture
    def consumer(self, connect: Connect, token: str) -> Consumer:
        """A consumer of `queue`, as the process `token`."""
        return connect(token)

    @pytest.fixture
    def other(self, connect: Connect) -> Consumer:
        """A second process's consumer of the same queue."""
        return connect()

    @pytest.fixture
    def publish(self, broker: Broker, queue: str) -> "Publish":
        def publish(*values: Any, **fields: Any) -> list[Signature]:
            """One message `add(value)` a value, in one call."""
            shared = {"queue": queue, **fields}
            signatures = [Signature.of("add", value, **{"uuid": unique("task"), **shared}) for value in values]
            broker.publish(signatures)
            return signatures

        return publish

    def after_crash(
        self, broker: Broker, crashed: tuple[Consumer, str], heir: Consumer, count: int = 1
    ) -> list[Delivery]:
        """Crash a process; what the heir is then handed of it, alone where the broker isolates suspects."""
        self.crash(broker, *crashed)
        found: list[Delivery] = []

        def enough() -> bool:
            found.extend(heir.fetch(count - len(found), alone=broker.supports_isolation))
            return len(found) >= count

        wait_until(enough, message=lambda: f"{count} redelivered, got {found}")
        return found

    def needs_lease(self, broker: Broker, *kinds: Lease) -> None:
        if broker.lease not in kinds:
            pytest.skip(f"lease is {broker.lease.name}")

    def needs_delay_and_listing(self, broker: Broker) -> None:
        needs(broker, "supports_delay")
        needs(broker, "supports_listing")


class Publish(Protocol):
    def __call__(self, *values: Any, **fields: Any) -> list[Signature]: ...


def names_of(deliveries: Sequence[Delivery]) -> list[str]:
    """The UUIDs of the tasks that the bodies of deliveries name."""
    return [decode_signature(delivery.body).uuid for delivery in deliveries]
