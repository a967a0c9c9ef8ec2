"""Reading specs as robfig/cron v3.0.1 `ParseStandard` does (parser.go:85-132); croniter expands the fields."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from django_machinery.cron.durations import nanoseconds
from django_machinery.cron.grammar import FIELDS, Checked, Field
from django_machinery.cron.spec import Spec
from django_machinery.cron.walls import WallTimes
from django_machinery.exceptions import ConfigurationError, CronError

DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
EVERY = "@every "
ZONE_PREFIXES = ("TZ=", "CRON_TZ=")
SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
"""What Go's strings.Fields splits at (unicode.IsSpace); str.split() takes four more."""
SECOND = 10**9

_FIELDS = re.compile(f"[^{SPACE}]+")


@lru_cache(maxsize=256)
def parse(spec: str) -> Spec:
    """What is accepted is in docs/reference/cron.md.

    Raises CronError, which names the field and the fault; ConfigurationError if croniter is not installed.
    """
    if not spec:
        raise CronError("the spec is empty")
    zone, rest = _zone(spec)
    if rest.startswith(EVERY):
        return Spec(spec, _period(rest.removeprefix(EVERY)), zone)
    if rest.startswith("@") and rest not in DESCRIPTORS:
        raise CronError(f"descriptor: {rest[:40]!r} is unknown; there are {', '.join(DESCRIPTORS)} and @every 1h30m")
    return Spec(spec, _wall_times(DESCRIPTORS.get(rest, rest)), zone)


def _zone(spec: str) -> tuple[ZoneInfo | None, str]:
    """The zone that a spec names, and what follows."""
    if not spec.startswith(ZONE_PREFIXES):
        return None, spec
    prefix, space, rest = spec.partition(" ")
    if not space:
        raise CronError("zone: nothing follows it")
    name = prefix.partition("=")[2]
    if name == "Local":  # Go's word for that of the process, which gives way to that of the schedule
        return None, rest.strip(SPACE)
    try:
        return ZoneInfo(name or "UTC"), rest.strip(SPACE)
    except (KeyError, ValueError, OSError) as error:
        raise CronError(f"zone: {name[:40]!r} is not in the tz database") from error


def _period(text: str) -> timedelta:
    """Whole seconds, at least one (robfig/cron constantdelay.go:14)."""
    try:
        seconds = nanoseconds(text) // SECOND
    except ValueError as error:
        raise CronError(f"@every: {text[:40]!r} is no duration such as 1h30m: {error}") from error
    return timedelta(seconds=max(seconds, 1))


def _wall_times(text: str) -> WallTimes:
    texts = _FIELDS.findall(text)
    if len(texts) != len(FIELDS):
        raise CronError(
            f"five fields are needed, minute, hour, day of month, month, day of week; here are {len(texts)}"
        )
    checked = [field.check(text) for field, text in zip(FIELDS, texts, strict=True)]
    minutes, hours, days, months, weekdays = _expanded(checked)
    either = not (checked[2].star or checked[4].star)
    return WallTimes(minutes, hours, days, months, weekdays, either)


def _expanded(checked: list[Checked]) -> list[tuple[int, ...]]:
    """The values of each field, by croniter."""
    try:
        from croniter import croniter
    except ModuleNotFoundError as error:
        raise ConfigurationError("Cron specs need the extra: pip install 'django-machinery[cron]'") from error
    # A field of no values is none to croniter: any other stands in for it.
    lists, _ = croniter.expand(" ".join(",".join(field.spans) or "*" for field in checked))
    return [
        _values(field, values) if given.spans else ()
        for field, given, values in zip(FIELDS, checked, lists, strict=True)
    ]


def _values(field: Field, values: list[int | str]) -> tuple[int, ...]:
    if "*" in values:
        return tuple(range(field.first, field.last + 1))
    return tuple(sorted({int(value) for value in values}))
