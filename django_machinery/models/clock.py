"""The database's clock in queries through the ORM: leases and due times of all hosts are measured by it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from django_machinery.models.sql import dialect_for
from django_machinery.models.sql.base import fetch


class StoreTime(models.Expression):
    """The present time of the database plus `offset` seconds.

    Not `Now`, which on MySQL is in the server's time zone, while Django keeps times in UTC.
    """

    def __init__(self, offset: float = 0.0) -> None:
        super().__init__(output_field=models.DateTimeField())
        self.offset = offset

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper) -> tuple[str, tuple[str | int, ...]]:
        return dialect_for(connection).clock(self.offset), ()


def present_time(connection: BaseDatabaseWrapper) -> datetime:
    """The present time of the database, in UTC. SQLite has none but that of this machine."""
    if connection.vendor == "sqlite":
        return datetime.now(UTC)
    ((moment,),) = fetch(connection, f"SELECT {dialect_for(connection).clock()}", ())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=connection.timezone or timezone.get_default_timezone())
    return moment.astimezone(UTC)  # type: ignore[no-any-return]


def aware(moment: datetime) -> datetime:
    """A stored time with its offset; with USE_TZ = False it is in the project's time zone."""
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment
