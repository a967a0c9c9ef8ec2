"""Which ticks are sent of those that a scheduler finds due."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from django_machinery.models import Schedule

LATE = timedelta(seconds=30)
"""A tick that is found within this time was not missed: it is sent late, whatever the policy. So long may it take until
a worker that was killed, or restarted for a new version, has a successor."""
SECOND = timedelta(seconds=1)
"""Ticks are whole seconds."""
MOST = 200
"""Ticks that are sent in one transaction, as long as nobody else writes on SQLite; the rest follows in further ones."""


class Due(NamedTuple):
    """The outcome."""

    ticks: list[datetime]
    """To be sent, oldest first."""
    until: datetime
    """All ticks up to then are dealt with."""


def due_ticks(schedule: Schedule, now: datetime, most: int = MOST) -> Due:
    """The first `most` ticks to be sent of those from `schedule.next_at`, which is not after `now`, to `now`.

    A schedule that was not looked at for a month costs no more than one that was not for a minute, but for those ticks
    that are sent. Raises what is `UNREADABLE`.
    """
    assert schedule.next_at is not None
    first, late = schedule.next_at - datetime.resolution, now - LATE
    last = now if schedule.ends_at is None else min(now, schedule.ends_at)
    if schedule.starts_at is not None:
        first = max(first, schedule.starts_at - datetime.resolution)
    missed = list(islice(_missed(schedule, first, min(late, last), now), most))
    fresh = list(islice(schedule.ticks(max(first, late), last), most))
    ticks = fresh if fresh and schedule.missed == "one" else (missed + fresh)[:most]
    return Due(ticks, ticks[-1] if len(ticks) == most else now)


def latest(schedule: Schedule, start: datetime, end: datetime) -> datetime | None:
    """The last tick start < t <= end, found by halving the time in between: ticks cannot be asked for backwards."""
    found = next(schedule.ticks(start, end), None)
    while found is not None and end - found >= SECOND:
        middle = found + (end - found) / 2
        later = next(schedule.ticks(middle, end), None)
        if later is None:
            end = middle
        else:
            found = later
    return found


def _missed(schedule: Schedule, first: datetime, last: datetime, now: datetime) -> Iterator[datetime]:
    """Those after `first`, up to `last`, that the policy makes up for."""
    if schedule.missed == "skip":
        return
    if schedule.catch_up is not None:
        first = max(first, now - timedelta(seconds=schedule.catch_up) - datetime.resolution)
    if first >= last:
        return
    if schedule.missed == "all":
        yield from schedule.ticks(first, last)
    elif (tick := latest(schedule, first, last)) is not None:
        yield tick
