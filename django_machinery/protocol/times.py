"""Times as Go writes and reads them: RFC 3339 with up to nine fraction digits, kept as text.

A datetime has microseconds and no year 0, so the text is what travels and `parse_time` is for those who calculate.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta

from django_machinery.exceptions import EncodeError

ZERO_TIME = "0001-01-01T00:00:00Z"
"""Go's zero time: the CreatedAt of a state that never had one."""

# Go takes an hour of one digit, a comma before the fraction and offsets up to 24:60 (time.Parse with RFC3339).
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)


def now_text() -> str:
    """The present, in UTC."""
    return format_time(datetime.now(UTC))


def format_time(moment: datetime) -> str:
    """The text of an aware datetime, as Go's RFC3339Nano: zeros trimmed, `Z` for UTC. EncodeError if it is naive."""
    offset = moment.utcoffset()
    if offset is None:
        raise EncodeError(f"{moment!r} has no time zone: use an aware datetime")
    if offset % timedelta(minutes=1):
        moment, offset = moment.astimezone(UTC), timedelta(0)
    fraction = f".{moment.microsecond:06}".rstrip("0.")
    text = moment.replace(microsecond=0, tzinfo=None).isoformat() + fraction
    return text + _offset_text(round(offset.total_seconds()) // 60)


def parse_time(text: str) -> datetime:
    """The aware datetime of a canonical text. Nanoseconds are cut; a year 0 becomes the first moment of year 1."""
    if text.startswith("0000"):
        return datetime.min.replace(tzinfo=UTC)
    return datetime.fromisoformat(text)


def canonical_time(text: str) -> str:
    """A time as Go writes it back after reading it (time.Time.UnmarshalJSON, MarshalJSON). ValueError if it cannot."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not an RFC 3339 time")
    year, month, day, hour, minute, second = (int(digits) for digits in match.groups()[:6])
    if not (1 <= month <= 12 and 1 <= day <= _days(year, month) and hour < 24 and minute < 60 and second < 60):
        raise ValueError(f"{text[:40]!r} has a part out of range")
    fraction = ("." + (match[7] or "")[:9]).rstrip("0.")
    offset = _offset_minutes(match)
    if abs(offset) >= 24 * 60:
        raise ValueError(f"{text[:40]!r} is a day or more off UTC")
    return f"{match[1]}-{match[2]}-{match[3]}T{hour:02}:{match[5]}:{match[6]}{fraction}{_offset_text(offset)}"


def _days(year: int, month: int) -> int:
    return monthrange(year or 400, month)[1]


def _offset_minutes(match: re.Match[str]) -> int:
    if match[8] is None:
        return 0
    hours, minutes = int(match[9]), int(match[10])
    if hours > 24 or minutes > 60:
        raise ValueError(f"{match[0][:40]!r} has an offset out of range")
    return (hours * 60 + minutes) * (1 if match[8] == "+" else -1)


def _offset_text(minutes: int) -> str:
    if not minutes:
        return "Z"
    return f"{'+' if minutes > 0 else '-'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
