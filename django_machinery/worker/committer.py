"""Makes outcomes durable: while one batch is on its way the next collects; at idle a batch is one task."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from django.db import connections

from django_machinery.protocol.states import FAILURE
from django_machinery.seams.unit import Note, Verdict
from django_machinery.worker import outcomes
from django_machinery.worker.connections import forget_queries
from django_machinery.worker.outcomes import Committed, Ending, Parked, Released, TaskOutcome
from django_machinery.worker.stores import Aborted

if TYPE_CHECKING:
    from django_machinery.seams.broker import Consumer
    from django_machinery.seams.unit import Unit
    from django_machinery.server import Server
    from django_machinery.worker.announcer import Announcer
    from django_machinery.worker.hooks import Hooks
    from django_machinery.worker.stores import Stores

BATCH = 500
"""The most outcomes of one commit."""

logger = logging.getLogger("django_machinery.workers")


class Committer:
    """One thread that ends deliveries: it commits, parks and releases them in batches.

    Exactly one ending is to be put for each delivery. `idle` is called when all that was put has ended, `record` with
    each outcome that is durable.
    """

    def __init__(
        self,
        server: Server,
        consumer: Consumer,
        unit: Unit,
        stores: Stores,
        announcer: Announcer,
        hooks: Hooks,
        worker: str,
        idle: Callable[[], None],
        record: Callable[[TaskOutcome], object] = lambda outcome: None,
    ) -> None:
        self.ended = 0
        """Deliveries that this worker has done with."""
        self.failed = 0
        """Of them, tasks that failed."""
        self._server = server
        self._consumer = consumer
        self._unit = unit
        self._stores = stores
        self._announcer = announcer
        self._hooks = hooks
        self._worker = worker
        self._idle = idle
        self._record = record
        self._queue: SimpleQueue[Ending | Note | None] = SimpleQueue()
        self._thread = Thread(target=self._serve, name="machinery-committer", daemon=True)
        self.put: Callable[[Ending], None] = self._queue.put
        """Hand over how a delivery ended."""
        self.note: Callable[[Note], None] = self._queue.put
        """Hand over a state worth showing that ends nothing; it is not written when the task has ended meanwhile."""

    @property
    def waiting(self) -> int:
        """What was put and is not on its way yet."""
        return self._queue.qsize()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after all that was put."""
        self._queue.put(None)

    def join(self, timeout: float) -> bool:
        """Wait for the end, after `stop`; whether it has come."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _serve(self) -> None:
        try:
            while self._serve_batch(self._next_batch()):
                forget_queries()
                if self._queue.empty():
                    self._idle()
        except Aborted:
            pass
        finally:
            connections.close_all()

    def _next_batch(self) -> list[Ending | Note | None]:
        get = self._queue.get_nowait
        batch = [self._queue.get()]
        try:
            for _ in range(BATCH - 1):
                batch.append(get())
        except Empty:
            pass
        return batch

    def _serve_batch(self, batch: Sequence[Ending | Note | None]) -> bool:
        """Whether more is to come."""
        ready = [item for item in batch if type(item) is TaskOutcome]
        others = [item for item in batch if type(item) is not TaskOutcome] if len(ready) < len(batch) else []
        notes = _still_true([item for item in others if isinstance(item, Note)], ready)
        self._commit(ready, notes)
        self._give_back(others)
        self.ended += len(batch) - sum(1 for item in others if item is None or isinstance(item, Note))
        return None not in others

    def _commit(self, ready: Sequence[TaskOutcome], notes: Sequence[Note] = (), *, again: bool = False) -> None:
        if not ready and not notes:
            return
        try:
            verdicts = self._stores.call(lambda: self._unit.commit(ready, notes))
        except Aborted:
            raise
        except Exception as error:
            if notes:
                self._commit(ready)
            else:
                self._divide(ready, error, again=again)
            return
        overtaken = []
        for outcome, verdict in zip(ready, verdicts, strict=True):
            if verdict is Verdict.COMMITTED:
                self._tell(outcome)
            elif verdict is Verdict.FENCED:
                self._announcer.lease_lost(outcome.delivery.token)
            else:
                overtaken.append(outcome)
        if overtaken:
            self._survive(lambda: self._complete(overtaken))

    def _divide(self, ready: Sequence[TaskOutcome], error: Exception, *, again: bool) -> None:
        """The store refused the batch: find the outcome that it cannot hold, and store in its place that it cannot."""
        if len(ready) > 1:
            middle = len(ready) // 2
            self._commit(ready[:middle])
            self._commit(ready[middle:])
        elif ready and not again:
            self._commit(ready, again=True)  # some errors pass
        elif ready:
            self._mend(ready[0], error)

    def _mend(self, outcome: TaskOutcome, error: Exception) -> None:
        self._hooks.failed(error)
        mended = outcomes.refused(outcome, error, self._worker)
        if mended is not None:
            self._commit([mended], again=True)
        else:
            # Released, it would run for ever; held, it comes again when this process has ended.
            logger.error("The outcome of message %r cannot be stored", outcome.delivery.handle, exc_info=error)

    def _complete(self, overtaken: Sequence[TaskOutcome]) -> None:
        """Another run of these tasks was first: its outcome counts."""
        uuids = [outcome.change.uuid for outcome in overtaken if outcome.change is not None]
        states = self._stores.call(lambda: self._server.backend.get_states(uuids))
        self._commit(
            [
                outcomes.overtaken(outcome, state)
                for outcome, state in zip(overtaken, states, strict=True)
                if state is not None
            ]
        )

    def _tell(self, outcome: TaskOutcome) -> None:
        if outcome.change is not None and outcome.change.state == FAILURE:
            self.failed += 1
            if outcome.exception is not None:
                self._hooks.failed(outcome.exception)
        self._announcer.committed(outcome)
        self._record(outcome)
        outcome.exception = None  # or its frames would live until the garbage collector comes

    def _give_back(self, others: Sequence[Ending | Note | None]) -> None:
        parked = [item for item in others if isinstance(item, Parked)]
        released = [item.delivery for item in others if isinstance(item, Released)]
        if parked:
            self._survive(lambda: self._park(parked))
        if released:
            self._survive(lambda: self._stores.call(lambda: self._consumer.release(released)))
        for done in others:
            if isinstance(done, Committed):
                self._tell(done.outcome)

    def _park(self, parked: Sequence[Parked]) -> None:
        self._stores.call(lambda: self._consumer.park([item.delivery for item in parked]))
        for message in parked:
            self._announcer.parked(message.signature)

    def _survive(self, action: Callable[[], object]) -> None:
        """What cannot be ended stays held, and comes again after this process. Others are ended all the same."""
        try:
            action()
        except Aborted:
            raise
        except Exception:
            logger.exception("Messages could not be given back, or completed")


def _still_true(notes: Sequence[Note], ready: Sequence[TaskOutcome]) -> Sequence[Note]:
    if not notes:
        return notes
    ended = {outcome.signature.uuid for outcome in ready if outcome.signature is not None}
    return [note for note in notes if note.uuid not in ended]
