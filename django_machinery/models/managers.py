"""What the managers of hot tables have in common."""

from __future__ import annotations

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
