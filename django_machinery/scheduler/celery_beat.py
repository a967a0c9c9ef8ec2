"""Taking over the schedules of django-celery-beat, from its tables; its code need not be installed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db import connections, transaction

from django_machinery.cron.grammar import FIELDS, Field
from django_machinery.exceptions import ArgumentError, ConfigurationError, EncodeError
from django_machinery.models import Schedule
from django_machinery.models.sql.base import fetch
from django_machinery.protocol.signature import Signature

if TYPE_CHECKING:
    from django_machinery.server import Server

TABLES = tuple(f"django_celery_beat_{name}" for name in ("periodictask", "crontabschedule", "intervalschedule"))
_ENTRIES = """
SELECT t.name, t.task, t.args, t.kwargs, t.queue, t.priority, t.enabled, t.one_off, t.start_time, t.expires,
    c.minute, c.hour, c.day_of_month, c.month_of_year, c.day_of_week, c.timezone, i.every, i.period,
    t.headers, t.expire_seconds, t.exchange, t.routing_key
FROM {} t LEFT JOIN {} c ON c.id = t.crontab_id LEFT JOIN {} i ON i.id = t.interval_id
ORDER BY t.name
"""
_RANGE = re.compile(r"(\w+?)(?:-(\w+)(?:/([0-9]{1,4}))?)?", re.ASCII)
_SECONDS = {"days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}


class Entry(NamedTuple):
    """A row of django-celery-beat's periodic tasks with its crontab or interval, as the database gives it."""

    name: str
    task: str
    args: str
    kwargs: str
    queue: str | None
    priority: int | None
    enabled: bool
    one_off: bool
    start_time: Any
    expires: Any
    minute: str | None
    hour: str | None
    day_of_month: str | None
    month_of_year: str | None
    day_of_week: str | None
    timezone: str | None
    every: int | None
    period: str | None
    headers: str | None
    expire_seconds: int | None
    exchange: str | None
    routing_key: str | None

    @property
    def left_out(self) -> str:
        """What has no counterpart here."""
        columns = ("expire_seconds", "exchange", "routing_key")
        return ", ".join(f"{name} {getattr(self, name)}" for name in columns if getattr(self, name) not in (None, ""))


class Outcome(NamedTuple):
    """What became of one of them."""

    name: str
    spec: str
    reason: str = ""
    """Why it was not imported; empty: it was."""
    without: str = ""
    """What of it has no counterpart, if it was."""


class _Refused(Exception):
    """`str` is the reason."""


def import_schedules(server: Server, source: str, *, dry_run: bool = False) -> Iterator[Outcome]:
    """Make a schedule of `server` from each periodic task in the database `source` that has a counterpart.

    Those whose name is taken are left, so it may be repeated. Raises `ConfigurationError` without the tables.
    """
    connection = connections[source]
    missing = set(TABLES) - set(connection.introspection.table_names())
    if missing:
        raise ConfigurationError(f"The database {source!r} has no table {', '.join(sorted(missing))}")
    for row in fetch(connection, _ENTRIES.format(*TABLES), ()):
        entry = Entry(*row)
        try:
            schedule = _schedule(server, entry)
            if not dry_run:
                _save(schedule, server.config.database)
        except _Refused as reason:
            yield Outcome(entry.name, "", str(reason))
        else:
            yield Outcome(entry.name, schedule.spec, without=entry.left_out)


def _save(schedule: Schedule, database: str) -> None:
    with transaction.atomic(using=database):
        schedule.save(using=database)


def _schedule(server: Server, entry: Entry) -> Schedule:
    existing = Schedule.objects.using(server.config.database).filter(server=server.alias, name=entry.name)
    if existing.exists():
        raise _Refused("there is a schedule of this name already")
    if entry.one_off:
        raise _Refused("it runs once: send the task with eta= instead")
    schedule = Schedule(
        server=server.alias,
        name=entry.name,
        spec=_spec(entry),
        timezone=entry.timezone or "",
        enabled=bool(entry.enabled),
        starts_at=_moment(entry.start_time),
        ends_at=_moment(entry.expires),
    )
    schedule.invocations = (_signature(server, entry),)
    try:
        schedule.full_clean(validate_constraints=False)
    except ValidationError as error:
        raise _Refused("; ".join(error.messages)) from error
    return schedule


def _spec(entry: Entry) -> str:
    if entry.every is not None:
        if entry.period not in _SECONDS:
            raise _Refused(f"an interval in {entry.period} is shorter than a second")
        return f"@every {entry.every * _SECONDS[entry.period]}s"
    texts = (entry.minute, entry.hour, entry.day_of_month, entry.month_of_year, entry.day_of_week)
    if any(text is None for text in texts):
        raise _Refused("it is neither a crontab nor an interval")
    fields = [_field(str(text), field) for text, field in zip(texts, FIELDS, strict=True)]
    if "*" not in (fields[2], fields[4]):
        raise _Refused(
            "Celery wants both the day of the month and that of the week to match, which no cron spec says: restrict "
            "one, and let the task look at the other"
        )
    return " ".join(fields)


def _field(text: str, field: Field) -> str:
    """Celery's field as cron writes it: it takes whole names of days and months, and ranges that go past the end."""
    text = ",".join(_part(part, field) for part in text.replace(" ", "").split(","))
    return "*" if text in ("*/1", f"{field.first}-{field.last}") else text


def _part(part: str, field: Field) -> str:
    match = _RANGE.fullmatch(part)
    if match is None:
        return part
    first, last, step = _value(match[1], field), _value(match[2] or match[1], field), int(match[3] or 1)
    if first is None or last is None or step < 1:
        return part
    if first <= last:
        return f"{first}-{last}" + (f"/{step}" if step > 1 else "") if first < last else str(first)
    around = [*range(first, field.last + 1), *range(field.first, last + 1)]
    return ",".join(map(str, around[::step]))


def _value(text: str, field: Field) -> int | None:
    return int(text) if text.isdecimal() else field.names.get(text[:3].lower())


def _signature(server: Server, entry: Entry) -> Signature:
    definition = server.registry.find(entry.task)
    if definition is None:
        raise _Refused(f"the task {entry.task!r} is not registered: give one that name, or that alias")
    try:
        args = definition.parameters.to_args(json.loads(entry.args or "[]"), json.loads(entry.kwargs or "{}"))
        definition.parameters.check(args)
        headers = json.loads(entry.headers or "{}")
    except (TypeError, ValueError, EncodeError, ArgumentError) as error:
        raise _Refused(f"its arguments do not fit {definition.name}: {error}") from error
    return Signature(
        name=definition.name,
        queue=entry.queue or definition.queue,
        args=args,
        headers=headers or None,
        priority=definition.priority if entry.priority is None else entry.priority,
        immutable=definition.immutable,
        retry_count=definition.retry_count,
        retry_timeout=definition.retry_timeout,
    )


def _moment(value: Any) -> datetime | None:
    """SQLite gives text, MySQL a time without a zone: both in UTC."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if value is None or value.tzinfo is not None:
        return value  # type: ignore[no-any-return]
    return value.replace(tzinfo=UTC)  # type: ignore[no-any-return]
