"""The consumer of `eager://`, where no message ever waits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from django_machinery.exceptions import BrokerError, TaskNotRegistered
from django_machinery.seams.broker import Consumer, Delivery


class EagerConsumer(Consumer):
    def __init__(self) -> None:
        self._bell: SimpleQueue[None] = SimpleQueue()

    def fetch(self, limit: int, *, alone: bool = False) -> list[Delivery]:
        return []

    def wait(self, timeout: float) -> None:
        with suppress(Empty):
            self._bell.get(timeout=timeout)

    def wake(self) -> None:
        self._bell.put(None)

    def pause(self, queues: Collection[str]) -> None:
        """Changes nothing: what is sent runs at once."""

    def settle(self, deliveries: Sequence[Delivery]) -> list[bool]:
        return [True] * len(deliveries)

    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Raises BrokerError: there is no queue to give messages back to."""
        if deliveries:
            raise BrokerError("eager:// runs messages as they are sent and has no queue to give one back to.")

    def park(self, deliveries: Sequence[Delivery]) -> None:
        """Raises TaskNotRegistered, to who sends: there is no other worker that might know the task."""
        for delivery in deliveries:
            raise TaskNotRegistered(
                f"{delivery.uuid} is for a task that is not registered here, where eager:// runs it."
            )

    def close(self) -> None:
        pass
