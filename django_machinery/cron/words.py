"""Specs in English, by what they mean and not by how they are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from django_machinery.cron.walls import WallTimes, days_of_month

LISTED = 6
"""So many times of day are listed one by one."""
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WEEK = len(WEEKDAYS)
LENGTHS = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
LONGEST = 31


def of_period(period: timedelta) -> str:
    """ "Every 90 minutes", "Every second"."""
    seconds = int(period.total_seconds())
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds % length == 0:
            return _every(seconds // length, unit)
    return _every(seconds, "second")


def of_wall_times(walls: WallTimes) -> str:
    """ "At 06:00 every day", "Every 5 minutes from Monday to Friday", "Never"."""
    if not _possible(walls):
        return "Never"
    time, is_of_day = _time(walls)
    days = _days(walls)
    months = _among("in", walls.months, _month) if len(walls.months) < 12 else ""
    if is_of_day and not days:
        days = "every day"
    return " ".join(filter(None, (time, days, months)))


def _possible(walls: WallTimes) -> bool:
    """Whether any year, leap years too, has a time of the spec."""
    if not (walls.minutes and walls.hours):
        return False
    return any(
        days_of_month(walls, weekday, LENGTHS.get(month, LONGEST)) for month in walls.months for weekday in range(WEEK)
    )


def _time(walls: WallTimes) -> tuple[str, bool]:
    """Minutes and hours, and whether they are times of day, which want to be told on which days."""
    minutes, hours = walls.minutes, walls.hours
    if walls.hourly:
        return ("Every hour", False) if minutes == (0,) else (_minutes(minutes, "every hour"), False)
    if len(minutes) * len(hours) <= LISTED:
        times = [f"{hour:02}:{minute:02}" for hour in hours for minute in minutes]
        return f"At {_joined(times)}", True
    if minutes == (0,) and (step := _step(hours, 24)):
        return _every(step, "hour"), False
    if minutes == (0,):
        if _is_run(hours):
            return f"Every hour from {hours[0]:02}:00 to {hours[-1]:02}:00", False
        return f"On the hour {_during(hours)}", True
    return f"{_minutes(minutes, 'the hour')} {_during(hours)}", True


def _minutes(minutes: Sequence[int], hour: str) -> str:
    if step := _step(minutes, 60):
        return _every(step, "minute")
    unit = "minute" if minutes == (1,) else "minutes"
    return f"At {_series(minutes, str)} {unit} past {hour}"


def _is_run(values: Sequence[int]) -> bool:
    return len(values) == values[-1] - values[0] + 1


def _during(hours: Sequence[int]) -> str:
    if _is_run(hours):
        return f"from {hours[0]:02}:00 to {hours[-1]:02}:59"
    return f"in the hours {_series(hours, str)}"


def _days(walls: WallTimes) -> str:
    """ "" for all days."""
    of_week = _among("on", _from_monday(walls.weekdays), _weekday) if len(walls.weekdays) < WEEK else ""
    unit = "day" if len(walls.days) == 1 else "days"
    of_month = f"on {unit} {_series(walls.days, str)} of the month" if len(walls.days) < LONGEST else ""
    if not walls.either:
        return of_month or of_week
    restricting = [text for text, values in ((of_month, walls.days), (of_week, walls.weekdays)) if values]
    return " or ".join(restricting) if all(restricting) else ""


def _from_monday(weekdays: Sequence[int]) -> list[int]:
    return sorted((weekday - 1) % WEEK for weekday in weekdays)


def _weekday(number: int) -> str:
    return WEEKDAYS[number]


def _month(number: int) -> str:
    return MONTHS[number - 1]


def _step(values: Sequence[int], size: int) -> int:
    """How far apart the values are if they divide the whole `size` evenly, from 0 on; else 0."""
    step = size // len(values)
    return step if tuple(values) == tuple(range(0, size, step)) and size % step == 0 else 0


def _among(preposition: str, values: Sequence[int], show: Callable[[int], str]) -> str:
    if len(values) > 2 and _is_run(values):
        preposition = "from"
    return f"{preposition} {_series(values, show)}"


def _series(values: Sequence[int], show: Callable[[int], str]) -> str:
    """ "1, 3 to 7 and 9": three or more in a row are a range."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    texts: list[str] = []
    for run in runs:
        texts += [f"{show(run[0])} to {show(run[-1])}"] if len(run) > 2 else map(show, run)
    return _joined(texts)


def _joined(texts: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(texts[:-1]), *texts[-1:])))


def _every(count: int, unit: str) -> str:
    return f"Every {unit}" if count == 1 else f"Every {count} {unit}s"
