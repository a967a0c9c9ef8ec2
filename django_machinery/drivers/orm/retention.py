"""Deleting what is older than it is kept, a little at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from django_machinery.models import (
    Attempt,
    Cancellation,
    DeadLetter,
    GroupMeta,
    Lock,
    Progress,
    Stat,
    TaskState,
    UniqueKey,
    WorkerProcess,
)
from django_machinery.models.clock import StoreTime
from django_machinery.protocol.states import FAILURE, SUCCESS

DAY = 86_400.0
SUCCESSES, FAILURES = 7 * DAY, 30 * DAY
FIGURES = 90 * DAY
LOST_WORKERS = timedelta(days=1)


class Retention:
    """What of a database may go. Unfinished states stay, and so do the members of groups that are not settled."""

    def __init__(self, alias: str, results_expire_in: int | None) -> None:
        self._alias = alias
        self._successes = results_expire_in if results_expire_in is not None else SUCCESSES
        self._failures = results_expire_in if results_expire_in is not None else FAILURES

    def sweep(self, limit: int) -> int:
        """Delete up to `limit` rows of each kind; returns how many states and groups those were."""
        results = sum(_delete(rows, limit) for rows in (*self._states(), *self._settled_groups()))
        for rows in self._records():
            _delete(rows, limit)
        WorkerProcess.objects.db_manager(self._alias).forget_lost(LOST_WORKERS)
        return results

    def _states(self) -> Iterator[QuerySet[Any]]:
        unsettled = GroupMeta.objects.filter(uuid=OuterRef("group_uuid"), settled_at__isnull=True)
        for state, seconds in ((SUCCESS, self._successes), (FAILURE, self._failures)):
            old = TaskState.objects.using(self._alias).filter(
                state=state, created_at__lt=StoreTime(-seconds), finished_at__lt=StoreTime(-seconds)
            )
            yield old.filter(Q(group_uuid__isnull=True) | ~Exists(unsettled)).order_by("created_at")

    def _settled_groups(self) -> Iterator[QuerySet[Any]]:
        settled = GroupMeta.objects.using(self._alias)
        for failed, seconds in ((Q(failed=0), self._successes), (Q(failed__gt=0), self._failures)):
            before = StoreTime(-seconds)
            yield settled.filter(failed, created_at__lt=before, settled_at__lt=before).order_by("created_at")

    def _records(self) -> Iterator[QuerySet[Any]]:
        failures = StoreTime(-self._failures)
        yield Attempt.objects.using(self._alias).filter(ended_at__lt=failures)
        yield DeadLetter.objects.using(self._alias).filter(died_at__lt=failures, requeued_at__isnull=False)
        yield Cancellation.objects.using(self._alias).filter(requested_at__lt=failures)
        yield Progress.objects.using(self._alias).filter(updated_at__lt=failures)
        yield Lock.objects.using(self._alias).filter(expires_at__lt=StoreTime(-DAY))
        yield UniqueKey.objects.using(self._alias).filter(until__lt=StoreTime(-DAY))
        yield Stat.objects.using(self._alias).filter(minute__lt=StoreTime(-FIGURES))


def _delete(rows: QuerySet[Any], limit: int) -> int:
    """Look first, so that nothing is locked where there is nothing to delete; what changed meanwhile stays."""
    keys = list(rows.values_list("pk", flat=True)[:limit])
    return rows.order_by().filter(pk__in=keys).delete()[0] if keys else 0
