"""Fields for text that is kept as it came and for instants, and indexes for rows that are rare."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from datetime import timezone as fixed_offset
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement
from django.utils import timezone

from django_machinery.protocol.storable import storable

if TYPE_CHECKING:
    CharField = models.CharField[Any, Any]
    DateTimeField = models.DateTimeField[Any, Any]
    TextField = models.TextField[Any, Any]
else:  # Django's fields take no parameters at run time
    CharField = models.CharField
    DateTimeField = models.DateTimeField
    TextField = models.TextField


def binary_collation(connection: BaseDatabaseWrapper) -> str | None:
    """The collation that compares text byte for byte, trailing blanks included; None where that is the column's own.

    By default MySQL takes `Add` for `add`; PostgreSQL compares by the rules of a language, which is slower.
    """
    if connection.vendor == "mysql":
        return "utf8mb4_nopad_bin" if getattr(connection, "mysql_is_mariadb", False) else "utf8mb4_0900_bin"
    return "C" if connection.vendor == "postgresql" else None


def fitted(text: str, longest: int | None = 255) -> str:
    """The text as every store takes it: without NUL and lone surrogates, and cut to `longest` characters."""
    return storable(text)[:longest]


class WireCharField(CharField):
    """A short text (a UUID, a queue, a task's name): any Unicode, and equal only when every byte is."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("max_length", 255)
        super().__init__(*args, **options)

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        return {**super().db_parameters(connection), "collation": binary_collation(connection)}


class WireTextField(TextField):
    """A long text: any Unicode. Text and not JSON: PostgreSQL's jsonb refuses the escape of NUL, which Go may send."""

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        return {**super().db_parameters(connection), "collation": binary_collation(connection)}


class MomentField(DateTimeField):
    """An instant: aware in Python, also in a project with USE_TZ = False, where Django's own times are none.

    There it is stored in UTC, since the hour that the project's clock repeats would be one to the database, and read
    with the offset that this clock has at the time, so that forms and pages show what it shows.
    """

    def to_python(self, value: Any) -> Any:
        return _aware(super().to_python(value))

    def get_prep_value(self, value: Any) -> Any:
        return super().get_prep_value(_aware(value) if isinstance(value, datetime) else value)

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        value = value if prepared else self.get_prep_value(value)
        if isinstance(value, datetime) and not (settings.USE_TZ or connection.features.supports_timezones):
            value = value.astimezone(UTC).replace(tzinfo=None)
        return super().get_db_prep_value(value, connection, True)

    def from_db_value(self, value: datetime | None, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        if value is None or value.tzinfo is not None:
            return value
        return _aware(value if connection.features.supports_timezones else value.replace(tzinfo=UTC))


class SparseIndex(models.Index):
    """An index over the rows that `where` selects: the others cost nothing.

    On engines without partial indexes (MySQL, MariaDB) it covers all rows, where Django's own `condition` would leave
    the index out altogether.
    """

    def __init__(self, *, fields: list[str] | tuple[str, ...], name: str, where: models.Q) -> None:
        super().__init__(fields=fields, name=name)
        self.where = where

    def create_sql(
        self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor, using: str = "", **options: Any
    ) -> Statement:
        partial = schema_editor.connection.features.supports_partial_indexes
        index = models.Index(fields=self.fields, name=self.name, condition=self.where if partial else None)
        return index.create_sql(model, schema_editor, using, **options)

    def deconstruct(self) -> Any:
        path, args, options = super().deconstruct()
        return path, args, {**options, "where": self.where}


def _aware(moment: datetime | None) -> datetime | None:
    """With USE_TZ = False a time without an offset is what the project's clock shows, and gets the clock's."""
    if moment is None or settings.USE_TZ:
        return moment
    zone = timezone.get_default_timezone()
    local = moment.replace(tzinfo=zone) if timezone.is_naive(moment) else moment.astimezone(zone)
    return local.replace(tzinfo=fixed_offset(local.utcoffset() or timedelta(0)))
