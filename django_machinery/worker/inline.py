"""Runs deliveries in the caller's thread, for brokers that execute what is published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django_machinery.seams.unit import Verdict
from django_machinery.worker.announcer import Announcer
from django_machinery.worker.crew import worker_name
from django_machinery.worker.executor import Executor
from django_machinery.worker.hooks import Hooks
from django_machinery.worker.loop import EventLoop
from django_machinery.worker.outcomes import Committed, Parked, TaskOutcome

if TYPE_CHECKING:
    from django_machinery.seams.broker import Delivery
    from django_machinery.server import Server
    from django_machinery.worker.run import Run


class InlineRunner:
    """What a worker does, without threads, leases and waiting: each delivery is run and committed before the next."""

    def __init__(self, server: Server) -> None:
        broker = server.broker
        worker = worker_name("inline")
        self._announcer = Announcer(server, worker)
        self._consumer = broker.consumer((server.config.default_queue,), server.registry.names, "inline")
        self._unit = server.unit(self._consumer)
        self._executor = Executor(server, self._unit, worker, Hooks(), self._announcer, EventLoop())

    def __call__(self, deliveries: Sequence[Delivery]) -> None:
        """Raises what the broker and the result backend raise, and what `park` raises for an unknown task."""
        for delivery in deliveries:
            self._run(delivery)

    def _run(self, delivery: Delivery) -> None:
        ending = self._executor.execute(delivery, _nobody_watches)
        if isinstance(ending, Parked):
            self._consumer.park([delivery])
        elif isinstance(ending, Committed):
            self._announcer.committed(ending.outcome)
        elif isinstance(ending, TaskOutcome):
            (verdict,) = self._unit.commit([ending])
            if verdict is Verdict.COMMITTED:
                self._announcer.committed(ending)
        else:
            self._consumer.release([delivery])


def _nobody_watches(run: Run | None) -> None:
    pass
