"""How long the project's database keeps what only operators read, whatever the broker and the result backend."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet

from django_machinery.models.attempt import Attempt
from django_machinery.models.clock import StoreTime
from django_machinery.models.control import Cancellation
from django_machinery.models.dead_letter import DeadLetter
from django_machinery.models.lock import Lock
from django_machinery.models.progress import Progress
from django_machinery.models.stat import Stat
from django_machinery.models.unique_key import UniqueKey
from django_machinery.models.worker_process import WorkerProcess

DAY = 86_400.0
SUCCESSES, FAILURES = 7 * DAY, 30 * DAY
"""Seconds, where RESULTS_EXPIRE_IN is not set."""
FIGURES = 90 * DAY
LOST_WORKERS = timedelta(days=1)


def expire(database: str, results_expire_in: int | None, limit: int = 1000) -> None:
    """Delete what is older than it is kept, up to `limit` rows of each kind, and compact the figures."""
    failures = StoreTime(-(results_expire_in if results_expire_in is not None else FAILURES))
    for rows in _old(database, failures):
        delete_some(rows, limit)
    WorkerProcess.objects.db_manager(database).forget_lost(LOST_WORKERS)
    Stat.objects.db_manager(database).compact(limit)


def delete_some(rows: QuerySet[Any], limit: int) -> int:
    """Look first, so that nothing is locked where there is nothing to delete; what changed meanwhile stays."""
    keys = list(rows.values_list("pk", flat=True)[:limit])
    return rows.order_by().filter(pk__in=keys).delete()[0] if keys else 0


def _old(database: str, failures: StoreTime) -> Iterator[QuerySet[Any]]:
    yield Attempt.objects.using(database).filter(ended_at__lt=failures)
    yield DeadLetter.objects.using(database).filter(died_at__lt=failures)
    yield Cancellation.objects.using(database).filter(requested_at__lt=failures)
    yield Progress.objects.using(database).filter(updated_at__lt=failures)
    yield Lock.objects.using(database).filter(expires_at__lt=StoreTime(-DAY))
    yield UniqueKey.objects.using(database).filter(until__lt=StoreTime(-DAY))
    yield Stat.objects.using(database).filter(minute__lt=StoreTime(-FIGURES))
