"""What a worker process did, for charts: counted in memory, written down now and then."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from django.utils import timezone

from django_machinery.histogram import Histogram
from django_machinery.protocol.states import FAILURE, RETRY, SUCCESS

if TYPE_CHECKING:
    from django_machinery.models import Stat
    from django_machinery.server import Server
    from django_machinery.worker.outcomes import TaskOutcome

MOST = 100_000
"""Ends of tasks that wait to be counted; of more the oldest are forgotten."""
KINDS = {SUCCESS: "succeeded", FAILURE: "failed", RETRY: "retried"}


class _Key(NamedTuple):
    minute: datetime
    queue: str
    name: str
    kind: str


class _Sum:
    """What is counted under one key."""

    __slots__ = ("count", "run", "run_seconds", "wait", "wait_seconds")

    def __init__(self) -> None:
        self.count = 0
        self.run_seconds = 0.0
        self.wait_seconds = 0.0
        self.run = Histogram()
        self.wait = Histogram()


class Tally:
    """Counts by minute, queue, name and kind of end. `ended` is for the thread that commits, the rest for another.

    Rows hold the sums of this process since the beginning of their minute, so that writing one again does no harm.
    """

    def __init__(self, server: Server, token: str) -> None:
        self._server = server
        self._worker_id = worker_number(token)
        self._ends: deque[tuple[str, str, str, str, float, float | None]] = deque(maxlen=MOST)
        self._sums: dict[_Key, _Sum] = {}
        self._changed: set[_Key] = set()
        self._counts = server.config.stats

    def ended(self, outcome: TaskOutcome) -> None:
        """An outcome is durable. Costs next to nothing: it is counted later."""
        change, delivery = outcome.change, outcome.delivery
        if self._counts and change is not None:
            name = change.signature.name
            self._ends.append((delivery.queue, name, change.state, change.reason, outcome.seconds, delivery.waited))

    def count(self) -> None:
        """Count what has ended since the last time, as of now."""
        minute = timezone.now().replace(second=0, microsecond=0)
        while self._ends:
            queue, name, state, reason, seconds, waited = self._ends.popleft()
            kind = "cancelled" if reason == "cancelled" else KINDS.get(state)
            if kind is not None:
                self._add(_Key(minute, queue, name, kind), seconds, waited)

    def store(self) -> None:
        """Write down what has changed, in one statement. Raises the database's errors; nothing is lost by that."""
        from django_machinery.models import Stat

        if not self._changed:
            return
        rows = [self._row(key, self._sums[key]) for key in self._changed]
        Stat.objects.db_manager(self._server.config.database).record(rows)
        self._changed.clear()
        newest = max(key.minute for key in self._sums)
        self._sums = {key: sums for key, sums in self._sums.items() if key.minute == newest}

    def _add(self, key: _Key, seconds: float, waited: float | None) -> None:
        sums = self._sums.get(key)
        if sums is None:
            sums = self._sums[key] = _Sum()
        sums.count += 1
        if key.kind != "cancelled":
            sums.run_seconds += seconds
            sums.run.add(seconds)
        if waited is not None:
            sums.wait_seconds += max(waited, 0.0)
            sums.wait.add(waited)
        self._changed.add(key)

    def _row(self, key: _Key, sums: _Sum) -> Stat:
        from django_machinery.models import Stat

        return Stat(
            minute=key.minute,
            server=self._server.alias,
            queue=key.queue,
            name=key.name,
            outcome=key.kind,
            worker_id=self._worker_id,
            count=sums.count,
            wait_ms=round(sums.wait_seconds * 1000),
            run_ms=round(sums.run_seconds * 1000),
            wait_hist=str(sums.wait),
            run_hist=str(sums.run),
        )


def worker_number(token: str) -> int:
    """The number of a process in its figures: from its token, so that nobody has to be asked. Never 0."""
    return int(sha256(token.encode()).hexdigest()[:15], 16) + 1
