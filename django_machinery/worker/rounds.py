"""A thread that does jobs again and again, each in its own time."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, cast

from django.db import connections

from django_machinery.exceptions import StoreError
from django_machinery.worker.connections import forget_queries
from django_machinery.worker.stores import UNAVAILABLE

if TYPE_CHECKING:
    from django_machinery.worker.stores import Outage, Stores

AFTER_ERROR = 5.0
"""Seconds that a job which failed for no reason of its store rests at least."""

logger = logging.getLogger("django_machinery.workers")


@dataclass(slots=True)
class Job:
    """Something to be done every `period` seconds, for the first time at once. A late one does not catch up.

    Without a period, the action returns the seconds until it is to be done again.
    """

    period: float | None
    action: Callable[[], object]
    due: float = 0.0
    outage: Outage | None = None
    """The store that it waits for."""


class Rounds:
    """Does jobs, and errands in between. A store that is away delays the job that needs it; other errors are logged."""

    def __init__(self, name: str, stores: Stores, jobs: Sequence[Job]) -> None:
        self._stores = stores
        self._jobs = list(jobs)
        self._errands: deque[Job] = deque()
        self._stopping = False
        self._changed = Event()
        self._thread = Thread(target=self._serve, name=f"machinery-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def soon(self, errand: Callable[[], object]) -> None:
        """Do something once, as soon as the store that it needs is there; in the order given."""
        self._errands.append(Job(0.0, errand))
        self._changed.set()

    def stop(self, timeout: float) -> None:
        """End after the errands, at the latest after `timeout` seconds."""
        self._stopping = True
        self._changed.set()
        self._thread.join(timeout)

    def _serve(self) -> None:
        try:
            while not (self._stopping and not self._errands):
                self._changed.clear()
                self._do_errands()
                if not self._stopping:
                    for job in self._jobs:
                        if job.due <= monotonic():
                            self._do(job)
                forget_queries()
                self._changed.wait(self._until_next())
        finally:
            connections.close_all()

    def _do_errands(self) -> None:
        while self._errands and self._errands[0].due <= monotonic():
            if self._do(self._errands[0]):
                self._errands.popleft()

    def _do(self, job: Job) -> bool:
        """Whether it is done, well or badly, and not to be tried again."""
        try:
            returned = job.action()
        except UNAVAILABLE as error:
            job.outage = self._stores.lost(error, job.outage)
            job.due = monotonic() + job.outage.delay
            return False
        except Exception as error:
            logger.error("The worker's housekeeping failed: %s", error, exc_info=not isinstance(error, StoreError))
            job.due = monotonic() + max(job.period or 0.0, AFTER_ERROR)
            return True
        if job.outage is not None:
            self._stores.works(job.outage)
            job.outage = None
        job.due = monotonic() + (cast(float, returned) if job.period is None else job.period)
        return True

    def _until_next(self) -> float:
        if self._stopping and not self._errands:
            return 0.0
        jobs = [self._errands[0]] if self._errands else []
        if not self._stopping:
            jobs += self._jobs
        return max(0.0, min((job.due for job in jobs), default=0.0) - monotonic())
