"""Specs in words, by what they mean and not by how they are written.

The words are English; a function that translates, such as Django's `gettext`, makes other words of the texts that are
marked by `_` here, and of the names of months and weekdays. Numbers and names stand in braces there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from django_machinery.cron.walls import WallTimes, days_of_month

Translate = Callable[[str], str]

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


def of_period(period: timedelta, _: Translate = str) -> str:
    """ "Every 90 minutes", "Every second"."""
    seconds = int(period.total_seconds())
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds % length == 0:
            return _every(seconds // length, unit, _)
    return _every(seconds, "second", _)


def of_wall_times(walls: WallTimes, _: Translate = str) -> str:
    """ "At 06:00 every day", "Every 5 minutes from Monday to Friday", "Never"."""
    if not _possible(walls):
        return _("Never")
    time, is_of_day = _time(walls, _)
    days = _days(walls, _)
    months = _months(walls.months, _) if len(walls.months) < 12 else ""
    if is_of_day and not days:
        days = _("every day")
    return " ".join(filter(None, (time, days, months)))


def in_zone(words: str, zone: str, _: Translate = str) -> str:
    """ "At 06:00 every day, Europe/Berlin time"."""
    return _("{words}, {zone} time").format(words=words, zone=zone)


def _possible(walls: WallTimes) -> bool:
    """Whether any year, leap years too, has a time of the spec."""
    if not (walls.minutes and walls.hours):
        return False
    return any(
        days_of_month(walls, weekday, LENGTHS.get(month, LONGEST)) for month in walls.months for weekday in range(WEEK)
    )


def _time(walls: WallTimes, _: Translate) -> tuple[str, bool]:
    """Minutes and hours, and whether they are times of day, which want to be told on which days."""
    minutes, hours = walls.minutes, walls.hours
    if walls.hourly:
        return (_every(1, "hour", _) if minutes == (0,) else _minutes_of_every_hour(minutes, _)), False
    if len(minutes) * len(hours) <= LISTED:
        times = [f"{hour:02}:{minute:02}" for hour in hours for minute in minutes]
        return _("At {times}").format(times=_joined(times, _)), True
    if minutes == (0,) and (step := _step(hours, 24)):
        return _every(step, "hour", _), False
    if minutes == (0,):
        if _is_run(hours):
            start, end = f"{hours[0]:02}:00", f"{hours[-1]:02}:00"
            return _("Every hour from {start} to {end}").format(start=start, end=end), False
        return f"{_('On the hour')} {_during(hours, _)}", True
    return f"{_minutes_of_hours(minutes, _)} {_during(hours, _)}", True


def _minutes_of_every_hour(minutes: Sequence[int], _: Translate) -> str:
    if step := _step(minutes, 60):
        return _every(step, "minute", _)
    one, many = _("At {minutes} minute past every hour"), _("At {minutes} minutes past every hour")
    return (one if minutes == (1,) else many).format(minutes=_series(minutes, _))


def _minutes_of_hours(minutes: Sequence[int], _: Translate) -> str:
    if step := _step(minutes, 60):
        return _every(step, "minute", _)
    one, many = _("At {minutes} minute past the hour"), _("At {minutes} minutes past the hour")
    return (one if minutes == (1,) else many).format(minutes=_series(minutes, _))


def _is_run(values: Sequence[int]) -> bool:
    return len(values) == values[-1] - values[0] + 1


def _during(hours: Sequence[int], _: Translate) -> str:
    if _is_run(hours):
        return _("from {start} to {end}").format(start=f"{hours[0]:02}:00", end=f"{hours[-1]:02}:59")
    return _("in the hours {hours}").format(hours=_series(hours, _))


def _days(walls: WallTimes, _: Translate) -> str:
    """ "" for all days."""
    of_week = _weekdays(_from_monday(walls.weekdays), _) if len(walls.weekdays) < WEEK else ""
    of_month = _days_of_month(walls.days, _) if len(walls.days) < LONGEST else ""
    if not walls.either:
        return of_month or of_week
    restricting = [text for text, values in ((of_month, walls.days), (of_week, walls.weekdays)) if values]
    if not all(restricting):
        return ""
    return _("{first} or {second}").format(first=of_month, second=of_week) if len(restricting) > 1 else restricting[0]


def _days_of_month(days: Sequence[int], _: Translate) -> str:
    text = _("on day {days} of the month") if len(days) == 1 else _("on days {days} of the month")
    return text.format(days=_series(days, _))


def _weekdays(weekdays: Sequence[int], _: Translate) -> str:
    text = _("from {weekdays}") if len(weekdays) > 2 and _is_run(weekdays) else _("on {weekdays}")
    return text.format(weekdays=_series(weekdays, _, [_(name) for name in WEEKDAYS]))


def _months(months: Sequence[int], _: Translate) -> str:
    text = _("from {months}") if len(months) > 2 and _is_run(months) else _("in {months}")
    return text.format(months=_series(months, _, ["", *(_(name) for name in MONTHS)]))


def _from_monday(weekdays: Sequence[int]) -> list[int]:
    return sorted((weekday - 1) % WEEK for weekday in weekdays)


def _step(values: Sequence[int], size: int) -> int:
    """How far apart the values are if they divide the whole `size` evenly, from 0 on; else 0."""
    step = size // len(values)
    return step if tuple(values) == tuple(range(0, size, step)) and size % step == 0 else 0


def _series(values: Sequence[int], _: Translate, names: Sequence[str] = ()) -> str:
    """ "1, 3 to 7 and 9": three or more in a row are a range. With names, a value is where its name is."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    texts: list[str] = []
    for run in runs:
        shown = [names[value] if names else str(value) for value in run]
        texts += [_("{first} to {last}").format(first=shown[0], last=shown[-1])] if len(run) > 2 else shown
    return _joined(texts, _)


def _joined(texts: Sequence[str], _: Translate) -> str:
    if len(texts) < 2:
        return "".join(texts)
    return _("{front} and {last}").format(front=", ".join(texts[:-1]), last=texts[-1])


def _every(count: int, unit: str, _: Translate) -> str:
    one, many = {
        "hour": (_("Every hour"), _("Every {count} hours")),
        "minute": (_("Every minute"), _("Every {count} minutes")),
        "second": (_("Every second"), _("Every {count} seconds")),
    }[unit]
    return one if count == 1 else many.format(count=count)
