"""Reads the figures that workers record: throughput, latency, slow tasks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.utils import timezone

from django_machinery.histogram import Histogram
from django_machinery.inspector.looks import Latency, Percentiles, Point, SlowTask
from django_machinery.models import Stat

STEPS = (
    (timedelta(hours=1), timedelta(minutes=1)),
    (timedelta(hours=24), timedelta(minutes=15)),
)
LONGEST_STEP = timedelta(hours=2)


class _Row(NamedTuple):
    minute: datetime
    outcome: str
    runs: int
    name: str
    wait_hist: str
    run_hist: str


_COLUMNS = ("minute", "outcome", "count", "name", "wait_hist", "run_hist")


class Figures:
    """The figures of one server. What was read for a window is kept."""

    def __init__(self, server: str, database: str) -> None:
        self._stats = Stat.objects.using(database).filter(server=server)
        self._read: dict[timedelta, list[_Row]] = {}

    def throughput(self, window: timedelta) -> list[Point]:
        """A point for every step of the window, the present one last."""
        step = _step(window)
        now = _floor(datetime.now(UTC), step)
        start = now - window + step
        counts: Counter[tuple[datetime, str]] = Counter()
        for row in self._rows(window):
            counts[_floor(_aware(row.minute), step), row.outcome] += row.runs
        return [
            Point(at, *(counts[at, outcome] for outcome in ("succeeded", "failed", "retried")))
            for at in (start + step * index for index in range(window // step))
        ]

    def latency(self, window: timedelta) -> Latency:
        rows = self._rows(window)
        return Latency(
            _percentiles(Histogram(row.wait_hist for row in rows)),
            _percentiles(Histogram(row.run_hist for row in rows)),
        )

    def slow(self, window: timedelta) -> list[SlowTask]:
        """The slowest first."""
        texts: defaultdict[str, list[str]] = defaultdict(list)
        for row in self._rows(window):
            texts[row.name].append(row.run_hist)
        tasks = [_slow_task(name, Histogram(hists)) for name, hists in texts.items()]
        return sorted(filter(None, tasks), key=lambda task: -task.p95)

    def _rows(self, window: timedelta) -> Iterable[_Row]:
        if window not in self._read:
            recent = self._stats.filter(minute__gte=timezone.now() - window)
            self._read[window] = [_Row(*row) for row in recent.values_list(*_COLUMNS)]
        return self._read[window]


def _slow_task(name: str, runs: Histogram) -> SlowTask | None:
    p95 = runs.percentile(0.95)
    return None if p95 is None else SlowTask(name, runs.count, p95, runs.longest)


def _percentiles(histogram: Histogram) -> Percentiles | None:
    p50, p95, p99 = (histogram.percentile(part) for part in (0.5, 0.95, 0.99))
    return None if p50 is None or p95 is None or p99 is None else Percentiles(p50, p95, p99)


def _step(window: timedelta) -> timedelta:
    return next((step for longest, step in STEPS if window <= longest), LONGEST_STEP)


def _floor(moment: datetime, step: timedelta) -> datetime:
    """The latest multiple of `step` since 1970."""
    return moment - (moment - datetime.fromtimestamp(0, UTC)) % step


def _aware(moment: datetime) -> datetime:
    """A stored time in UTC; with USE_TZ = False it is in the project's time zone."""
    return (timezone.make_aware(moment) if timezone.is_naive(moment) else moment).astimezone(UTC)
