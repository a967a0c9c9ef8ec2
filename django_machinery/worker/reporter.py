"""Between the database and running tasks: tells their progress, obeys operators, writes down what has ended."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING

from django.db import Error, connections
from django.utils import timezone

from django_machinery.exceptions import TaskCancelled
from django_machinery.worker.connections import close_broken, forget_queries

if TYPE_CHECKING:
    from django_machinery.models.control import Wish
    from django_machinery.server import Server
    from django_machinery.worker.attempts import Attempts
    from django_machinery.worker.controls import Controls
    from django_machinery.worker.pool import Slot
    from django_machinery.worker.run import Progress, Run
    from django_machinery.worker.tally import Tally

PERIOD = 0.5
"""Seconds between two rounds. A task that ends sooner is not reported."""
OBEY = 0.9
"""Seconds at least between two looks at what operators want."""
RECORD = 10.0
"""Seconds between two records of the worker's figures."""

logger = logging.getLogger("django_machinery.workers")


class Reporter:
    """A thread that makes rounds. While the database is away it tries again, and tasks go on."""

    def __init__(
        self,
        server: Server,
        slots: list[Slot],
        controls: Controls,
        tally: Tally,
        attempts: Attempts,
        pauses_changed: Callable[[], object],
        end: Callable[[Run, Wish], object] | None,
    ) -> None:
        """`end` is told of a run that is to be ended with its process; None where that cannot be."""
        self._server = server
        self._slots = slots
        self._controls = controls
        self._tally = tally
        self._attempts = attempts
        self._pauses_changed = pauses_changed
        self._end = end
        self._stored: dict[Run, Progress | None] = {}
        self._obeyed_at = -OBEY
        self._recorded_at = monotonic()
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
        runs = [run for slot in tuple(self._slots) if (run := slot.run) is not None]
        self._tally.count()
        try:
            self._store_progress(runs)
            self._obey()
            self._attempts.store()
            self._record()
        except Error as error:
            logger.debug("Progress, cancellations, failed runs and figures have to wait: %s", error)
            close_broken()
        self._cancel(runs)
        forget_queries()

    def _store_progress(self, runs: list[Run]) -> None:
        for run in runs:
            self._stored.setdefault(run, None)
        for run, stored in list(self._stored.items()):
            progress = run.progress
            if progress is not None and progress is not stored:
                self._write(run.signature.uuid, progress)
                self._stored[run] = progress
        for run in self._stored.keys() - runs:
            del self._stored[run]

    def _write(self, uuid: str, progress: Progress) -> None:
        """Into the state where that is in this database, else into a row of its own."""
        from django_machinery.models import Progress as ProgressRow
        from django_machinery.models import TaskState

        database = self._server.config.database
        note = progress.note[:255]
        state = TaskState.objects.using(database).filter(uuid=uuid)
        if not state.update(progress_done=progress.done, progress_total=progress.total, progress_note=note):
            values = {"done": progress.done, "total": progress.total, "note": note, "updated_at": timezone.now()}
            ProgressRow.objects.using(database).update_or_create(uuid=uuid, defaults=values)

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

    def _cancel(self, runs: list[Run]) -> None:
        if not self._controls.cancelled:
            return
        for run in runs:
            wish = self._controls.wish_for(run.signature)
            if wish is None:
                continue
            if wish.hard and self._end is not None:
                self._end(run, wish)
            elif not run.cancelled:
                run.cancelled = True
                if run.definition.is_async and run.interrupt is not None:
                    run.interrupt(TaskCancelled)
