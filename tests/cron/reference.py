"""What the stated policy asks for, found by looking at every minute, without the package (but for the policy's names).

A zone is asked for its offset at each quarter of an hour, and at each minute of a quarter in which that changes. A spec
is a bitmap of all wall minutes of the years, made from plain conditions. Ticks are then read off minute by minute.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from django_machinery.cron import GAP_NEXT, GAP_SKIP, OVERLAP_BOTH, OVERLAP_FIRST, DstPolicy

QUARTER = 15
MINUTE = timedelta(minutes=1)
DAY_MINUTES = 24 * 60
MARGIN = timedelta(days=2)
"""Around the years, for walls are ahead of UTC or behind it."""
POLICIES = tuple(DstPolicy(gap, overlap) for gap in (GAP_SKIP, GAP_NEXT) for overlap in (OVERLAP_FIRST, OVERLAP_BOTH))


@dataclass(frozen=True)
class Shape:
    """A spec, and what it means in plain conditions."""

    spec: str
    on: Callable[[date], bool]
    at: Callable[[int, int], bool]
    """Of hour and minute."""
    hourly: bool = False
    """Whether it allows every hour, so that no policy applies."""


SHAPES = (
    Shape("30 2 * * *", lambda day: True, lambda hour, minute: (hour, minute) == (2, 30)),
    Shape("0 0 * * *", lambda day: True, lambda hour, minute: (hour, minute) == (0, 0)),
    Shape("20,50 0-3 * * *", lambda day: True, lambda hour, minute: hour <= 3 and minute in (20, 50)),
    Shape("0 */3 * * *", lambda day: True, lambda hour, minute: hour % 3 == 0 and minute == 0),
    Shape("5 1 * * SUN", lambda day: day.isoweekday() == 7, lambda hour, minute: (hour, minute) == (1, 5)),
    Shape(
        "0 6 1-7 * MON",
        lambda day: day.day <= 7 or day.isoweekday() == 1,
        lambda hour, minute: (hour, minute) == (6, 0),
    ),
    Shape("59 23 31 * ?", lambda day: day.day == 31, lambda hour, minute: (hour, minute) == (23, 59)),
    Shape("0 2 29 feb *", lambda day: (day.month, day.day) == (2, 29), lambda hour, minute: (hour, minute) == (2, 0)),
    Shape("15 * * * *", lambda day: True, lambda hour, minute: minute == 15, hourly=True),
    Shape(
        "*/10 * 24-31 3/7 *",
        lambda day: day.day >= 24 and day.month in (3, 10),
        lambda hour, minute: minute % 10 == 0,
        hourly=True,
    ),
)


@dataclass(frozen=True)
class Years:
    """The time under test, from the first of a year to the last of another, in UTC."""

    first: int
    last: int

    @property
    def begin(self) -> datetime:
        return datetime(self.first, 1, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        return datetime(self.last + 1, 1, 1, tzinfo=UTC)

    @property
    def origin(self) -> datetime:
        """Minutes, of UTC and of walls, are counted from here."""
        return self.begin - MARGIN


@dataclass(frozen=True)
class Run:
    """Minutes of UTC through which a zone kept its offset; all in minutes."""

    first: int
    end: int
    offset: int


def all_zones() -> list[str]:
    return sorted(available_timezones())


def runs(name: str, years: Years) -> tuple[Run, ...]:
    """What a zone did, by asking it all the time."""
    zone, count = ZoneInfo(name), (years.end + MARGIN - years.origin) // MINUTE
    found, begun, offset = [], 0, _offset(zone, years.origin)
    moment, step = years.origin, QUARTER * MINUTE
    for quarter in range(0, count, QUARTER):
        following = moment + step
        if _offset(zone, following) != offset:
            change = next(minute for minute in range(QUARTER + 1) if _offset(zone, moment + minute * MINUTE) != offset)
            found.append(Run(begun, quarter + change, offset // MINUTE))
            begun, offset = quarter + change, _offset(zone, following)
        moment = following
    return (*found, Run(begun, count, offset // MINUTE))


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def ticks(shape: Shape, zone: tuple[Run, ...], years: Years, dst: DstPolicy) -> list[datetime]:
    """When a spec is due in a zone of those runs, begin < t <= end."""
    return _ticks(shape, zone, years, DstPolicy(GAP_SKIP, OVERLAP_BOTH) if shape.hourly else dst)


@lru_cache(maxsize=256)
def _ticks(shape: Shape, zone: tuple[Run, ...], years: Years, dst: DstPolicy) -> list[datetime]:
    due = wall_minutes(shape, years)
    shown = bytearray(len(due))
    found: set[int] = set()
    for before, run in zip((None, *zone[:-1]), zone, strict=True):
        if before is not None and dst.gap == GAP_NEXT and any(due[before.end + before.offset : run.first + run.offset]):
            found.add(run.first)
        first_wall = max(run.first + run.offset, 0)
        for match in re.finditer(b"\1", due[first_wall : run.end + run.offset]):
            wall = first_wall + match.start()
            if dst.overlap == OVERLAP_BOTH or not shown[wall]:
                found.add(wall - run.offset)
            shown[wall] = 1
    instants = (years.origin + minute * MINUTE for minute in sorted(found))
    return [instant for instant in instants if years.begin < instant <= years.end]


@lru_cache(maxsize=32)
def wall_minutes(shape: Shape, years: Years) -> bytes:
    """A 1 for each minute, of all that walls show in the years, at which the spec is due."""
    hours = bytes(shape.at(minute // 60, minute % 60) for minute in range(DAY_MINUTES))
    days = (years.end + MARGIN - years.origin).days
    dates = (years.origin.date() + timedelta(days=number) for number in range(days))
    return b"".join(hours if shape.on(day) else bytes(DAY_MINUTES) for day in dates)
