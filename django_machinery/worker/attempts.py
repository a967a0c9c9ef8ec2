"""Runs that did not succeed, for operators, where the result backend has no room for them."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from django.db import Error

from django_machinery.protocol import headers
from django_machinery.worker.stores import UNAVAILABLE

if TYPE_CHECKING:
    from django_machinery.models import Attempt
    from django_machinery.seams.backend import StateChange
    from django_machinery.server import Server
    from django_machinery.worker.outcomes import TaskOutcome

MOST = 1000
"""Runs that wait to be written down; of more, while the database is away, the oldest are forgotten."""
BATCH = 100
"""Rows of a statement: each may have a long traceback."""

logger = logging.getLogger("django_machinery.workers")


class Attempts:
    """Writes rows of `Attempt` in the project's database. `ended` is for the thread that commits, `store` for another.

    Tasks do not wait for it: a process that is killed loses what it has not written yet.
    """

    def __init__(self, server: Server) -> None:
        self._database = server.config.database
        self._needed = not server.backend.keeps_attempts
        self._ended: deque[StateChange] = deque(maxlen=MOST)
        self._rows: list[Attempt] = []
        """Those that the next statement writes."""

    def ended(self, outcome: TaskOutcome) -> None:
        """An outcome is durable."""
        if self._needed and outcome.change is not None and outcome.change.attempt is not None:
            self._ended.append(outcome.change)

    def store(self) -> None:
        """Write down what has ended. Raises the errors of a database that is away; nothing is lost by that."""
        from django_machinery.models import Attempt

        while self._rows or self._ended:
            while self._ended and len(self._rows) < BATCH:
                self._rows.append(_row(self._ended.popleft()))
            try:
                Attempt.objects.db_manager(self._database).record(self._rows)
            except UNAVAILABLE:
                raise
            except Error:
                logger.exception("%d runs that failed cannot be written down", len(self._rows))
            self._rows = []


def _row(change: StateChange) -> Attempt:
    from django_machinery.models import Attempt

    assert change.attempt is not None
    return Attempt.of(change.signature, change.attempt, change.worker, headers.generation(change.signature))
