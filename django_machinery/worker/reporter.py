"""What the database is told and asked about running tasks: their progress, and whether they are to be cancelled."""

from __future__ import annotations

import logging
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING

from django.db import Error, connections
from django.utils import timezone

from django_machinery.exceptions import TaskCancelled
from django_machinery.worker.connections import close_broken, forget_queries

if TYPE_CHECKING:
    from django_machinery.server import Server
    from django_machinery.worker.pool import Slot
    from django_machinery.worker.run import Progress, Run

PERIOD = 0.5
"""Seconds between two rounds. A task that ends sooner is neither asked about nor reported."""

logger = logging.getLogger("django_machinery.workers")


class Reporter:
    """A thread that makes rounds. While the database is away it tries again, and tasks go on."""

    def __init__(self, server: Server, slots: list[Slot]) -> None:
        self._server = server
        self._slots = slots
        self._stored: dict[Run, Progress | None] = {}
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
            while not self._stopped.wait(PERIOD):
                self._make_round()
            self._make_round()
        finally:
            connections.close_all()

    def _make_round(self) -> None:
        runs = [run for slot in tuple(self._slots) if (run := slot.run) is not None]
        try:
            self._store_progress(runs)
            self._look_for_cancellations(runs)
        except Error as error:
            logger.debug("Progress and cancellations have to wait: %s", error)
            close_broken()
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

    def _look_for_cancellations(self, runs: list[Run]) -> None:
        from django_machinery.models import Cancellation

        begun = monotonic() - PERIOD
        asked = {run.signature.uuid: run for run in runs if _can_heed(run) and run.began < begun and not run.cancelled}
        if not asked:
            return
        manager = Cancellation.objects.db_manager(self._server.config.database)
        for uuid in manager.requested(self._server.alias, list(asked)):
            run = asked[uuid]
            run.cancelled = True
            if run.definition.is_async and run.interrupt is not None:
                run.interrupt(TaskCancelled)


def _can_heed(run: Run) -> bool:
    return run.definition.takes_context or run.definition.is_async
