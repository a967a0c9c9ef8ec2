"""A spec that was understood."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from django_machinery.cron import words
from django_machinery.cron.activations import activations
from django_machinery.cron.policy import DstPolicy
from django_machinery.cron.walls import WallTimes

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEARS = 5
"""How far `next` looks, in calendar years (robfig/cron spec.go:75)."""
DEFAULT = DstPolicy()


@dataclass(frozen=True)
class Spec:
    """When something is due. Made by `parse`."""

    text: str
    """As it was written."""
    timing: timedelta | WallTimes
    zone: ZoneInfo | None = None
    """From CRON_TZ= or TZ=. It goes before the zone that a caller has."""

    @property
    def every(self) -> timedelta | None:
        """The period of `@every`, whole seconds."""
        return self.timing if isinstance(self.timing, timedelta) else None

    def next(self, after: datetime, zone: tzinfo, dst: DstPolicy = DEFAULT) -> datetime | None:
        """The first activation after `after`, which has to be aware; in UTC.

        None: there is none until the end of the fifth calendar year from then. Activations of `@every` are the
        multiples of its period since 1970-01-01T00:00:00Z, so that every process finds the same ones.
        """
        limit = EPOCH.max.replace(tzinfo=UTC) if self.every else _limit(after, self.zone or zone)
        return next(self.between(after, limit, zone, dst), None)

    def between(self, start: datetime, end: datetime, zone: tzinfo, dst: DstPolicy = DEFAULT) -> Iterator[datetime]:
        """The activations start < t <= end, in order, in UTC. Both have to be aware."""
        if start.tzinfo is None or end.tzinfo is None:
            raise ValueError("A time without a zone says not when: give an aware one")
        if isinstance(self.timing, timedelta):
            yield from _multiples(self.timing, start, end)
        else:
            for instant in activations(self.timing, _plain(start), _plain(end), self.zone or zone, dst):
                yield instant.replace(tzinfo=UTC)

    def words(self, translate: words.Translate = str) -> str:
        """In English, or what `translate` makes of its parts: "At 06:00 every day", "Every 90 minutes"."""
        if isinstance(self.timing, timedelta):
            return words.of_period(self.timing, translate)
        told = words.of_wall_times(self.timing, translate)
        return words.in_zone(told, self.zone.key, translate) if self.zone else told


def _limit(after: datetime, zone: tzinfo) -> datetime:
    """The end of the fifth calendar year after that of the second that follows `after`."""
    following = after.replace(microsecond=0) + timedelta(seconds=1)
    year = min(following.astimezone(zone).year + YEARS, datetime.max.year - 2)
    return datetime(year + 1, 1, 1, tzinfo=zone) - datetime.resolution


def _multiples(period: timedelta, start: datetime, end: datetime) -> Iterator[datetime]:
    tick = EPOCH + ((start - EPOCH) // period + 1) * period
    while tick <= end:
        yield tick
        tick += period


def _plain(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
