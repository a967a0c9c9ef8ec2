"""Between the database and running tasks: tells their progress, obeys operators, writes down what has ended."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING

from django.db import InterfaceError, OperationalError, connections
from django.utils import timezone

from django_machinery.exceptions import BrokerUnavailable, TaskCancelled
from django_machinery.protocol.states import FINAL
from django_machinery.worker.connections import close_broken, forget_queries
from django_machinery.worker.stores import TELL_AGAIN

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from django_machinery.models import TaskState
    from django_machinery.models.control import Wish
    from django_machinery.seams.broker import Consumer
    from django_machinery.server import Server
    from django_machinery.worker.attempts import Attempts
    from django_machinery.worker.controls import Controls
    from django_machinery.worker.outcomes import TaskOutcome
    from django_machinery.worker.pool import Slot
    from django_machinery.worker.run import Progress, Run
    from django_machinery.worker.tally import Tally

PERIOD = 0.5
"""Seconds between two rounds. A task that ends sooner is not reported."""
OBEY = 0.9
"""Seconds at least between two looks at what operators want."""
RECORD = 10.0
"""Seconds between two records of the worker's figures."""
AWAY = (OperationalError, InterfaceError, BrokerUnavailable)
"""What is raised for a store that does not answer."""

logger = logging.getLogger("django_machinery.workers")


class Reporter:
    """A thread that makes rounds, which no error ends. While the database is away it tries again, and tasks go on."""

    def __init__(
        self,
        server: Server,
        consumer: Consumer,
        slots: list[Slot],
        controls: Controls,
        tally: Tally,
        attempts: Attempts,
        pauses_changed: Callable[[], object],
        end: Callable[[Run, Wish], object] | None,
    ) -> None:
        """`end` is told of a run that is to be ended with its process; None where that cannot be."""
        self._server = server
        self._consumer = consumer
        self._slots = slots
        self._controls = controls
        self._tally = tally
        self._attempts = attempts
        self._pauses_changed = pauses_changed
        self._end = end
        self._stored: dict[Run, Progress] = {}
        self._ended: deque[TaskOutcome] = deque()
        self._obeyed_at = -OBEY
        self._recorded_at = monotonic()
        self._complained_at = -TELL_AGAIN
        self.informed = Event()
        """Set once it is known what operators want."""
        self._stopped = Event()
        self._thread = Thread(target=self._serve, name="machinery-reporter", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End after a last round."""
        self._stopped.set()
        self._thread.join(timeout)

    def ended(self, outcome: TaskOutcome) -> None:
        """An outcome is durable: what its task said last is true for good. From any thread."""
        self._ended.append(outcome)

    def _serve(self) -> None:
        try:
            self._make_round()
            while not self._stopped.wait(PERIOD):
                self._make_round()
            self._recorded_at = -RECORD
            self._make_round()
        finally:
            connections.close_all()

    def _make_round(self) -> None:
        """What operators want comes first, so that nothing that a task says can stand in its way."""
        runs = [run for slot in tuple(self._slots) if (run := slot.run) is not None]
        self._attempt(self._tally.count)
        reached = self._attempt(self._obey)
        if self._controls.cancelled:
            for run in runs:
                self._attempt(lambda run=run: self._cancel(run))  # type: ignore[misc]
        if reached and self._attempt(self._attempts.store) and self._attempt(self._record):
            self._attempt(lambda: self._store_progress(runs))
        forget_queries()

    def _attempt(self, errand: Callable[[], object]) -> bool:
        """Whether the database was there, if it was needed."""
        try:
            errand()
        except AWAY as error:
            logger.debug("Progress, cancellations, failed runs and figures have to wait: %s", error)
            close_broken()
            return False
        except Exception as error:
            self._complain(error)
        return True

    def _complain(self, error: Exception) -> None:
        if monotonic() - self._complained_at >= TELL_AGAIN:
            self._complained_at = monotonic()
            logger.error("Progress, cancellations or figures failed", exc_info=error)

    def _store_progress(self, runs: list[Run]) -> None:
        for run in runs:
            run.reported = True
            progress = run.progress
            if progress is not None and progress is not self._stored.get(run):
                self._store(lambda run=run, told=progress: self._tell_running(run, told))  # type: ignore[misc]
                self._stored[run] = progress
        for run in self._stored.keys() - runs:
            del self._stored[run]
        while self._ended:
            self._store(lambda: self._tell_ended(self._ended[0]))
            self._ended.popleft()

    def _store(self, write: Callable[[], object]) -> None:
        """What the database refuses is not tried again, and does not keep others from being stored."""
        try:
            write()
        except AWAY:
            raise
        except Exception as error:
            self._complain(error)

    def _tell_running(self, run: Run, progress: Progress) -> None:
        """Only while the message is ours: who was taken for dead tells nothing of a task that others run now."""
        states = self._states(run.signature.uuid).exclude(state__in=FINAL)
        # In one statement where that can be: who stops between two, with rows locked, stops all others too.
        together = self._server.broker.store == self._server.backend.store == ("orm", self._server.config.database)
        claim = self._consumer.claim_on(run.delivery) if together else None
        if claim is not None:
            states = states.filter(claim)
        elif not all(self._consumer.holds([run.delivery])):
            return
        self._write(run.signature.uuid, progress, states)

    def _tell_ended(self, outcome: TaskOutcome) -> None:
        """Only while the state is still what this very run has made it."""
        change, progress = outcome.change, outcome.progress
        if change is not None and progress is not None:
            states = self._states(change.uuid)
            self._write(change.uuid, progress, states.filter(worker=change.worker, started_at=change.started_at))

    def _states(self, uuid: str) -> QuerySet[TaskState]:
        from django_machinery.models import TaskState

        return TaskState.objects.using(self._server.config.database).filter(uuid=uuid)

    def _write(self, uuid: str, progress: Progress, states: QuerySet[TaskState]) -> None:
        """Into the state, if it is among `states`; where states are not in this database into a row of its own."""
        from django_machinery.models import Progress as ProgressRow

        if states.update(progress_done=progress.done, progress_total=progress.total, progress_note=progress.note):
            return
        if not self._states(uuid).exists():
            values = {**progress._asdict(), "updated_at": timezone.now()}
            ProgressRow.objects.using(self._server.config.database).update_or_create(uuid=uuid, defaults=values)

    def _obey(self) -> None:
        if monotonic() - self._obeyed_at >= OBEY:
            self._obeyed_at = monotonic()
            if self._controls.refresh():
                self._pauses_changed()
            self.informed.set()

    def _record(self) -> None:
        if monotonic() - self._recorded_at >= RECORD:
            self._recorded_at = monotonic()
            self._tally.store()

    def _cancel(self, run: Run) -> None:
        wish = self._controls.wish_for(run.signature)
        if wish is None:
            return
        if wish.hard and self._end is not None:
            self._end(run, wish)
        elif not run.cancelled:
            run.cancelled = True
            if run.definition.is_async and run.interrupt is not None:
                run.interrupt(TaskCancelled)
