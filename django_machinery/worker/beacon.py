"""What people and probes see of a supervisor: a line when all children consume, a file touched while they do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

from django_machinery.worker.child_process import ChildProcess

TOUCH = 1.0
"""Seconds between two touches of the file."""
MOVED = 5.0
"""Seconds without a move of a fetch loop, after which the file is touched no more. A store that is away stops none."""

logger = logging.getLogger("django_machinery.workers")


class Beacon:
    """Shows whether a worker works. A probe needs only the age of the file: no Python, no Django."""

    def __init__(self, file: Path | None, announce: Callable[[], object]) -> None:
        """`announce` is called when all children consume for the first time, and again after `renew`."""
        self._file = file
        self._announce = announce
        self._announced = False
        self._since = 0.0
        self._touched = 0.0
        self._failing = False

    def renew(self) -> None:
        """All children are to be replaced: announce it when all new ones consume."""
        self._announced, self._since = False, monotonic()

    def show(self, children: Sequence[ChildProcess | None]) -> None:
        """`children`: one a place, None where there is none now."""
        ready = [child for child in children if child is not None and child.ready]
        fresh = [child for child in ready if child.started >= self._since]
        if len(fresh) == len(children) and not self._announced:
            self._announced = True
            self._announce()
        if self._file is None or monotonic() - self._touched < TOUCH:
            return
        if ready and all(child is not None and child.moves(MOVED) for child in children):
            self._touched = monotonic()
            self._touch(self._file)

    def _touch(self, file: Path) -> None:
        """A file that cannot be touched any more is for the probe to judge: work goes on."""
        try:
            file.touch()
        except OSError as error:
            if not self._failing:
                logger.error("The heartbeat file cannot be touched: %s", error)
            self._failing = True
        else:
            self._failing = False
