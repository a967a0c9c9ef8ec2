"""When a zone's offset from UTC changes, found by asking it: `tzinfo` has no list of changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

PROBE = timedelta(days=1)
"""Between two looks at a zone. In the whole tz database no two changes are less than 95 hours apart."""
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Piece:
    """Time through which the offset stays the same: start <= t < end, in UTC without a zone."""

    start: datetime
    end: datetime
    offset: timedelta


def pieces(zone: tzinfo, start: datetime, end: datetime) -> Iterator[Piece]:
    """The time from `start` to `end`, both included, in order and without holes.

    Neighbours may have the same offset. `zone` has to be hashable, as ZoneInfo and timezone are.
    """
    for year in range(start.year, end.year + 1):
        for piece in pieces_of_year(zone, year):
            if piece.end > start:
                yield piece


@lru_cache(maxsize=4096)
def pieces_of_year(zone: tzinfo, year: int) -> tuple[Piece, ...]:
    """The pieces of one year of UTC."""
    begin, close = datetime(year, 1, 1), datetime(year + 1, 1, 1)
    found = []
    look = begin
    while look < close:
        following = min(look + PROBE, close)
        if offset_at(zone, following) != offset_at(zone, look):
            change = _change(zone, look, following)
            if change < close:
                found.append(Piece(begin, change, offset_at(zone, begin)))
                begin = change
        look = following
    return (*found, Piece(begin, close, offset_at(zone, begin)))


def offset_at(zone: tzinfo, instant: datetime) -> timedelta:
    """The offset of `zone` at an instant of UTC, given without a zone."""
    return instant.replace(tzinfo=UTC).astimezone(zone).utcoffset() or timedelta()


def _change(zone: tzinfo, before: datetime, after: datetime) -> datetime:
    """The second, before < t <= after, from which on the offset is that of `after`."""
    new = offset_at(zone, after)
    while after - before > SECOND:
        middle = before + (after - before) // 2 // SECOND * SECOND
        if offset_at(zone, middle) == new:
            after = middle
        else:
            before = middle
    return after
