"""How many messages a process may claim now: what its idle threads take at once, and what starts within a moment."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_machinery.worker.pool import Pool

MOST = 500
"""The most messages of one claim."""
AHEAD = 0.1
"""Seconds of work that may be claimed beyond what the idle threads take."""
SHORTEST_NAP = 0.0005
LONGEST_NAP = 0.05


class Room:
    """Knows how long tasks take here, by a moving average."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._mean = 0.0
        self._finished = 0
        self._seconds = 0.0

    def left(self) -> int:
        """Messages that may be claimed now. Nothing while half of what was claimed ahead still waits for a thread."""
        waiting = self._pool.waiting
        free = self._pool.limit - self._pool.busy
        ahead = self._ahead(free)
        if waiting >= free and waiting > ahead // 2:
            return 0
        return min(free + ahead - waiting, MOST)

    def nap(self) -> float:
        """Seconds until about half of what waits has started."""
        return min(max(self._pool.waiting * self._mean / self._pool.limit / 2, SHORTEST_NAP), LONGEST_NAP)

    def _ahead(self, free: int) -> int:
        self._look()
        pace = self._mean
        if free <= 0:
            # Threads that are all held up say more than those before them.
            now = monotonic()
            pace = max(pace, min((now - slot.began for slot in self._pool.slots), default=0.0))
        return int(min(MOST, self._pool.limit * AHEAD / pace)) if pace else 0

    def _look(self) -> None:
        finished = sum(slot.finished for slot in self._pool.slots)
        if finished > self._finished:
            seconds = sum(slot.seconds for slot in self._pool.slots)
            latest = (seconds - self._seconds) / (finished - self._finished)
            self._mean = (self._mean + latest) / 2 if self._mean else latest
            self._finished, self._seconds = finished, seconds
