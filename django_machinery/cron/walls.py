"""The wall times of a spec: what the clock on the wall shows when it is due, whatever the zone."""

from __future__ import annotations

from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from itertools import islice

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
MINUTES = tuple(number * MINUTE for number in range(DAY // MINUTE))
"""The minutes of a day, since midnight."""


@dataclass(frozen=True)
class WallTimes:
    """Sorted values of the five fields. Days of the week count from Sunday, 0."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    either: bool
    """Whether a date needs only one of its day of the month and its day of the week (robfig/cron spec.go:178)."""

    @property
    def hourly(self) -> bool:
        """Whether every hour of the day is allowed."""
        return len(self.hours) == 24

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Whole minutes that match, start <= minute < end, in order. All without a zone."""
        for date in self._dates(start, end):
            for minute in islice(self._times, bisect_left(self._times, (start - date) / MINUTE), None):
                wall = date + MINUTES[minute]
                if wall >= end:
                    return
                yield wall

    def _dates(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Midnights of the days that match and have minutes in the range."""
        year, month = start.year, start.month
        earliest = start - DAY
        while (year, month) <= (end.year, end.month):
            if month in self.months:
                for day in days_of_month(self, *monthrange(year, month)):
                    date = datetime(year, month, day)
                    if date > earliest:
                        yield date
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)

    @cached_property
    def _times(self) -> tuple[int, ...]:
        """Minutes since midnight."""
        return tuple(60 * hour + minute for hour in self.hours for minute in self.minutes)


@lru_cache(maxsize=4096)
def days_of_month(walls: WallTimes, first_weekday: int, length: int) -> tuple[int, ...]:
    """The days that match in a month of `length` days that begins with `first_weekday` (Monday is 0)."""
    days, weekdays = frozenset(walls.days), frozenset(walls.weekdays)
    chosen = []
    for day in range(1, length + 1):
        of_month, of_week = day in days, (first_weekday + day) % 7 in weekdays
        if (of_month or of_week) if walls.either else (of_month and of_week):
            chosen.append(day)
    return tuple(chosen)
