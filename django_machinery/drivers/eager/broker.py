"""The broker of `eager://`: `publish` runs the messages before it returns (Go: brokers/eager).

ETAs are ignored, as in Go: delayed messages and retries run at once.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from django_machinery.drivers.eager.consumer import EagerConsumer
from django_machinery.exceptions import BrokerError
from django_machinery.protocol.codec import encode_signature
from django_machinery.seams.broker import Broker, Consumer, Delivery
from django_machinery.seams.unit import Bury, OrderedUnit, Publish, Unit

if TYPE_CHECKING:
    from django_machinery.conf import ServerConfig
    from django_machinery.protocol.codec import Limits
    from django_machinery.protocol.signature import Signature
    from django_machinery.seams.backend import ResultBackend

MAX_DEPTH = 10
"""How deep sends inside of tasks run at once; deeper ones wait for the end of the task that sends them."""
MAX_RUNS = 1000
"""How often one publish runs the same message: a task that always asks for one more retry would never end."""


class EagerBroker(Broker):
    """A task that another task sends runs inside of it, so that it may wait for the result; follow-ups run after it."""

    executes_inline = True

    def __init__(self, url: str, config: ServerConfig) -> None:
        super().__init__(url, config)
        self.execute: Callable[[Delivery], object] | None = None
        """Runs a delivery and commits its outcome. Set by who builds the server, for drivers know no worker."""
        self._thread = _Thread()

    def publish(self, signatures: Sequence[Signature]) -> None:
        """Run the messages, and all that they trigger. Raises what `execute` raises, and BrokerError without one."""
        deliveries = [_delivery(signature, self.config.limits) for signature in signatures]
        running = self._thread.running
        if running and (self._thread.following_up or len(running) >= MAX_DEPTH):
            running[-1].extend(deliveries)
        else:
            self._run(deque(deliveries))

    def consumer(self, queues: Sequence[str], names: Collection[str], token: str) -> Consumer:
        """What `execute` settles with. It hands out nothing."""
        return EagerConsumer()

    def unit(self, consumer: Consumer, backend: ResultBackend, publish: Publish, bury: Bury) -> Unit:
        """A unit whose follow-ups run after the task that triggers them: a chain of any length needs no stack."""

        def publish_after(signatures: Sequence[Signature]) -> None:
            before, self._thread.following_up = self._thread.following_up, True
            try:
                publish(signatures)
            finally:
                self._thread.following_up = before

        return OrderedUnit(consumer, backend, publish_after, bury)

    def depth(self, queue: str) -> int:
        return 0

    def purge(self, queue: str) -> int:
        return 0

    def _run(self, deliveries: deque[Delivery]) -> None:
        if self.execute is None:
            raise BrokerError("This eager broker has nothing that executes tasks: servers[...] builds one that has.")
        thread = self._thread
        thread.running.append(deliveries)
        try:
            while deliveries:
                self._count(deliveries[0])
                self.execute(deliveries.popleft())
        finally:
            thread.running.pop()
            if not thread.running:
                thread.runs.clear()

    def _count(self, delivery: Delivery) -> None:
        runs = self._thread.runs
        runs[delivery.uuid] += 1
        if runs[delivery.uuid] > MAX_RUNS:
            raise BrokerError(f"{delivery.uuid} was run {MAX_RUNS} times: eager:// runs retries at once, without end.")


class _Thread(threading.local):
    """What one thread is running: the messages of each publish that has not returned, the innermost last."""

    def __init__(self) -> None:
        self.running: list[deque[Delivery]] = []
        self.runs: Counter[str] = Counter()
        self.following_up = False


def _delivery(signature: Signature, limits: Limits) -> Delivery:
    body = encode_signature(signature, limits)
    return Delivery(body, signature.queue, None, "eager", uuid=signature.uuid, claimed_at=time.monotonic())
