"""Figures: written again without being counted twice, and added up as they age."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django_machinery.histogram import Histogram
from django_machinery.models import Stat

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def row(minute: datetime, worker_id: int = 1, *durations: float, **fields: Any) -> Stat:
    known = {"server": "default", "queue": "math", "name": "add", "outcome": "succeeded", **fields}
    hist = str(Histogram.of(durations))
    return Stat(
        minute=minute, worker_id=worker_id, count=len(durations), run_ms=1000 * sum(durations), run_hist=hist, **known
    )


def stored(database: str) -> list[tuple[datetime, int, int, int]]:
    rows = Stat.objects.using(database).order_by("minute", "worker_id", "-count")
    return list(rows.values_list("minute", "worker_id", "span", "count"))


def test_a_row_that_is_written_again_takes_the_place_of_the_first(database: str):
    stats = Stat.objects.db_manager(database)
    stats.record([row(NOON, 1, 0.5), row(NOON, 2, 0.5)])
    stats.record([row(NOON, 1, 0.5, 0.5, 0.5)])
    assert stored(database) == [(NOON, 1, 0, 3), (NOON, 2, 0, 1)]


def test_processes_are_added_up_after_10_minutes_and_kinds_stay_apart(database: str):
    stats = Stat.objects.db_manager(database)
    minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=30)
    stats.record([row(minute, 1, 0.5), row(minute, 2, 2.0, 2.0), row(minute, 2, 1.0, outcome="failed")])
    assert stats.compact() == 1
    assert stored(database) == [(minute, 0, 60, 3), (minute, 0, 60, 1)]
    both = stats.get(outcome="succeeded")
    assert both.run_ms == 4500
    assert both.run_hist == str(Histogram.of([0.5, 2.0, 2.0]))
    assert stats.compact() == 0


def test_young_figures_stay_apart(database: str):
    stats = Stat.objects.db_manager(database)
    minute = datetime.now(UTC).replace(second=0, microsecond=0)
    stats.record([row(minute, 1, 0.5), row(minute, 2, 0.5)])
    assert stats.compact() == 0


def test_older_figures_are_added_up_by_quarters_and_then_by_hours(database: str):
    stats = Stat.objects.db_manager(database)
    hours_ago = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
    stats.record([row(hours_ago + timedelta(minutes=at), 1, 1.0) for at in (0, 14, 15, 59)])
    stats.record([row(NOON + timedelta(minutes=at), 1, 1.0) for at in (0, 14, 15, 59)])
    stats.compact()
    quarters = [(hours_ago + timedelta(minutes=at), 0, 900, count) for at, count in ((0, 2), (15, 1), (45, 1))]
    assert stored(database) == [(NOON, 0, 3600, 4), *quarters]


def test_a_row_that_comes_late_is_added_to_the_sum(database: str):
    stats = Stat.objects.db_manager(database)
    stats.record([row(NOON, 1, 1.0)])
    stats.compact()
    stats.record([row(NOON + timedelta(minutes=5), 2, 1.0, 1.0)])
    stats.compact()
    assert stored(database) == [(NOON, 0, 3600, 3)]


def test_a_compaction_works_off_a_little_at_a_time(database: str):
    stats = Stat.objects.db_manager(database)
    stats.record([row(NOON + timedelta(hours=hour), worker, 1.0) for hour in range(3) for worker in (1, 2)])
    assert [stats.compact(limit=2) for _ in range(4)] == [1, 1, 1, 0]
