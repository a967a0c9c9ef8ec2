"""Keeps the plans of schedules current: `next_at`, and what it was computed from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from django.db.models import F

from django_machinery import signals
from django_machinery.models.plan import PLAN, TIMES
from django_machinery.models.schedule import UNREADABLE, Schedule, ScheduleManager
from django_machinery.server import Server

if TYPE_CHECKING:
    from django.db.models import QuerySet


class Planner:
    """Plans the schedules of one server. Several do so at once, in several workers: all would write the same."""

    def __init__(self, server: Server, schedules: ScheduleManager) -> None:
        self._server = server
        self._schedules = schedules

    def planned(self, declared: Sequence[str]) -> QuerySet[Schedule]:
        """The schedules whose plan is of their present spec, zone, policies, start and end, the next due first."""
        current = self._annotated(declared).filter(planned_for=F("plan"), next_at__isnull=False)
        return current.order_by("next_at", "pk")

    def plan(self, declared: Sequence[str], now: datetime) -> None:
        """Give a plan to schedules that are new or were changed, by whatever way, and take it from those that rest.

        Ticks before `now` are none: nobody misses what was not planned. But a tick that is due is, whatever start and
        end have become, unless they leave it out.
        """
        resting = self._schedules.resting(self._server.alias)
        if resting.exists():  # an update waits for its turn to write on SQLite, even if it then finds nothing to do
            resting.update(next_at=None, planned_for="")
        for schedule in self._annotated(declared).annotate(times=TIMES).exclude(planned_for=F("plan")):
            is_same = schedule.planned_for.startswith(schedule.times)
            due = schedule.next_at if is_same and schedule.next_at is not None and schedule.next_at <= now else None
            try:
                next_at = schedule.next_due(now if due is None else due - datetime.resolution)
            except UNREADABLE as error:
                next_at = None
                self._tell(schedule, error)
            unchanged = self._schedules.annotate(plan=PLAN).filter(pk=schedule.pk, plan=schedule.plan)  # type: ignore[attr-defined]
            unchanged.update(next_at=next_at, planned_for=schedule.plan)  # type: ignore[attr-defined]

    def verify(self, declared: Sequence[str], now: datetime) -> None:
        """Correct plans that are too far away: the clock was set back, or rules of a zone have changed."""
        for schedule in self._annotated(declared).filter(planned_for=F("plan")):
            try:
                wanted = schedule.next_due(now)
            except UNREADABLE:
                continue
            if wanted is not None and (schedule.next_at is None or schedule.next_at > wanted):
                same = self._schedules.filter(
                    pk=schedule.pk, next_at=schedule.next_at, planned_for=schedule.planned_for
                )
                same.update(next_at=wanted)

    def _annotated(self, declared: Sequence[str]) -> QuerySet[Schedule]:
        return self._schedules.active(self._server.alias, declared).annotate(plan=PLAN)

    def _tell(self, schedule: Schedule, error: Exception) -> None:
        signals.schedule_failed.send_robust(Server, server=self._server.alias, schedule=schedule.name, error=str(error))
