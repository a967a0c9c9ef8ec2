"""The scheduler: looks, fires what is due, says when to look again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from random import uniform

from django_machinery.models import Schedule, Tick
from django_machinery.scheduler.declared import Declared
from django_machinery.scheduler.firing import Firing
from django_machinery.scheduler.planner import Planner
from django_machinery.server import Server

LOOK = 0.5
"""Seconds that a change of a schedule waits at most to be seen."""
VERIFY = 60.0
"""Seconds between two checks that no plan is too far away, and two deletions of old ticks."""
BEHIND = 0.04
"""Seconds that a worker looks after the time of a tick if another one was faster at the last: usually one fires all,
and the others only see that it does. At most twice that, at random, so that they do not wait in line either."""
ASIDE = 0.2
"""Seconds that a worker stays away, about, when another one is at the schedules that are due."""
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
        self._verified: datetime | None = None
        self._planned: datetime | None = None

    def look(self) -> float:
        """Fire what is due, and return the seconds until the next look.

        Raises what stores that are away raise, and `LockUnavailable`: what is due then is fired at a later look.
        """
        now = self._clock()
        self._tend(now)
        found = list(self._planner.planned(self._declared.names, now)[: BATCH + 1])
        due = [schedule for schedule in found[:BATCH] if schedule.next_at is not None and schedule.next_at <= now]
        if due:
            self._was_first = self._firing.fire(due, now)
            return 0.0 if self._was_first else uniform(0.5, 1.5) * ASIDE
        if not found or found[0].next_at is None:
            return LOOK
        behind = 0.0 if self._was_first else uniform(1.0, 2.0) * BEHIND
        return min(LOOK, (found[0].next_at - now).total_seconds() + behind)

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
