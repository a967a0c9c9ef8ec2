"""Deleting what is older than it is kept, a little at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from django_machinery.models import GroupMeta, TaskState
from django_machinery.models.clock import StoreTime
from django_machinery.models.records import FAILURES, SUCCESSES, delete_some
from django_machinery.protocol.states import FAILURE, SUCCESS


class Retention:
    """What of a database may go. Unfinished states stay, and so do the members of groups that are not settled."""

    def __init__(self, alias: str, results_expire_in: int | None) -> None:
        self._alias = alias
        self._successes = results_expire_in if results_expire_in is not None else SUCCESSES
        self._failures = results_expire_in if results_expire_in is not None else FAILURES

    def sweep(self, limit: int) -> int:
        """Delete up to `limit` rows of each kind; returns how many states and groups those were."""
        return sum(delete_some(rows, limit) for rows in (*self._states(), *self._settled_groups()))

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
