"""The scheduler: looks, fires what is due, says when to look again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from random import uniform
from typing import TYPE_CHECKING

from django_machinery.models import Schedule, Tick
from django_machinery.scheduler.declared import Declared
from django_machinery.scheduler.firing import Fired, Firing
from django_machinery.scheduler.planner import Planner
from django_machinery.scheduler.policy import LATE
from django_machinery.server import Server

if TYPE_CHECKING:
    from django.db.models import QuerySet

LOOK = 0.5
"""Seconds that a change of a schedule waits at most to be seen."""
VERIFY = 60.0
"""Seconds between two checks that no plan is too far away, and two deletions of old ticks."""
BEHIND = 0.04
"""Seconds that a worker looks after the time of a tick if another one was faster at the last: usually one fires all,
and the others only see that it does. At most twice that, at random, so that they do not wait in line either."""
ASIDE = 0.2
"""Seconds that a worker stays away, about, when another one is at the schedules that are due."""
SOON = 0.01
"""Seconds until a lock is asked again that still holds the tick before: its clock is a little slower."""
PATIENCE = 30
"""So often it is asked in a row, before the worker stays away for longer."""
BATCH = 50
"""Schedules that are fired in one transaction."""
TICKS_KEPT = timedelta(days=7)
TICKS_DELETED = 20_000


class Scheduler:
    """The schedules of one server, in its project's database. Any number of schedulers may run."""

    def __init__(self, server: Server, clock: Callable[[], datetime] | None = None) -> None:
        """`clock`: the present time, aware; default: the database's, which all workers share."""
        database = server.config.database
        schedules = Schedule.objects.db_manager(database)
        self._ticks = Tick.objects.db_manager(database)
        self._clock = clock or schedules.now
        self._declared = Declared(server, schedules)
        self._planner = Planner(server, schedules)
        self._firing = Firing(server, schedules)
        self._was_first = False
        self._asked = 0
        self._turn = 0
        """The key of the last schedule that had a turn of those that have missed ticks."""
        self._verified: datetime | None = None
        self._planned: datetime | None = None

    def look(self) -> float:
        """Fire what is due, and return the seconds until the next look.

        Raises what stores that are away raise, and `LockUnavailable`: what is due then is fired at a later look.
        """
        now = self._clock()
        self._tend(now)
        planned = self._planner.planned(self._declared.names)
        found = list(planned[: BATCH + 1])
        first: datetime | None = found[0].next_at if found else None
        if first is None:
            return LOOK
        if first > now:
            behind = 0.0 if self._was_first else uniform(1.0, 2.0) * BEHIND
            return min(LOOK, (first - now).total_seconds() + behind)
        due = [schedule for schedule in found[:BATCH] if schedule.next_at is not None and schedule.next_at <= now]
        if len(due) == BATCH and first <= now - LATE:
            due = self._in_turn(planned, now)
        return self._after(self._firing.fire(due, now))

    def _in_turn(self, planned: QuerySet[Schedule], now: datetime) -> list[Schedule]:
        """Of more schedules than fit: some that are due now, and one after the other of those that have missed ticks,
        so that neither wait until the others have caught up."""
        fresh = list(planned.filter(next_at__gt=now - LATE, next_at__lte=now)[: BATCH // 2])
        missing = planned.filter(next_at__lte=now - LATE).order_by("pk")
        turn = list(missing.filter(pk__gt=self._turn)[: BATCH - len(fresh)])
        if not turn:
            turn = list(missing[: BATCH - len(fresh)])
        self._turn = turn[-1].pk if turn else 0
        return fresh + turn

    def _after(self, fired: Fired) -> float:
        """Seconds until the next look after one that found schedules due."""
        self._was_first = fired is Fired.MINE
        self._asked = self._asked + 1 if fired is Fired.LATER else 0
        if self._was_first:
            return 0.0
        return SOON if 0 < self._asked <= PATIENCE else uniform(0.5, 1.5) * ASIDE

    def _tend(self, now: datetime) -> None:
        if _passed(self._planned, now, LOOK):
            self._declared.sync(now)
            self._planner.plan(self._declared.names, now)
            self._planned = now
        if _passed(self._verified, now, VERIFY):
            self._planner.verify(self._declared.names, now)
            self._ticks.expire(now - TICKS_KEPT, TICKS_DELETED)
            self._verified = now


def _passed(since: datetime | None, now: datetime, seconds: float) -> bool:
    """Also where the clock was set back."""
    return since is None or not timedelta(0) <= now - since < timedelta(seconds=seconds)
