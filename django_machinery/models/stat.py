"""Figures by the minute, for charts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from django.db import models, transaction
from django.utils import timezone

from django_machinery.histogram import Histogram
from django_machinery.models.fields import WireCharField, WireTextField
from django_machinery.models.managers import upsert

KEY = ("minute", "server", "queue", "name", "outcome", "worker_id")
VALUES = ("count", "wait_ms", "run_ms", "wait_hist", "run_hist")
STEPS = (
    (timedelta(days=2), timedelta(hours=1)),
    (timedelta(hours=2), timedelta(minutes=15)),
    (timedelta(minutes=10), timedelta(minutes=1)),
)
"""From which age on figures are added up over how long, and over all worker processes."""


class StatManager(models.Manager["Stat"]):
    """How figures come and are compacted."""

    def record(self, rows: Sequence[Stat]) -> None:
        """Write rows, each in place of the one with its key."""
        upsert(self, rows, KEY, VALUES)

    def compact(self, limit: int = 1000) -> int:
        """Add up figures that are old enough, about `limit` rows of each step; returns how many rows went."""
        now, start, count = timezone.now(), None, 0
        for age, span in STEPS:
            end = _floor(now - age, span)
            count += self._compact(start, end, span, limit)
            start = end
        return count

    def _compact(self, start: datetime | None, end: datetime, span: timedelta, limit: int) -> int:
        loose = self.filter(span__lt=span.total_seconds(), minute__lt=end)
        loose = loose if start is None else loose.filter(minute__gte=start)
        oldest = loose.order_by("minute").values_list("minute", flat=True)
        moments = {_floor(moment, span) for moment in oldest[:limit]}
        return sum(self._merge(moment, moment + span, int(span.total_seconds())) for moment in sorted(moments))

    def _merge(self, start: datetime, end: datetime, span: int) -> int:
        """Two that do this at once do it one after the other: the second finds nothing left to add up."""
        with transaction.atomic(using=self.db):
            rows = list(self.select_for_update().filter(minute__gte=start, minute__lt=end).order_by("id"))
            groups: defaultdict[tuple[str, ...], list[Stat]] = defaultdict(list)
            for row in rows:
                groups[row.server, row.queue, row.name, row.outcome].append(row)
            self.filter(id__in=[row.id for row in rows]).delete()
            self.bulk_create([_sum(group, start, span) for group in groups.values()])
        return len(rows) - len(groups)


class Stat(models.Model):
    """What one worker process did in one minute with one task on one queue, by outcome; later compacted.

    `wait` and `run` are sums in milliseconds and histograms (`Histogram`): of the times from being ready to the start
    and from the start to the end.
    """

    id = models.BigAutoField(primary_key=True)
    minute = models.DateTimeField()
    server = WireCharField(max_length=64)
    queue = WireCharField()
    name = WireCharField()
    outcome = WireCharField(max_length=16)
    """succeeded, failed, retried or cancelled."""
    worker_id = models.BigIntegerField(default=0)
    """A number of the process; 0: compacted, all processes together."""
    span = models.IntegerField(default=0)
    """Compacted: the seconds, from `minute` on, that were added up; else 0."""
    count = models.BigIntegerField(default=0)
    wait_ms = models.BigIntegerField(default=0)
    run_ms = models.BigIntegerField(default=0)
    wait_hist = WireTextField(default="")
    run_hist = WireTextField(default="")

    objects: ClassVar[StatManager] = StatManager()

    class Meta:
        db_table = "machinery_stat"
        constraints: ClassVar = [models.UniqueConstraint(fields=list(KEY), name="machinery_stat_of")]

    def __str__(self) -> str:
        return f"{self.name} {self.outcome} at {self.minute}: {self.count}"


def _sum(rows: Sequence[Stat], start: datetime, span: int) -> Stat:
    first = rows[0]
    return Stat(
        minute=start,
        server=first.server,
        queue=first.queue,
        name=first.name,
        outcome=first.outcome,
        span=span,
        count=sum(row.count for row in rows),
        wait_ms=sum(row.wait_ms for row in rows),
        run_ms=sum(row.run_ms for row in rows),
        wait_hist=str(Histogram(row.wait_hist for row in rows)),
        run_hist=str(Histogram(row.run_hist for row in rows)),
    )


def _floor(moment: datetime, span: timedelta) -> datetime:
    """The latest multiple of `span` since 1970."""
    return moment - (moment - datetime(1970, 1, 1, tzinfo=moment.tzinfo)) % span
