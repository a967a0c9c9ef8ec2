"""Watches what runs: shows tasks that take long as STARTED, and ends their time limits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING

from django_machinery.exceptions import TaskTimedOut
from django_machinery.protocol.states import STARTED
from django_machinery.seams.backend import StateChange
from django_machinery.seams.unit import Note

if TYPE_CHECKING:
    from django_machinery.worker.pool import Slot
    from django_machinery.worker.run import Run

PERIOD = 0.05
"""Seconds between two looks."""
SHOWN_AFTER = 0.1
"""Seconds after which a task is shown as STARTED; of a shorter one nobody would see it."""

logger = logging.getLogger("django_machinery.workers")


class Watchdog:
    """A thread that looks at every run, several times a second, without asking any store."""

    def __init__(
        self,
        slots: list[Slot],
        note: Callable[[Note], None],
        worker: str,
        overrun: Callable[[Run], None] | None,
    ) -> None:
        """`overrun` is told of a run whose hard time limit is over; None where that cannot be enforced."""
        self._slots = slots
        self._note = note
        self._worker = worker
        self._overrun = overrun
        self._stopped = Event()
        self._thread = Thread(target=self._serve, name="machinery-watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def _serve(self) -> None:
        while not self._stopped.wait(PERIOD):
            now = monotonic()
            for slot in tuple(self._slots):
                run = slot.run
                if run is not None and now - run.began > SHOWN_AFTER:
                    self._try_to_look_at(run, now - run.began)

    def _try_to_look_at(self, run: Run, seconds: float) -> None:
        """No error of one run may take the time limits of the others away."""
        try:
            self._look_at(run, seconds)
        except Exception:
            if not run.unwatched:
                run.unwatched = True
                logger.exception("The time limits of %s cannot be watched", run.signature.name)

    def _look_at(self, run: Run, seconds: float) -> None:
        if not run.told:
            run.told = True
            self._note(_started(run, self._worker))
        definition = run.definition
        if definition.timeout is not None and seconds > definition.timeout and run.interrupt is not None:
            run.interrupt(TaskTimedOut)
        if self._overrun is not None and definition.hard_timeout is not None and seconds > definition.hard_timeout:
            self._overrun(run)


def _started(run: Run, worker: str) -> Note:
    change = StateChange(run.signature, STARTED, worker=worker, received_at=run.received_at, started_at=run.started_at)
    return Note(run.delivery, change)
