"""Counting no further than anyone pages."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.paginator import Paginator
from django.db import connections
from django.db.models import QuerySet

COUNTED = 1_000
"""Rows that are counted one by one; of more it is said that there are more, or how many the database believes."""

if TYPE_CHECKING:
    Pages = Paginator[Any]
else:
    Pages = Paginator


class BoundedPaginator(Pages):
    """Pages of a table of any size. The first pages have numbers; older rows are found by their id or by time."""

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        """How many rows there are, at most `COUNTED` + 1."""
        return int(self.object_list.order_by()[: COUNTED + 1].count())

    @property
    def shown_count(self) -> str:
        """The count for people: exact, estimated ("about 1,000,000") or bounded ("1,000+")."""
        if self.count <= COUNTED:
            return str(intcomma(self.count))
        estimate = 0 if self.object_list.query.where else _estimate(self.object_list)
        return f"≈ {intcomma(rounded(estimate))}" if estimate > COUNTED else f"{intcomma(COUNTED)}+"


def _estimate(queryset: QuerySet[Any]) -> int:
    """How many rows the database believes the table has; counted where it keeps no such figure."""
    connection = connections[queryset.db]
    statement = _ESTIMATES.get(connection.vendor)
    if statement is None:
        return queryset.count()
    with connection.cursor() as cursor:
        cursor.execute(statement, [queryset.model._meta.db_table])
        row = cursor.fetchone()
    return int(row[0] or 0) if row else 0


_ESTIMATES = {
    "postgresql": "SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass",
    "mysql": "SELECT table_rows FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s",
}


def rounded(number: int) -> int:
    """Three figures are known at best."""
    scale: int = 10 ** max(0, len(str(number)) - 3)
    return round(number / scale) * scale
