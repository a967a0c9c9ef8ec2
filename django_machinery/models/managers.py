"""What managers have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from django.db import connections, models

from django_machinery.models.sql import Connection, Dialect, dialect_for

M = TypeVar("M", bound=models.Model)


class HotManager(models.Manager[M]):
    """A manager with statements of its own: `Model.objects.db_manager(alias)` is bound to a database."""

    @property
    def connection(self) -> Connection:
        """This thread's connection."""
        return connections[self.db]

    @property
    def sql(self) -> Dialect:
        """The statements of its engine."""
        return dialect_for(connections[self.db])


def upsert(manager: models.Manager[M], rows: Sequence[M], key: Sequence[str], values: Sequence[str]) -> None:
    """Insert rows, or give the `values` of these to the rows that have the same `key`: one statement, as a rule."""
    has_target = connections[manager.db].features.supports_update_conflicts_with_target
    manager.bulk_create(rows, update_conflicts=True, update_fields=values, unique_fields=key if has_target else None)
