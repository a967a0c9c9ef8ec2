"""What a worker does, without threads, leases and waiting: for brokers that execute what is sent, and for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_machinery.exceptions import BackendRefused, BrokerError
from django_machinery.seams.unit import Verdict
from django_machinery.worker import outcomes
from django_machinery.worker.announcer import Announcer
from django_machinery.worker.executor import Executor
from django_machinery.worker.hooks import Hooks
from django_machinery.worker.loop import EventLoop
from django_machinery.worker.outcomes import Committed, Parked, Released, TaskOutcome

if TYPE_CHECKING:
    from django_machinery.seams.broker import Consumer, Delivery
    from django_machinery.server import Server
    from django_machinery.worker.run import Run


class InlineRunner:
    """Runs deliveries in the calling thread and on its database connections."""

    def __init__(self, server: Server, consumer: Consumer, worker: str) -> None:
        self._server = server
        self._consumer = consumer
        self._worker = worker
        self._loop = EventLoop()
        self._unit = server.unit(consumer)
        self._announcer = Announcer(server, worker)
        self._executor = Executor(server, self._unit, worker, Hooks(), self._announcer, self._loop)

    def run(self, delivery: Delivery) -> TaskOutcome | None:
        """Run it and commit its outcome, which is returned; None: its task is not registered here, and it is parked.

        Raises what the broker and the result backend raise, and BrokerError when another worker has the message. What
        the task raises is its failure; where that is no Exception (Ctrl-C, `sys.exit()`, `pytest.fail()`) it goes on to
        the caller, after the failure was committed.
        """
        runs: list[Run] = []
        ending = self._executor.execute(delivery, lambda run: runs.append(run) if run is not None else None)
        if isinstance(ending, Parked):
            self._consumer.park([delivery])
            return None
        if isinstance(ending, Released):
            raise _lost(delivery)
        outcome = ending.outcome if isinstance(ending, Committed) else self._commit(ending)
        self._announcer.committed(outcome)
        for run in runs:
            if run.escaped is not None:
                raise run.escaped
        return outcome

    def close(self) -> None:
        """End the event loop of `async def` tasks, and the subscription."""
        self._consumer.close()
        self._loop.close()

    def _commit(self, outcome: TaskOutcome) -> TaskOutcome:
        try:
            (verdict,) = self._unit.commit([outcome])
        except BackendRefused as error:
            mended = outcomes.refused(outcome, error, self._worker)
            if mended is None:
                raise
            return self._commit(mended)
        if verdict is Verdict.FENCED:
            raise _lost(outcome.delivery)
        return outcome if verdict is Verdict.COMMITTED else self._complete(outcome)

    def _complete(self, outcome: TaskOutcome) -> TaskOutcome:
        """The task is final already: what its other run triggers is sent."""
        assert outcome.change is not None
        (state,) = self._server.backend.get_states([outcome.change.uuid])
        assert state is not None
        return self._commit(outcomes.overtaken(outcome, state))


def _lost(delivery: Delivery) -> BrokerError:
    return BrokerError(f"A message of the queue {delivery.queue!r} was lost while it ran: does a worker run beside it?")
