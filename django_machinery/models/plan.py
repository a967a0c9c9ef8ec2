"""What the plan of a schedule rests on, as text that the database writes: a row whose text differs is planned anew."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Func, Value
from django.db.models.functions import Concat

from django_machinery.models.fields import WireCharField


class _Written(Func):
    """A time as text after a word, the same in every connection whatever its zone; empty for none."""

    template = "COALESCE(CONCAT('%(word)s', CAST(%(expressions)s AS CHAR(32))), '')"

    def __init__(self, word: str, column: str) -> None:
        super().__init__(column, word=word, output_field=WireCharField())

    def as_sqlite(self, compiler: Any, connection: BaseDatabaseWrapper, **options: Any) -> Any:
        return self.as_sql(compiler, connection, template="COALESCE('%(word)s' || %(expressions)s, '')")

    def as_postgresql(self, compiler: Any, connection: BaseDatabaseWrapper) -> Any:
        template = "COALESCE('%(word)s' || CAST(%(expressions)s AT TIME ZONE 'UTC' AS text), '')"
        return self.as_sql(compiler, connection, template=template)


_BLANK = Value(" ", WireCharField())
TIMES = Concat("spec", _BLANK, "timezone", _BLANK, "dst_gap", _BLANK, "dst_overlap", output_field=WireCharField())
"""All that the times of a schedule follow from but its start and end, as the database writes it."""
PLAN = Concat(TIMES, _Written(" from ", "starts_at"), _Written(" to ", "ends_at"), output_field=WireCharField())
"""With these: `planned_for` holds what it once was."""
